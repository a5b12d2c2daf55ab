//! The binary `bitkv`: arguments, progress, exit codes. One file a subcommand.

#![forbid(unsafe_code)]

mod bars;
mod bench;
mod budget;
mod compare;
mod convert;
mod definitions;
mod doctor;
mod export;
mod generate;
mod head;
mod input;
mod inspect;
mod kv;
mod list;
mod measuring;
mod memory;
mod model;
mod output;
mod plan;
mod profile;
mod random;
mod report;
mod run;
mod trace;
mod train;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// KV-cache research and benchmarking for BitNet b1.58 models.
#[derive(Debug, Parser)]
#[command(name = "bitkv", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the published claims on a model and write a report (by default on both built-in models); resumes.
    Verify(verify::Arguments),
    /// Memory of weights, KV cache and activations against context length.
    Memory(memory::Arguments),
    /// Attention entropy and class of every head over calibration texts.
    Profile(profile::Arguments),
    /// The positions a policy keeps in every layer and KV head.
    Plan(plan::Arguments),
    /// Generate text, with any policy and budget.
    Generate(generate::Arguments),
    /// Norms of every step of a forward pass, its logits, hidden states, queries, keys and values.
    Trace(trace::Arguments),
    /// Write a checkpoint in another format: a packed Hugging Face folder or a GGUF file.
    Convert(convert::Arguments),
    /// What a checkpoint contains, tensor by tensor.
    Inspect(inspect::Arguments),
    /// What is wrong with a checkpoint, what that means, and what to do about it.
    Doctor(doctor::Arguments),
    /// Write a random packed checkpoint of a given shape.
    Random(random::Arguments),
    /// Run an experiment definition; an interrupted run is resumed.
    Run(run::Arguments),
    /// Show a finished run again from its rows, write its report anew, or put its findings into a document.
    Report(report::Arguments),
    /// Compare two runs cell by cell, with paired intervals.
    Compare(compare::Arguments),
    /// Tokens a second, beside what the machine could do: prefill and decode of a model or of a random one.
    Bench(bench::Arguments),
    /// Models, policies, metrics and experiments there are.
    List(list::Arguments),
    /// Train a small BitNet from a folder of text; resumes what it finds.
    Train(train::Arguments),
}

fn main() -> ExitCode {
    bitkv_bytes::keep_freed();
    let arguments = Arguments::parse();
    if let Err(error) = bitkv_kernels::check_isa() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let done = match arguments.command {
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Memory(arguments) => memory::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Random(arguments) => random::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

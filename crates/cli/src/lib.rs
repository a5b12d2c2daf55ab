//! The command line `bitkv`: its arguments, its output, progress bars and exit codes.
//!
//! [`main`] runs the command line with a [`Registry`] of the methods that policies can name. A program with
//! its own policy is this command line with one more method in the registry, as `examples/own-policy` shows.
//!
//! Each subcommand has one file, with its arguments and a function `run`; the work is done by the other
//! crates. The table `commands!` below declares the subcommands with their help.

#![forbid(unsafe_code)]

mod bars;
mod bench;
mod budget;
mod command;
mod compare;
mod convert;
mod definitions;
mod doctor;
mod generate;
mod input;
mod inspect;
mod kv;
mod list;
mod lm_head;
mod markdown;
mod measuring;
mod memory;
mod model;
mod output;
mod plan;
mod policy_tables;
mod profile;
mod random;
mod report;
mod run;
mod trace;
mod train;
mod verify;

use std::process::ExitCode;

use bitkv_evict::Registry;
use clap::Parser;

use command::commands;

// A new subcommand needs its own file, a `mod` above, and an entry here: its help, its file, the arguments
// that the README shows, and two examples that work in a fresh clone of the repository.
commands! {
    registry;
    /// Verify the published claims about the entropy-adaptive KV cache on a model, and write a report.
    ///
    /// Both built-in models by default, or any `--model`: memory, head classes, compression end to end, and the
    /// verdicts. It is the experiment `experiments/verify.toml`, a run like any other.
    Verify = verify(registry), "";
    /// Memory of weights, KV cache and activations against context length.
    ///
    /// The accounting is `published` or `actual`. `microsoft/bitnet-b1.58-2B-4T` and `1bitLLM/bitnet_b1_58-large`
    /// need no weights.
    Memory = memory(), "--model M --context 512,2048";
    /// Attention entropy and class of every head over calibration texts.
    ///
    /// It also writes the published profile format, which `--profile` reads.
    Profile = profile(registry), "--model M";
    /// The positions a policy keeps in every layer and KV head.
    ///
    /// `--tensors FILE` plans for queries, keys and values of any model, and `--export` writes the plan for an
    /// engine.
    Plan = plan(registry), "--model M --text FILE --policy P --budget B";
    /// Generate text, with any policy and budget.
    ///
    /// It streams. Several prompts are generated at once, `-` reads standard input, and `--chat` puts the prompt into
    /// the chat template.
    Generate = generate(registry), "--model M --prompt S";
    /// Norms of every step of a forward pass, its logits, hidden states, queries, keys and values.
    ///
    /// `--out` writes the tensors, and `--engine reference` computes in plain candle.
    Trace = trace(), "--model M --prompt S";
    /// Write a checkpoint in another format: a packed Hugging Face folder or a GGUF file.
    ///
    /// Every code and every scale is kept.
    Convert = convert(), "M OUT --to F";
    /// What a checkpoint contains, tensor by tensor.
    ///
    /// It shows histograms of the codes, scales and memory.
    Inspect = inspect(), "M";
    /// What is wrong with a checkpoint, what that means, and what to do about it.
    Doctor = doctor(), "M";
    /// Write a random packed checkpoint of a given shape.
    Random = random(), "--shape 2b-4t --out DIR";
    /// Run an experiment definition. An interrupted run is resumed.
    ///
    /// It measures every policy at every budget on every text, with one prefill a text. `--list` shows the definitions,
    /// `--dry-run` the cost, and `--only` limits the run to some experiments.
    Run = run(registry), "FILE";
    /// Show a finished run again from its rows, write its report anew, or put its findings into a document.
    ///
    /// `--write` makes the report, and `--splice FILE` the table of findings in a document.
    Report = report(), "RUN";
    /// Compare two runs cell by cell, with paired intervals.
    Compare = compare(), "A B";
    /// Tokens a second, beside what the machine could do: prefill and decode of a model or of a random one.
    Bench = bench(), "--shape 2b-4t";
    /// List the models, policies, metrics, experiments and commands.
    List = list(registry), "";
    /// Train a small BitNet from a folder of text. An interrupted run is resumed.
    Train = train(), "--recipe FILE --corpus DIR --out DIR";
}

/// The arguments of the program.
#[derive(Debug, Parser)]
#[command(name = "bitkv", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Runs the command line that this process was given, with the methods of `registry`.
pub fn main(registry: &Registry) -> ExitCode {
    bitkv_bytes::keep_freed();
    let arguments = Arguments::parse();
    if let Err(error) = bitkv_kernels::check_isa() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    match arguments.command.run(registry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

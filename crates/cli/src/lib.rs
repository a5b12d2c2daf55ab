//! The command line `bitkv`: arguments, progress, exit codes. One file a subcommand, no logic.
//!
//! [`main`] takes the methods that policies can name. A program with a policy of its own is this command line with one
//! more method, as `examples/own-policy` shows.

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

/// KV-cache research and benchmarking for BitNet b1.58 models.
#[derive(Debug, Parser)]
#[command(name = "bitkv", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: command::Command,
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

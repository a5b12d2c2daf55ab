//! The program `bitkv`: the command line with the methods that come with the suite.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match bitkv_lab::registry() {
        Ok(registry) => bitkv_cli::main(&registry),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

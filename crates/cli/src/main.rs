//! The program `bitkv`: the command line with the methods that come with the suite.

#![forbid(unsafe_code)]

use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    match bitkv_lab::registry() {
        Ok(registry) => bitkv_cli::main(&registry),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

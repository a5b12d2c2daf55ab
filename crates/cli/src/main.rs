//! The binary `bitkv`.

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

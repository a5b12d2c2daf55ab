//! Fetches a model and prints where it is: `cargo run -p bitkv-hub --example fetch -- ORG/NAME[@REVISION]`.

use std::process::ExitCode;

use bitkv_hub::{ModelId, Settings, fetch};
use bitkv_progress::Silent;

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        eprintln!("name a model, such as microsoft/bitnet-b1.58-2B-4T");
        return ExitCode::FAILURE;
    };
    let fetched = ModelId::parse(&name).and_then(|id| fetch(&id, &Settings::from_env()?, &Silent));
    match fetched {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

//! `bitkv completions`: a script that completes commands and options in a shell.

use anyhow::Result;
use clap_complete::{Shell, generate};

use crate::{command_line, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell that reads the script.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut command_line(), "bitkv", &mut script);
    output::text(&String::from_utf8(script)?)
}

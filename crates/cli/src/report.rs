//! `bitkv report`: a finished run again, from its rows alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use bitkv_report::{Recorded, claims, files, findings, render_terminal, splice};

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A finished run folder of `bitkv run` or `bitkv verify`.
    run: PathBuf,
    /// Write report.md, report.html and figures anew; the rows stay as they are.
    #[arg(long)]
    write: bool,
    /// Put the table of the run's findings into a Markdown file, between the lines `<!-- findings -->` and `<!-- /findings -->`.
    #[arg(long, value_name = "FILE")]
    splice: Option<PathBuf>,
    /// One JSON document on standard output: the claims of the definition with their verdicts.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let recorded = Recorded::read(&arguments.run)?;
    output::notes(&recorded.notes);
    let run = recorded.run();
    if arguments.write {
        write(&arguments.run, &files(&run))?;
    }
    if let Some(path) = &arguments.splice {
        ensure!(
            !run.definition.claims.is_empty(),
            "{} decides no claims, so it has no findings: name a run of `bitkv verify`",
            arguments.run.display()
        );
        splice_into(path, "findings", &findings(&run))?;
    }
    match arguments.json {
        true => output::json(&claims::verification(&run)),
        false => output::text(&render_terminal(&run)),
    }
}

/// Puts a table into its place in a document.
pub(crate) fn splice_into(path: &Path, name: &str, content: &str) -> Result<()> {
    let shown = path.display();
    let document = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let spliced = splice(&document, name, content).map_err(|reason| anyhow!("{shown}: {reason}"))?;
    fs::write(path, spliced).with_context(|| format!("cannot write {shown}"))
}

fn write(folder: &Path, files: &[(String, String)]) -> Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write the report {}", path.display()))?;
    }
    Ok(())
}

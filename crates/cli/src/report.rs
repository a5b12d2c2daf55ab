//! `bitkv report`: the report of a finished run, computed from its rows.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use bitkv_bytes::{disk, limit};
use bitkv_report::{RecordedRun, SpliceError, claims, files, findings, splice};

use crate::output;

/// The run that is used if `--splice` is given without a run.
const FINDINGS: &str = "results/verify-2";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A finished run folder of `bitkv run`, `bitkv sweep` or `bitkv verify` [default with --splice:
    /// results/verify-2].
    #[arg(required_unless_present = "splice")]
    run: Option<PathBuf>,
    /// Write report.md, report.html and the figures again. The rows do not change.
    #[arg(long)]
    write: bool,
    /// Put the table of the run's findings into a Markdown file: between the lines `<!-- findings NAME -->`
    /// and `<!-- /findings NAME -->`, where NAME is the folder of the run, or else `<!-- findings -->` and
    /// `<!-- /findings -->`.
    #[arg(long, value_name = "FILE")]
    splice: Option<PathBuf>,
    /// Print one JSON document on standard output: the claims of the definition with their verdicts.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = arguments.run.as_deref().unwrap_or(Path::new(FINDINGS));
    let recorded = RecordedRun::read(folder)?;
    output::notes(&recorded.notes);
    let run = recorded.run();
    ensure!(
        arguments.splice.is_none() || !run.definition.claims.is_empty(),
        "the run {} does not decide any claim, so it has no findings: name a run of `bitkv verify`",
        folder.display()
    );
    if let Some(path) = &arguments.splice {
        splice_into(path, &place(path, folder), &findings(&run))?;
    }
    if arguments.write {
        write(folder, &files(&run))?;
    }
    match arguments.json {
        true => output::json(&claims::verification(&run)),
        false => {
            output::report(&run)?;
            let spliced =
                arguments.splice.iter().map(|path| format!("\n{}: findings updated\n", path.display()));
            let written =
                arguments.write.then(|| format!("\nReport: {}\n", folder.join("report.html").display()));
            output::text(&spliced.chain(written).collect::<String>())
        }
    }
}

/// Returns the name of the place for the findings of a run in a document: its own place, if there is one.
fn place(document: &Path, run: &Path) -> String {
    let own = run.file_name().map(|name| format!("findings {}", name.to_string_lossy()));
    let text = bitkv_bytes::read_written_document(document, limit::WRITTEN).unwrap_or_default();
    own.filter(|own| text.contains(&format!("<!-- {own} -->"))).unwrap_or_else(|| "findings".to_owned())
}

/// Puts a table between the markers `name` of a document.
pub(crate) fn splice_into(path: &Path, name: &str, content: &str) -> Result<()> {
    let shown = path.display();
    let document = bitkv_bytes::read_written_document(path, limit::WRITTEN)
        .with_context(|| format!("cannot read {shown}"))?;
    let spliced = splice(&document, name, content).map_err(|SpliceError { name }| {
        let lines = format!("'<!-- {name} -->' and '<!-- /{name} -->'");
        anyhow!("{shown} has no place for {name}: put the lines {lines} where the table belongs")
    })?;
    output::file(path, spliced.as_bytes())
}

/// Writes the files of a report into a run folder.
pub(crate) fn write(folder: &Path, files: &[(String, String)]) -> Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        let created = path.parent().map_or(Ok(()), disk::create_folders);
        created.with_context(|| format!("cannot write the report {}", path.display()))?;
        output::file(&path, text.as_bytes())?;
    }
    Ok(())
}

//! `bitkv compare`: two runs, cell by cell.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use bitkv_record::{GridRow, Manifest, has_rows, read_rows_noting};
use bitkv_report::{RecordedRun, compare, render_comparison_markdown, render_comparison_terminal};

use crate::{
    output,
    target::{ForceArgument, Target},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The first run: a folder of `bitkv run`, `bitkv sweep` or `bitkv verify`, such as results/sinks, or its
    /// rows.csv.
    a: PathBuf,
    /// The second run, such as the same definition run with other code. Differences are B minus A.
    b: PathBuf,
    /// Also write the comparison to a Markdown file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgument,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let out = Target::of("--out", arguments.out.as_deref(), arguments.force)?;
    check_inputs(&arguments.a, &arguments.b)?;
    let (a, b) = (rows(&arguments.a)?, rows(&arguments.b)?);
    let names = [&arguments.a, &arguments.b].map(|path| path.display().to_string());
    let comparison = compare((&names[0], &a), (&names[1], &b))?;
    if let Some(out) = out {
        out.write(render_comparison_markdown(&comparison).as_bytes())?;
    }
    if arguments.json {
        return output::json(&comparison);
    }
    output::text(&render_comparison_terminal(&comparison, output::width()))?;
    match &arguments.out {
        Some(path) => output::text(&format!("\nComparison: {}\n", path.display())),
        None => Ok(()),
    }
}

/// Returns an error if the two runs use one name for two different models or texts, because cells are paired
/// by name.
fn check_inputs(a: &Path, b: &Path) -> Result<()> {
    let manifest = |path: &Path| {
        let file = path.join("manifest.json");
        file.exists().then(|| Manifest::read(&file)).transpose()
    };
    let (Some(first), Some(second)) = (manifest(a)?, manifest(b)?) else { return Ok(()) };
    for model in &first.models {
        let other = second.models.iter().find(|other| other.name == model.name);
        ensure!(
            other.is_none_or(|other| other.files == model.files),
            "the models named {} in {} and {} have different files: rename one of them",
            model.name,
            a.display(),
            b.display()
        );
    }
    for text in &first.texts {
        let other = second.texts.iter().find(|other| other.name == text.name);
        ensure!(
            other.is_none_or(|other| other.sha256 == text.sha256),
            "the texts named {} in {} and {} have different contents: rename one of them",
            text.name,
            a.display(),
            b.display()
        );
    }
    Ok(())
}

/// Reads the rows of a run folder, or of a CSV file.
fn rows(path: &Path) -> Result<Vec<GridRow>> {
    let (rows, notes) = if path.join("manifest.json").exists() {
        let recorded = RecordedRun::read(path)?;
        (recorded.run().rows.to_vec(), recorded.notes)
    } else {
        let file = if path.is_dir() { path.join("rows.csv") } else { path.to_owned() };
        ensure!(
            has_rows(&file),
            "{} has no rows.csv: name a finished run folder of `bitkv run`, `bitkv sweep` or `bitkv verify`",
            path.display()
        );
        let mut notes = Vec::new();
        (read_rows_noting(&file, &mut notes)?, notes)
    };
    ensure!(
        !rows.is_empty(),
        "{} has no cells to compare, only profiles or memory: name a run with an [[experiment]]",
        path.display()
    );
    output::notes(&notes);
    Ok(rows)
}

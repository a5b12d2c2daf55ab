//! `bitkv leaderboard`: all runs of a folder on one page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use bitkv_record::{Definition, Manifest};
use bitkv_report::{Leaderboard, ListedRun, RecordedRun};
use serde_json::json;

use crate::{
    output,
    target::{ForceArgument, Target},
};

/// The reports that a run folder may have, the best first.
const REPORTS: [&str; 2] = ["report.html", "report.md"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder of run folders.
    folder: PathBuf,
    /// The page to write [default: index.html in the folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgument,
    /// Print one JSON document on standard output: the page and the runs that are on it.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = &arguments.folder;
    let runs = run_folders(folder)?;
    let page = arguments.out.clone().unwrap_or_else(|| folder.join("index.html"));
    let target = Target::new("--out", &page, arguments.force)?;
    let listed = runs.iter().map(|name| listed(folder, name)).collect::<Result<_>>()?;
    let shown = folder.display();
    ensure!(
        !runs.is_empty(),
        "{shown} has no folder of a finished run: name a folder that holds run folders"
    );
    // Links are relative to the page, so only a page beside the run folders has them.
    let has_links = is_in(&page, folder);
    let mut leaderboard = Leaderboard::new(listed);
    for name in &runs {
        let path = folder.join(name);
        let recorded = RecordedRun::read(&path)?;
        output::notes(&recorded.notes);
        let report = REPORTS.into_iter().find(|report| has_links && path.join(report).is_file());
        leaderboard.add(name, recorded.run(), report);
    }
    target.write(leaderboard.to_html().as_bytes())?;
    match arguments.json {
        true => output::json(&json!({"page": page, "runs": runs})),
        false => output::text(&format!("Leaderboard of {} runs: {}\n", runs.len(), page.display())),
    }
}

/// Returns whether a file is directly in a folder, however both are written.
fn is_in(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    matches!((parent.canonicalize(), folder.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Reads what a run folder measured and when.
fn listed(folder: &Path, name: &str) -> Result<ListedRun> {
    let path = folder.join(name);
    let manifest = Manifest::from_run(&path)?;
    let definition = Definition::read(&path.join("definition.toml"))?;
    Ok(ListedRun::new(name, &definition, &manifest))
}

/// Returns the names of the run folders in a folder, in alphabetical order. Folders without a manifest and a
/// definition are not those of runs.
fn run_folders(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?.path();
        let is_run = ["definition.toml", "manifest.json"].iter().all(|file| path.join(file).is_file());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        names.extend(name.filter(|name| is_run && !name.starts_with('.')));
    }
    names.sort();
    Ok(names)
}

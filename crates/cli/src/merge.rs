//! `bitkv merge`: shards to the run that one machine would have written.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use bitkv_report::{RecordedRun, Run, files};
use bitkv_shards::{Error, Merged, Missing, Shards, UnfinishedMerge};
use serde_json::json;

use crate::{output, report};

/// The most rows for which a report is made without `bitkv report`, which needs all rows in memory.
const REPORTED_ROWS: u64 = 300_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run folder to write.
    out: PathBuf,
    /// Shards that `bitkv run --shard` wrote, or folders that contain them.
    #[arg(required = true)]
    shards: Vec<PathBuf>,
    /// Check the shards and say what is missing, and write nothing.
    #[arg(long)]
    check: bool,
    /// Write no report. `bitkv report OUT --write` makes it later.
    #[arg(long)]
    no_report: bool,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let shards = Shards::open(&arguments.shards)?;
    if let Err(error) = shards.check_complete() {
        if let Error::Missing(missing) = &error {
            show_missing(missing, arguments.json)?;
        }
        return Err(error.into());
    }
    if arguments.check {
        return show_complete(shards.count(), arguments.json);
    }
    let merge = shards.merge(&arguments.out, command())?;
    drop(shards);
    let reported = !arguments.no_report && merge.merged().measured() <= REPORTED_ROWS;
    if reported {
        write_report(&merge).context("the report cannot be made, so nothing was merged: add --no-report")?;
    }
    let merged = merge.finish()?;
    show(&merged, reported, arguments.json)?;
    match merged.failed.first() {
        None => Ok(()),
        Some(first) => bail!(
            "{} cells failed, and all other rows are in {}; the first is {} (shard {})",
            merged.failures,
            merged.folder.display(),
            first.text,
            first.shard
        ),
    }
}

/// Writes the report of a run before the run gets its name, so that no run lacks one.
fn write_report(merge: &UnfinishedMerge) -> Result<()> {
    let recorded = RecordedRun::read(merge.folder())?;
    let target = merge.merged().folder.display().to_string();
    report::write(merge.folder(), &files(&Run { folder: Some(&target), ..recorded.run() }))
}

/// Returns the command line, with the name of the program without its folder.
fn command() -> Vec<String> {
    ["bitkv".to_owned()].into_iter().chain(std::env::args().skip(1)).collect()
}

/// Lists the missing shards and the commands that measure them.
fn show_missing(missing: &Missing, as_json: bool) -> Result<()> {
    let shards = &missing.shards;
    if as_json {
        let listed: Vec<_> = shards
            .iter()
            .map(|shard| json!({"shard": shard.shard, "state": shard.state(), "command": shard.command}))
            .collect();
        return output::json(&json!({
            "missing": listed, "contexts": missing.contexts, "all_contexts": missing.all_contexts,
        }));
    }
    let line = |shard: &bitkv_shards::MissingShard| {
        format!("{} ({}): {}\n", shard.shard, shard.state(), shard.command)
    };
    output::text(&format!("Missing shards:\n{}", shards.iter().map(line).collect::<String>()))
}

fn show_complete(shards: u32, as_json: bool) -> Result<()> {
    match as_json {
        true => output::json(&json!({"shards": shards, "missing": []})),
        false => output::text(&format!("All {shards} shards are here\n")),
    }
}

fn show(merged: &Merged, reported: bool, as_json: bool) -> Result<()> {
    let failed: Vec<_> =
        merged.failed.iter().map(|cell| json!({"shard": cell.shard, "cell": cell.text})).collect();
    if as_json {
        return output::json(&json!({
            "run": merged.folder, "shards": merged.shards, "rows": merged.measured(), "files": merged.rows,
            "failures": merged.failures, "failed": failed, "commands": merged.commands,
        }));
    }
    let folder = merged.folder.display();
    let mut text = format!("{} rows of {} shards: {folder}\n", merged.measured(), merged.shards);
    match reported {
        true => text += &format!("Report: {folder}/report.html\n"),
        false => text += &format!("No report was made: `bitkv report {folder} --write` makes it\n"),
    }
    if !merged.failed.is_empty() {
        text += &format!("{} cells failed:\n", merged.failures);
        merged.failed.iter().for_each(|cell| text += &format!("  {} (shard {})\n", cell.text, cell.shard));
        text += "These commands measure exactly them again; then merge under another name:\n";
        merged.commands.iter().for_each(|command| text += &format!("  {command}\n"));
    }
    output::text(&text)
}

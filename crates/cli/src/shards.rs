//! One shard of a run: what `bitkv run --shard` writes and prints.

use std::path::Path;

use anyhow::{Result, bail};
use bitkv_lab::grid::{Grid, RunOptions, ShardEstimate};
use bitkv_record::{GridRow, Shard};
use bitkv_report::Table;
use serde_json::json;

use crate::{measuring, output};

/// Measures a shard, and writes its run without a report, because a part of the rows decides nothing.
///
/// # Errors
/// Fails if the shard cannot be measured, or if a part of it failed. Its run is then still finished.
pub(crate) fn run(
    grid: &Grid,
    folder: &Path,
    shard: Shard,
    options: &RunOptions<'_>,
    as_json: bool,
) -> Result<()> {
    let measured = measuring::measure(grid, folder, options)?;
    let failed_cells = measured.rows.iter().filter(|row| row.error.is_some()).count();
    let failed = failed_cells + measured.failures.len();
    let rows = measured.rows.len() + measured.heads.len() + measured.memory.len();
    let expected = rows + measured.failures.len();
    let failures = measured.rows.iter().filter_map(GridRow::failure);
    let reason = failures.chain(measured.failures.iter().cloned()).next();
    let (resumed, reused, seconds) = (measured.resumed, measured.reused, measured.manifest.seconds);
    let folder = measured.finish(&[])?;
    if as_json {
        output::json(&json!({
            "run": folder, "shard": shard, "rows": rows, "resumed": resumed, "reused": reused, "failed": failed,
            "seconds": seconds,
        }))?;
    } else {
        output::text(&format!(
            "Shard {shard}: {rows} rows ({resumed} from an earlier attempt, {failed} failed) in {seconds:.0} s\nShard: {}\n",
            folder.display()
        ))?;
    }
    match reason {
        None => Ok(()),
        Some(reason) => bail!("{failed} of {expected} rows of shard {shard} failed; the first is {reason}"),
    }
}

/// Prints that a run is already finished.
pub(crate) fn already_finished(folder: &Path, as_json: bool) -> Result<()> {
    match as_json {
        true => output::json(&json!({"run": folder, "already_finished": true})),
        false => output::text(&format!("{} is already finished\n", folder.display())),
    }
}

/// Returns the estimates of shards as a table.
pub(crate) fn table(shards: &[ShardEstimate]) -> Table {
    let most = shards.iter().map(|shard| shard.seconds).fold(0.0, f64::max);
    let empty = shards.iter().filter(|shard| shard.contexts == 0).count();
    let empty = if empty == 0 { String::new() } else { format!(", {empty} of them empty") };
    let title = format!("{} shards{empty}; the longest takes about {}", shards.len(), hours(most));
    let mut table = Table::titled(title, "shard|contexts|rows|time|memory");
    for ShardEstimate { shard, contexts, rows, seconds, bytes } in shards {
        table.push(vec![
            format!("{shard}/{}", shards.len()),
            contexts.to_string(),
            rows.to_string(),
            hours(*seconds),
            format!("{:.0} MB", *bytes as f64 / 1e6),
        ]);
    }
    table
}

/// Returns a time in seconds, or in hours if it is long.
fn hours(seconds: f64) -> String {
    if seconds < 3600.0 { format!("{seconds:.0} s") } else { format!("{:.1} h", seconds / 3600.0) }
}

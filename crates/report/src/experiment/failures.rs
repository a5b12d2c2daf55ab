//! Failed cells, and the self-check: a full budget must change nothing.

use crate::block::Block;
use crate::format::significant;
use crate::unique;
use bitkv_record::{AskedBudget, Axes, GridRow, KvFormat, PolicyRole, ScoredTask};

/// The largest number of different errors that are listed.
const SHOWN: usize = 20;

/// Returns the list of errors, each with its number of cells and its first cell.
pub(super) fn blocks(rows: &[&GridRow]) -> Vec<Block> {
    let failed: Vec<(&GridRow, &str)> =
        rows.iter().filter_map(|row| Some((*row, row.error.as_deref()?))).collect();
    if failed.is_empty() {
        return Vec::new();
    }
    let errors = unique(failed.iter().map(|(_, error)| *error));
    let described = |error: &&str| {
        let cells = || failed.iter().filter(|(_, other)| other == error);
        let first = cells().next().map_or_else(String::new, |(row, _)| {
            let axes = row.axes.label(&[Axes::default()]);
            let comma = if axes.is_empty() { "" } else { ", " };
            let (policy, budget) = (row.policy_name(), row.budget);
            format!("first {policy} at {budget} on {}, text {}{comma}{axes}", row.model, row.text)
        });
        format!("{error} (cells: {}, {first})", cells().count())
    };
    let mut list: Vec<String> = errors.iter().take(SHOWN).map(described).collect();
    if errors.len() > SHOWN {
        list.push(format!("and {} other errors", errors.len() - SHOWN));
    }
    let text = format!(
        "{} of {} cells failed. They are in no table, so some policies may have fewer texts than others.",
        failed.len(),
        rows.len()
    );
    vec![Block::Text(text), Block::List(list)]
}

/// The KL in nats that summation in another order may cause. Eviction causes far more.
pub(crate) const TOLERANCE: f64 = 1e-5;

/// Compares the cells that kept everything in f16 with the full cache. Returns how many of them have a KL or
/// an agreement, and a sentence for each that differs.
fn differing_cells(rows: &[&GridRow]) -> (usize, Vec<String>) {
    let keeps_everything = |row: &&&GridRow| {
        row.error.is_none()
            && row.task == ScoredTask::TEXT
            && row.budget == AskedBudget::FULL
            && row.axes.kv == KvFormat::F16
            && row.kept_entries == row.full_entries
            && (row.kl_nats.is_some() || row.agreement.is_some())
    };
    let failure = |row: &&GridRow| {
        let (kl, agreement) = (row.kl_nats.unwrap_or(0.0), row.agreement.unwrap_or(1.0));
        let policy = if row.role == PolicyRole::Full { "the full cache" } else { row.policy_name() };
        let name = format!("{policy} on {}, eviction {}, text {}", row.model, row.axes.when, row.text);
        (kl.abs() > TOLERANCE || agreement < 1.0 || kl.is_nan()).then(|| {
            format!("{name}: KL {} nats, agreement {}", significant(kl, 3), significant(agreement, 3))
        })
    };
    let checked = || rows.iter().filter(keeps_everything);
    (checked().count(), checked().filter_map(failure).collect())
}

/// Returns the result of the self-check.
pub(super) fn self_check(rows: &[&GridRow]) -> Vec<Block> {
    let (n, mut shown) = differing_cells(rows);
    let failed = shown.len();
    if n == 0 {
        let text = "Self-check: no cell kept everything at budget 1, so it was not tested that a full budget changes nothing.";
        return vec![Block::Text(text.to_owned())];
    }
    if failed == 0 {
        return vec![Block::Text(format!(
            "Self-check: in all {n} cells that keep everything at budget 1, KL is 0 and agreement is 100 %."
        ))];
    }
    let text = format!(
        "Self-check FAILED: {failed} of {n} cells that keep everything at budget 1 differ from the full cache, so do not \
         trust the numbers below."
    );
    if failed > 5 {
        shown.truncate(5);
        shown.push(format!("and {} more", failed - 5));
    }
    vec![Block::Text(text), Block::List(shown)]
}

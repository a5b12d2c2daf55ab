//! Cells that failed, and whether a full budget changed anything.

use crate::compression::{FULL, SelfCheck, of_whole};
use crate::document::Block;
use crate::unique;
use bitkv_record::{AskedBudget, GridRow, KvFormat, ScoredTask};

/// How many different errors are listed.
const SHOWN: usize = 20;

/// The errors, each with how many cells it stopped and which was the first.
pub(super) fn blocks(rows: &[&GridRow]) -> Vec<Block> {
    let failed: Vec<(&GridRow, &str)> =
        rows.iter().filter_map(|row| Some((*row, row.error.as_deref()?))).collect();
    if failed.is_empty() {
        return Vec::new();
    }
    let errors = unique(failed.iter().map(|(_, error)| *error));
    let said = |error: &&str| {
        let own = || failed.iter().filter(|(_, other)| other == error);
        let first = own().next().map_or_else(String::new, |(row, _)| {
            format!("first {} at {} on {}, text {}", row.policy, row.budget, row.model, row.text)
        });
        format!("{error} (cells: {}, {first})", own().count())
    };
    let mut list: Vec<String> = errors.iter().take(SHOWN).map(said).collect();
    if errors.len() > SHOWN {
        list.push(format!("and {} other errors", errors.len() - SHOWN));
    }
    let text = format!(
        "{} of {} cells failed; they are in no table, so a policy may be there with fewer texts than others.",
        failed.len(),
        rows.len()
    );
    vec![Block::Text(text), Block::List(list)]
}

/// Cells that kept everything in f16 must give the answers of the full cache.
pub(super) fn self_check(rows: &[&GridRow]) -> SelfCheck {
    let whole = |row: &&&GridRow| {
        row.error.is_none()
            && row.task == ScoredTask::TEXT
            && row.budget == AskedBudget::FULL
            && row.kv == KvFormat::F16
            && row.kept_entries == row.full_entries
    };
    of_whole(rows.iter().filter(whole).map(|row| {
        let policy = if row.policy == FULL { "the full cache" } else { &row.policy };
        let name = format!("{policy} on {}, cut {}, text {}", row.model, row.when, row.text);
        (name, row.kl_nats, row.agreement)
    }))
}

//! Cells that failed, and whether a full budget changed anything.

use crate::document::Block;
use crate::format::significant;
use crate::unique;
use bitkv_record::{AskedBudget, GridRow, KvFormat, PolicyRole, ScoredTask};

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
            format!("first {} at {} on {}, text {}", row.policy_name(), row.budget, row.model, row.text)
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

/// KL that summing in another order may cause, in nats; eviction causes far more.
pub(super) const TOLERANCE: f64 = 1e-5;

/// Whether the cells at budget 1 gave the full cache's answers.
struct SelfCheck {
    /// Cells at budget 1 that kept everything and have a KL or an agreement.
    checked: usize,
    /// One sentence for each cell that differs from the full cache.
    failures: Vec<String>,
}

/// Cells that kept everything in f16 must give the answers of the full cache.
fn self_check(rows: &[&GridRow]) -> SelfCheck {
    let whole = |row: &&&GridRow| {
        row.error.is_none()
            && row.task == ScoredTask::TEXT
            && row.budget == AskedBudget::FULL
            && row.axes.kv == KvFormat::F16
            && row.kept_entries == row.full_entries
    };
    of_whole(rows.iter().filter(whole).map(|row| {
        let policy = if row.role == PolicyRole::Full { "the full cache" } else { row.policy_name() };
        let name = format!("{policy} on {}, cut {}, text {}", row.model, row.axes.when, row.text);
        (name, row.kl_nats, row.agreement)
    }))
}

/// Checks cells that kept everything, each with its name, KL in nats and agreement; those without either do not count.
fn of_whole(cells: impl Iterator<Item = (String, Option<f64>, Option<f64>)>) -> SelfCheck {
    let mut check = SelfCheck { checked: 0, failures: Vec::new() };
    for (name, kl, agreement) in cells.filter(|(_, kl, agreement)| kl.is_some() || agreement.is_some()) {
        check.checked += 1;
        let (kl, agreement) = (kl.unwrap_or(0.0), agreement.unwrap_or(1.0));
        if kl.abs() > TOLERANCE || agreement < 1.0 || kl.is_nan() {
            let (kl, agreement) = (significant(kl, 3), significant(agreement, 3));
            check.failures.push(format!("{name}: KL {kl} nats, agreement {agreement}"));
        }
    }
    check
}

/// What came of the self-check.
pub(super) fn checked(rows: &[&GridRow]) -> Vec<Block> {
    let check = self_check(rows);
    let (failed, n) = (check.failures.len(), check.checked);
    if n == 0 {
        let text = "Self-check: no cell kept everything at budget 1, so nothing shows that a full budget changes nothing.";
        return vec![Block::Text(text.to_owned())];
    }
    if failed == 0 {
        return vec![Block::Text(format!(
            "Self-check: in all {n} cells that keep everything at budget 1, KL is 0 and agreement is 100 %."
        ))];
    }
    let text = format!(
        "Self-check FAILED: {failed} of {n} cells that keep everything at budget 1 differ from the full cache, so the \
         numbers below are not to be trusted."
    );
    let mut shown = check.failures;
    if failed > 5 {
        shown.truncate(5);
        shown.push(format!("and {} more", failed - 5));
    }
    vec![Block::Text(text), Block::List(shown)]
}

//! A full budget must change nothing.

use super::FULL;
use crate::format::significant;
use bitkv_record::{CellRow, Task};

/// KL that summing in another order may cause, in nats; eviction causes far more.
pub(crate) const TOLERANCE: f64 = 1e-5;

/// Whether the cells at budget 1 gave the full cache's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfCheck {
    /// Cells at budget 1 that kept everything and have a KL or an agreement.
    pub checked: usize,
    /// One sentence for each cell that differs from the full cache.
    pub failures: Vec<String>,
}

/// Checks that wherever everything was kept, KL is 0 and agreement is 1. What a rule evicts at a nominal budget of 1
/// is its own doing and not checked.
pub fn self_check(cells: &[CellRow]) -> SelfCheck {
    let whole = |cell: &&CellRow| {
        cell.task == Task::Text && cell.budget == 1.0 && cell.kept_tokens == cell.full_tokens
    };
    let named = |cell: &CellRow| {
        let policy = if cell.policy == FULL { "the full cache" } else { &cell.policy };
        format!("{policy} on {}, text {}", cell.model, cell.text)
    };
    of_whole(cells.iter().filter(whole).map(|cell| (named(cell), cell.kl_nats, cell.agreement)))
}

/// Checks cells that kept everything, each with its name, KL in nats and agreement; those without either do not count.
pub(crate) fn of_whole(cells: impl Iterator<Item = (String, Option<f64>, Option<f64>)>) -> SelfCheck {
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

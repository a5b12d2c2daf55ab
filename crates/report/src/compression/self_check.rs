//! A full budget must change nothing.

use super::FULL;
use crate::format::significant;
use bitkv_record::{CellRow, Task};

/// KL that summing in another order may cause, in nats; eviction causes far more.
const TOLERANCE: f64 = 1e-5;

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
    let checked: Vec<&CellRow> =
        cells.iter().filter(whole).filter(|c| c.kl_nats.is_some() || c.agreement.is_some()).collect();
    let failures = checked.iter().filter_map(|cell| {
        let kl = cell.kl_nats.unwrap_or(0.0);
        let agreement = cell.agreement.unwrap_or(1.0);
        let same = kl.abs() <= TOLERANCE && agreement >= 1.0;
        let policy = if cell.policy == FULL { "the full cache" } else { &cell.policy };
        let (kl, agreement) = (significant(kl, 3), significant(agreement, 3));
        (!same).then(|| {
            format!("{policy} on {}, text {}: KL {kl} nats, agreement {agreement}", cell.model, cell.text)
        })
    });
    SelfCheck { checked: checked.len(), failures: failures.collect() }
}

//! The compression claim: what each policy keeps and what that costs.

mod charts;
mod kind;
mod self_check;
mod summary;
mod tables;
#[cfg(test)]
mod tests;

use crate::format::significant;

pub use charts::charts;
pub use kind::Kind;
pub use self_check::{SelfCheck, self_check};
pub(crate) use self_check::{TOLERANCE, of_whole};
pub use summary::{BudgetSummary, FULL, ModelCompression, PolicySummary, summaries};
pub(crate) use tables::{SELECTION, explain_marks};
pub use tables::{brief, sizes, tables};

/// How the columns of the compression tables are to be read; said once above them.
pub(crate) const READING: &str = "KL, agreement and Δ NLL are relative to the full cache on the same targets: means \
over texts with bootstrap intervals over texts, paired by text for Δ NLL. Perplexity weighs texts by their targets. \
Recall is resampled over contexts. Within a group the lowest KL comes first.";

/// A budget as the compression it asks for: `5x`.
pub(crate) fn factor(budget: f64) -> String {
    let text = significant(1.0 / budget, 3);
    let short =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    format!("{short}x")
}

fn marked(p: &PolicySummary) -> String {
    with_marks(&p.policy, p.oracle, p.conserving)
}

/// A policy's name with its marks; the full cache asks for nothing, so it breaks no promise.
pub(crate) fn with_marks(policy: &str, oracle: bool, conserving: bool) -> String {
    let oracle = if oracle { " †" } else { "" };
    let loose = if conserving || policy == FULL { "" } else { " ‡" };
    format!("{policy}{oracle}{loose}")
}

//! Rows with numbers that are easy to check by hand.

use bitkv_record::{AskedBudget, GridRow, Row};

/// Returns a measured cell with the given KL.
pub(crate) fn row(policy: &str, budget: &str, text: &str, kl: f64) -> GridRow {
    let budget: AskedBudget = budget.parse().unwrap();
    let whole = policy == "full" || budget == AskedBudget::FULL;
    let kept = if whole { 100 } else { 50 };
    let mut row = GridRow {
        key: "0".repeat(16),
        experiment: "first".into(),
        model: "m".into(),
        policy: policy.into(),
        oracle: policy == "uniform+oracle",
        conserving: policy != "entropy-global",
        budget,
        text: text.into(),
        register: if text == "c" { "code".into() } else { "prose".into() },
        context_tokens: 100,
        asked_entries: Some(kept),
        kept_entries: Some(kept),
        full_entries: Some(100),
        cache_bytes: Some(kept as u64 * 10_000),
        full_bytes: Some(1_000_000),
        attention_cosine: Some(0.9),
        retained_mass: Some(0.8),
        kl_nats: Some(kl),
        agreement: Some(if kl == 0.0 { 1.0 } else { 0.75 }),
        nll_nats: Some(2.0),
        nll_difference: Some(0.0),
        targets: 8,
        ..GridRow::default()
    };
    // Roles follow from names, as in old rows.
    row.upgrade();
    row
}

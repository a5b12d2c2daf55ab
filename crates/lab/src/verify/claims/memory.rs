use anyhow::{Context, Result};
use bitkv_record::{Accounting, Claim, ClaimId, MemoryRow, Statement};
use serde_json::json;

use super::{percent, tested};
use crate::memory::{headline_share, published_models};

/// The headline.
const HEADLINE: f64 = 0.686;
/// How far a share may be off and still count as the same, one percentage point.
const TOLERANCE: f64 = 0.01;

/// "68.6 % of the memory is KV cache."
pub(super) fn claim(rows: &[MemoryRow]) -> Result<Claim> {
    let models = published_models()?;
    let large = models.first().context("the shipped configurations lack bitnet_b1_58-large")?;
    let mut statements = vec![reproduced(rows), headline(headline_share(large))];
    statements.extend(rows.iter().filter_map(|row| actual(row, rows)));
    let of = |accounting| {
        let rows = rows.iter().filter(|r| r.accounting == accounting);
        rows.map(|r| json!({"model": r.model, "context": r.context, "kv_fraction": r.kv_fraction}))
            .collect::<Vec<_>>()
    };
    let published = rows.iter().filter_map(|r| Some((r, r.published_fraction?)));
    let published: Vec<_> = published
        .map(|(r, share)| json!({"model": r.model, "context": r.context, "kv_fraction": share}))
        .collect();
    Ok(Claim::new(
        ClaimId::Memory,
        "The KV cache dominates the memory of a BitNet model",
        statements,
        json!({"headline": HEADLINE, "table": published}),
        json!({
            "published_accounting": of(Accounting::Published),
            "actual_accounting": of(Accounting::Actual),
            "measured": of(Accounting::Measured),
        }),
    ))
}

/// Whether the published arithmetic gives the published table.
fn reproduced(rows: &[MemoryRow]) -> Statement {
    let pairs: Vec<(f64, f64)> =
        rows.iter().filter_map(|r| Some((r.published_fraction?, r.kv_fraction))).collect();
    let same = |a: f64, b: f64| (a * 1000.0).round() == (b * 1000.0).round();
    let right = pairs.iter().filter(|(published, computed)| same(*published, *computed)).count();
    tested(
        "The published formula gives the published table to its last printed digit",
        format!("{} shares", pairs.len()),
        format!("{right} of {} agree", pairs.len()),
        right == pairs.len(),
        "weights at 1.58 bits including embeddings, an untied head for the 0.7B model, KV in f16, one activation row a token".into(),
    )
}

fn headline(share: f64) -> Statement {
    tested(
        "The headline follows from a formula of its own, without activations and with 0.7e9 parameters",
        percent(HEADLINE),
        percent(share),
        (share - HEADLINE).abs() < 0.0005,
        "bitnet_b1_58-large at 2048 tokens".into(),
    )
}

/// A published share against what a runtime holds.
fn actual(row: &MemoryRow, rows: &[MemoryRow]) -> Option<Statement> {
    let published = row.published_fraction?;
    let real = rows
        .iter()
        .find(|r| r.accounting == Accounting::Actual && r.model == row.model && r.context == row.context)?;
    let holds = (real.kv_fraction - published).abs() <= TOLERANCE;
    Some(tested(
        &format!("KV share of {} at {} tokens", row.model, row.context),
        percent(published),
        percent(real.kv_fraction),
        holds,
        "no runtime stores embeddings at 1.58 bits: 2 bits a ternary weight, f16 embedding, f32 norms; within 1 point".into(),
    ))
}

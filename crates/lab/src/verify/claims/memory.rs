use anyhow::{Context, Result};
use bitkv_record::{Accounting, Claim, ClaimId, MemoryRow, Statement};
use serde_json::json;

use super::{percent, reproduction, tested, untested};
use crate::memory::{Shape, headline_share, published_models};

/// The headline.
const HEADLINE: f64 = 0.686;
/// The context it was stated for.
const HEADLINE_CONTEXT: usize = 2048;
const RUNTIME: &str = "no runtime stores embeddings at 1.58 bits: 2 bits a ternary weight, f16 embedding, f32 norms; within 1 point";
/// How far a share may be off and still count as the same, one percentage point.
const TOLERANCE: f64 = 0.01;

/// "68.6 % of the memory is KV cache."
pub(super) fn claim(rows: &[MemoryRow]) -> Result<Claim> {
    let models = published_models()?;
    let large = models.first().context("the shipped configurations lack bitnet_b1_58-large")?;
    let mut statements = vec![
        reproduction(reproduced(rows)),
        reproduction(headline(headline_share(large))),
        dominates(rows, large),
    ];
    statements.extend(rows.iter().filter_map(|row| actual(row, rows)));
    statements.extend(rows.iter().filter(|r| r.accounting == Accounting::Measured).map(measured));
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

/// The headline against what a runtime holds of the model it was stated for.
fn dominates(rows: &[MemoryRow], large: &Shape) -> Statement {
    let real = rows.iter().find(|r| {
        r.accounting == Accounting::Actual && r.model == large.name && r.context == HEADLINE_CONTEXT
    });
    let text = "68.6 % of the memory of a BitNet model is KV cache";
    match real {
        Some(row) => tested(
            text,
            percent(HEADLINE),
            format!("{} of {} at {HEADLINE_CONTEXT} tokens", percent(row.kv_fraction), large.name),
            (row.kv_fraction - HEADLINE).abs() <= TOLERANCE,
            RUNTIME.into(),
        ),
        None => untested(text, percent(HEADLINE), "the row is missing".into()),
    }
}

/// The model at hand, from its buffers.
fn measured(row: &MemoryRow) -> Statement {
    tested(
        &format!("{}: the KV cache is most of the memory", row.model),
        "more than half".into(),
        format!("{} at {} tokens", percent(row.kv_fraction), row.context),
        row.kv_fraction > 0.5,
        "bytes of weights and cache as allocated for them, activations computed".into(),
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
        RUNTIME.into(),
    ))
}

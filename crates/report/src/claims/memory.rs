//! Claim 1: the KV cache dominates the memory of a BitNet model.

use super::claim::{Claim, Statement};
use super::statement::{missing, percent, reproduction, tested};
use crate::Run;
use bitkv_record::{Accounting, ClaimId, MemoryRow};
use serde_json::json;

/// The model that the headline was stated for.
const HEADLINE_MODEL: &str = "bitnet_b1_58-large";
/// The bytes of weights that the headline counts: 0.7e9 parameters of 1.58 bits. It counts no activations.
const HEADLINE_WEIGHTS: f64 = 0.7e9 * 1.58 / 8.0;
/// The headline: the KV share of memory.
const HEADLINE: f64 = 0.686;
/// The context that the headline was stated for, in tokens.
const HEADLINE_CONTEXT: usize = 2048;
/// The reason of statements about what a runtime stores.
const RUNTIME: &str = "The measured share counts what a runtime stores: 2 bits per ternary weight, f16 embeddings and f32 norms. \
No runtime stores embeddings at 1.58 bits. The statement holds if the two shares are within 1 point.";
/// The largest difference at which two shares count as the same: one percentage point.
const TOLERANCE: f64 = 0.01;

/// "68.6 % of the memory is KV cache."
pub(super) fn claim(run: &Run<'_>) -> Claim {
    let rows = run.memory;
    let headline = row_at(rows, HEADLINE_MODEL, HEADLINE_CONTEXT, Accounting::Actual);
    let mut statements = vec![reproduction(reproduced(rows))];
    statements.extend(headline.map(|row| reproduction(headline_share(row))));
    statements.push(dominates(headline));
    statements.extend(rows.iter().filter_map(|row| published_share(row, rows)));
    statements.extend(rows.iter().filter(|r| r.accounting == Accounting::Measured).map(measured));
    let entry =
        |r: &MemoryRow, share: f64| json!({"model": r.model, "context": r.context, "kv_fraction": share});
    let entries = |accounting| {
        let rows = rows.iter().filter(|r| r.accounting == accounting);
        rows.map(|r| entry(r, r.kv_fraction)).collect::<Vec<_>>()
    };
    let published = rows.iter().filter_map(|r| Some(entry(r, r.published_fraction?)));
    Claim::new(
        ClaimId::Memory,
        "The KV cache dominates the memory of a BitNet model",
        statements,
        key_numbers(rows),
        json!({"headline": HEADLINE, "table": published.collect::<Vec<_>>()}),
        json!({
            "published_accounting": entries(Accounting::Published),
            "actual_accounting": entries(Accounting::Actual),
            "measured": entries(Accounting::Measured),
        }),
    )
}

/// Returns the row of one model at one context under one accounting.
fn row_at<'a>(
    rows: &'a [MemoryRow],
    model: &str,
    context: usize,
    accounting: Accounting,
) -> Option<&'a MemoryRow> {
    rows.iter().find(|r| r.model == model && r.context == context && r.accounting == accounting)
}

/// Returns the largest published share of each model with the share that a runtime stores.
fn key_numbers(rows: &[MemoryRow]) -> Vec<[String; 3]> {
    let mut numbers = Vec::new();
    for model in crate::unique(rows.iter().map(|row| row.model.as_str())) {
        let published = rows
            .iter()
            .filter(|row| row.model == model)
            .filter_map(|row| Some((row, row.published_fraction?)));
        let Some((row, share)) = published.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        let headline = if model == HEADLINE_MODEL {
            format!("{} (headline), {} (table)", percent(HEADLINE), percent(share))
        } else {
            percent(share)
        };
        if let Some(stored) = row_at(rows, model, row.context, Accounting::Actual) {
            let what = format!("KV cache as a share of memory, {model} at {} tokens", row.context);
            numbers.push([
                what,
                headline,
                format!("{} with weights as a runtime stores them", percent(stored.kv_fraction)),
            ]);
        }
    }
    numbers
}

/// Returns the statement on whether the published formula gives the published table.
fn reproduced(rows: &[MemoryRow]) -> Statement {
    let pairs: Vec<(f64, f64)> =
        rows.iter().filter_map(|r| Some((r.published_fraction?, r.kv_fraction))).collect();
    let same = |a: f64, b: f64| (a * 1000.0).round() == (b * 1000.0).round();
    let right = pairs.iter().filter(|(published, computed)| same(*published, *computed)).count();
    let text = "The published formula reproduces the published table to its last printed digit";
    if pairs.is_empty() {
        return missing(text, "7 shares".into());
    }
    tested(
        text,
        format!("{} shares", pairs.len()),
        format!("{right} of {} shares agree", pairs.len()),
        right == pairs.len(),
        "The formula counts all weights at 1.58 bits, embeddings included, a separate LM head for the 0.7B model, the cache \
         in f16, and one activation vector per token."
            .into(),
    )
}

/// Returns the statement on whether a formula without activations gives the headline.
fn headline_share(row: &MemoryRow) -> Statement {
    let share = row.kv_bytes as f64 / (row.kv_bytes as f64 + HEADLINE_WEIGHTS);
    tested(
        "The headline follows from a second formula, which counts 0.7e9 parameters and no activations",
        percent(HEADLINE),
        percent(share),
        (share - HEADLINE).abs() < 0.0005,
        "The headline is for bitnet_b1_58-large at 2048 tokens.".into(),
    )
}

/// Returns the statement that compares the headline with what a runtime stores, for the model of the
/// headline.
fn dominates(headline: Option<&MemoryRow>) -> Statement {
    let text = "The KV cache is 68.6 % of the memory of a BitNet model";
    match headline {
        Some(row) => tested(
            text,
            percent(HEADLINE),
            format!("{} for {HEADLINE_MODEL} at {HEADLINE_CONTEXT} tokens", percent(row.kv_fraction)),
            (row.kv_fraction - HEADLINE).abs() <= TOLERANCE,
            RUNTIME.into(),
        ),
        None => missing(text, percent(HEADLINE)),
    }
}

/// Returns the statement on whether the cache is most of the memory of a measured model, by the bytes of its
/// buffers.
fn measured(row: &MemoryRow) -> Statement {
    tested(
        &format!("{}: the KV cache is more than half of the memory", row.model),
        "more than half".into(),
        format!("{} at {} tokens", percent(row.kv_fraction), row.context),
        row.kv_fraction > 0.5,
        "The bytes of weights and cache are those of the allocated buffers; activations are computed.".into(),
    )
}

/// Returns the statement that compares a published share with what a runtime stores.
fn published_share(row: &MemoryRow, rows: &[MemoryRow]) -> Option<Statement> {
    let published = row.published_fraction?;
    let real = row_at(rows, &row.model, row.context, Accounting::Actual)?;
    let holds = (real.kv_fraction - published).abs() <= TOLERANCE;
    Some(tested(
        &format!("The published KV share of memory holds for {} at {} tokens", row.model, row.context),
        percent(published),
        percent(real.kv_fraction),
        holds,
        RUNTIME.into(),
    ))
}

//! Claim 1: the KV cache dominates the memory of a BitNet model.

use super::claim::{Claim, Statement};
use super::command;
use super::rule::{decide, near};
use super::statement::{decided, missing, percent, reproduction};
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
/// The parameters of a separate LM head of the model of the headline: 32,002 tokens by 1,536 channels. The
/// published table counts them; the model's configuration ties the head to the embedding.
const HEADLINE_HEAD: u64 = 32_002 * 1_536;
/// What statements about stored bytes mean.
const RUNTIME: &str = "The measured share counts what a runtime stores: 2 bits per ternary weight, f16 embeddings and f32 norms. \
No runtime stores embeddings at 1.58 bits.";
/// What the statements about most of the memory mean.
const MOST: &str = "The same rule and the same accounting, what a runtime stores, decide for all models, each at \
its longest context.";
/// The largest difference at which two shares count as the same: one percentage point.
const TOLERANCE: f64 = 0.01;

/// "68.6 % of the memory is KV cache."
pub(super) fn claim(run: &Run<'_>) -> Claim {
    let rows = run.memory;
    let headline = row_at(rows, HEADLINE_MODEL, HEADLINE_CONTEXT, Accounting::Actual);
    let mut statements = vec![reproduction(reproduced(rows))];
    statements.extend(headline.map(|row| reproduction(headline_share(row))));
    statements.push(headline_holds(run, headline));
    statements.extend(rows.iter().filter_map(|row| published_share(run, row)));
    statements.extend(largest(rows).into_iter().map(|row| dominates(run, row)));
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
    decided(
        text,
        format!("{} shares", pairs.len()),
        format!("{right} of {} shares agree", pairs.len()),
        decide(Some(right == pairs.len()), "Yes if every share agrees to 0.1 points, else no."),
        "The formula counts all weights at 1.58 bits, embeddings included, a separate LM head for the 0.7B model, the cache \
         in f16, and one activation vector per token.",
    )
}

/// Returns the statement on whether a formula without activations gives the headline.
fn headline_share(row: &MemoryRow) -> Statement {
    let share = row.kv_bytes as f64 / (row.kv_bytes as f64 + HEADLINE_WEIGHTS);
    decided(
        "The headline follows from a second formula, which counts 0.7e9 parameters and no activations",
        percent(HEADLINE),
        percent(share),
        near(share, HEADLINE, 0.0005, "0.05 points"),
        "The headline is for bitnet_b1_58-large at 2048 tokens.",
    )
}

/// Returns the statement that compares the headline with what a runtime stores, for the model of the
/// headline.
fn headline_holds(run: &Run<'_>, headline: Option<&MemoryRow>) -> Statement {
    let text = "The KV cache is 68.6 % of the memory of a BitNet model";
    let Some(row) = headline else { return missing(text, percent(HEADLINE)) };
    let measured = format!("{} for {HEADLINE_MODEL} at {HEADLINE_CONTEXT} tokens", percent(row.kv_fraction));
    stored(run, row, text, HEADLINE, measured)
}

/// Returns the statement that compares a published share with what a runtime stores.
fn published_share(run: &Run<'_>, row: &MemoryRow) -> Option<Statement> {
    let published = row.published_fraction?;
    let real = row_at(run.memory, &row.model, row.context, Accounting::Actual)?;
    let text = format!("The published KV share of memory holds for {} at {} tokens", row.model, row.context);
    Some(stored(run, real, &text, published, percent(real.kv_fraction)))
}

/// Returns a statement that compares a published share with what a runtime stores.
fn stored(run: &Run<'_>, real: &MemoryRow, text: &str, published: f64, measured: String) -> Statement {
    let rule = near(real.kv_fraction, published, TOLERANCE, "1 point");
    let reason = match real.model == HEADLINE_MODEL {
        true => format!("{RUNTIME} {}", separate_head(run.memory)),
        false => RUNTIME.to_owned(),
    };
    decided(text, percent(published), measured, rule, &reason).decided_by(command::memory(
        run,
        &real.model,
        Accounting::Actual,
        real.context,
    ))
}

/// Says what the share of the model of the headline would be with the LM head that the published table
/// counts, at the context of the headline.
fn separate_head(rows: &[MemoryRow]) -> String {
    let Some(row) = row_at(rows, HEADLINE_MODEL, HEADLINE_CONTEXT, Accounting::Actual) else {
        return String::new();
    };
    let share = row.kv_bytes as f64 / (row.total_bytes + 2 * HEADLINE_HEAD) as f64;
    format!(
        "The published table also counts a separate LM head of {:.0} million weights, which the configuration of {HEADLINE_MODEL} ties \
         to the embedding. With a separate head in f16 the share at {HEADLINE_CONTEXT} tokens would be {}.",
        HEADLINE_HEAD as f64 / 1e6,
        percent(share)
    )
}

/// Returns the row of each model at its longest context, by what a runtime stores.
fn largest(rows: &[MemoryRow]) -> Vec<&MemoryRow> {
    let stored = |model: &str| {
        let own = rows.iter().filter(|row| row.model == model && row.accounting == Accounting::Actual);
        own.max_by_key(|row| row.context)
    };
    crate::unique(rows.iter().map(|row| row.model.as_str())).into_iter().filter_map(stored).collect()
}

/// Returns the statement on whether the cache is most of the memory of a model.
fn dominates(run: &Run<'_>, row: &MemoryRow) -> Statement {
    let buffers = run.memory.iter().find(|r| is_measured_part(r, row)).map(|measured| {
        format!("; {} at {} tokens by its buffers", percent(measured.kv_fraction), measured.context)
    });
    let rule =
        decide(Some(row.kv_fraction > 0.5), "Yes if more than half of the bytes are KV cache, else no.");
    let reason = match row.model == HEADLINE_MODEL {
        true => format!("{MOST} {}", separate_head(run.memory)),
        false => MOST.to_owned(),
    };
    decided(
        &format!("{}: the KV cache is more than half of the memory", row.model),
        "more than half".into(),
        format!("{} at {} tokens{}", percent(row.kv_fraction), row.context, buffers.unwrap_or_default()),
        rule,
        &reason,
    )
    .decided_by(command::memory(run, &row.model, row.accounting, row.context))
}

/// Returns whether a row has the bytes of the allocated buffers of the same model.
fn is_measured_part(measured: &MemoryRow, row: &MemoryRow) -> bool {
    measured.model == row.model && measured.accounting == Accounting::Measured
}

//! Compares two runs cell by cell.
//!
//! [`compare`] matches the cells of two runs and returns a [`Comparison`]. Its [`ComparedCell`]s have a
//! [`Difference`] for each measure.

mod document;
mod matching;

use crate::experiment::{Quantity, by_text, pooled};
use crate::interval::{self, Estimate};
use crate::unique;
use bitkv_record::{AskedBudget, Axes, Field, GridRow, Row, ScoredTask, TaskKind};
use matching::{by_cell, pairs};
use serde::Serialize;
use std::collections::BTreeSet;

pub use document::{render_comparison_markdown, render_comparison_terminal};

/// The reason why two runs cannot be compared. Every message is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The runs have no cell in common.
    #[error(
        "'{a}' and '{b}' have no cell in common: compare runs that share experiment, model, policy, budget, task and text"
    )]
    NothingMatches {
        /// The name of the first run.
        a: String,
        /// The name of the second run.
        b: String,
    },
    /// Cells match except for the length of their contexts.
    #[error(
        "'{a}' and '{b}' have contexts of different lengths ({length_a} and {length_b} tokens for text '{text}'): compare \
         runs with the same context"
    )]
    Contexts {
        /// The name of the first run.
        a: String,
        /// The name of the second run.
        b: String,
        /// The name of a text that both runs have.
        text: String,
        /// The number of tokens in the cache of the first run.
        length_a: usize,
        /// The number of tokens in the cache of the second run.
        length_b: usize,
    },
    /// Cells match except for what was scored.
    #[error(
        "'{a}' and '{b}' score {scored_a} and {scored_b} of text '{text}': compare runs with the same horizon and the same \
         tasks"
    )]
    Scored {
        /// The name of the first run.
        a: String,
        /// The name of the second run.
        b: String,
        /// The name of a text that both runs have.
        text: String,
        /// What the first run scored, such as "60 tokens".
        scored_a: String,
        /// What the second run scored.
        scored_b: String,
    },
}

/// The result of comparing two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The name of the first run.
    pub a: String,
    /// The name of the second run.
    pub b: String,
    /// The number of cells that both runs have.
    pub matched: usize,
    /// The number of matched cells with equal measurements, equal kept positions and equal errors.
    pub identical: usize,
    /// The number of matched cells that failed in at least one run. They are not in any difference.
    pub failed: usize,
    /// The number of cells that only the first run has.
    pub only_a: usize,
    /// The number of cells that only the second run has.
    pub only_b: usize,
    /// Whether the runs have texts but none in common, so that only generated contexts were compared.
    pub only_generated: bool,
    /// The differences, pooled over texts and seeds, in the order of the first run.
    pub groups: Vec<ComparedCell>,
}

/// One policy at one budget in both runs, pooled over texts and seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedCell {
    /// The name of the experiment.
    pub experiment: String,
    /// The name of the model.
    pub model: String,
    /// The policy.
    pub policy: String,
    /// The requested budget.
    pub budget: AskedBudget,
    /// The form, time of eviction, positions and KV format.
    #[serde(flatten)]
    pub axes: Axes,
    /// The task that was scored.
    pub task: ScoredTask,
    /// The number of texts or contexts that both runs have.
    pub texts: usize,
    /// The KL divergence from the full cache, nats.
    pub kl_nats: Option<Difference>,
    /// The fraction of targets with the full cache's most likely token.
    pub agreement: Option<Difference>,
    /// The negative log-likelihood in nats per target.
    pub nll_nats: Option<Difference>,
    /// The fraction of right answers.
    pub accuracy: Option<Difference>,
    /// The fraction of entries kept.
    pub kept: Option<Difference>,
}

/// One measure in both runs, over the texts that both runs measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The mean of the first run.
    pub a: f64,
    /// The mean of the second run.
    pub b: f64,
    /// The mean over texts of the second run minus the first, with its 95 % interval.
    pub difference: Estimate,
}

/// Compares two runs, each given as its name and its rows. Cells match by experiment, model, form, policy,
/// budget, time of eviction, positions, KV format, seed, task, text, depth, context length, number of scored
/// tokens and number of questions. The last two are ignored for a failed cell, which scored nothing.
/// Differences pool the seeds of a policy and the questions of a context.
///
/// # Errors
/// Returns an error if no cell matches. It says whether different context lengths or different scoring are
/// the reason.
pub fn compare(
    (a, rows_a): (&str, &[GridRow]),
    (b, rows_b): (&str, &[GridRow]),
) -> Result<Comparison, CompareError> {
    let found = pairs(rows_a, rows_b);
    if found.is_empty() {
        return Err(matching::refusal((a, rows_a), (b, rows_b)));
    }
    let failed = |(a, b): &&(&GridRow, &GridRow)| a.error.is_some() || b.error.is_some();
    let measured: Vec<(GridRow, GridRow)> =
        found.iter().filter(|pair| !failed(pair)).map(|(a, b)| (pooled(a), pooled(b))).collect();
    Ok(Comparison {
        a: a.to_owned(),
        b: b.to_owned(),
        matched: found.len(),
        identical: found.iter().filter(|(a, b)| same(a, b)).count(),
        failed: found.iter().filter(failed).count(),
        only_a: rows_a.len() - found.len(),
        only_b: rows_b.len() - found.len(),
        only_generated: have_only_different_texts(rows_a, rows_b),
        groups: by_cell(&measured).iter().filter_map(|own| compared(own)).collect(),
    })
}

/// Returns whether at least one of two runs has texts, and none of the texts is in both. Generated contexts
/// of retrieval tasks are not texts.
fn have_only_different_texts(a: &[GridRow], b: &[GridRow]) -> bool {
    let texts = |rows: &[GridRow]| -> BTreeSet<String> {
        let own = rows.iter().filter(|row| row.task.kind == TaskKind::Text);
        own.map(|row| row.text.clone()).collect()
    };
    let (a, b) = (texts(a), texts(b));
    a.len() + b.len() > 0 && a.is_disjoint(&b)
}

/// Returns whether two cells have equal measurements, equal kept positions and equal errors.
fn same(a: &GridRow, b: &GridRow) -> bool {
    let measured = GridRow::columns().iter().filter(|column| column.measure.is_some());
    // A column that one of the files lacks is not a difference.
    let old = lacks_columns(a) || lacks_columns(b);
    let alike =
        |a: &dyn Field, b: &dyn Field| a.write() == b.write() || (old && (a.is_missing() || b.is_missing()));
    measured.into_iter().all(|column| alike((column.get)(a), (column.get)(b)))
        && (&a.plan_hash, &a.error) == (&b.plan_hash, &b.error)
}

/// Returns whether the file of a row lacks columns. Files of format 1 do not have the instruction set. The
/// first files of format 2 have neither quantiles of the KL nor single answers.
fn lacks_columns(row: &GridRow) -> bool {
    row.isa.is_none()
        || (row.kl_nats.is_some() && row.kl_max.is_none())
        || (row.correct.is_some() && row.answers.is_none())
}

/// Compares the pairs of one policy and budget. Returns `None` if there are no pairs.
fn compared(pairs: &[(&GridRow, &GridRow)]) -> Option<ComparedCell> {
    let (first, _) = pairs.first()?;
    let difference_in = |quantity| difference(pairs, quantity);
    Some(ComparedCell {
        experiment: first.experiment.clone(),
        model: first.model.clone(),
        policy: first.policy.clone(),
        budget: first.budget,
        axes: first.axes,
        task: first.task,
        texts: unique(pairs.iter().map(|(a, _)| (a.text.as_str(), a.context_tokens))).len(),
        kl_nats: difference_in(Quantity::KL),
        agreement: difference_in(Quantity::AGREEMENT),
        nll_nats: difference_in(Quantity::new(|row| row.nll_nats)),
        accuracy: difference_in(Quantity::ACCURACY),
        kept: difference_in(Quantity::KEPT),
    })
}

/// Returns the means of both runs and their paired difference, over the pairs in which both rows have the
/// quantity. Seeds are averaged within a text first.
fn difference(pairs: &[(&GridRow, &GridRow)], quantity: Quantity) -> Option<Difference> {
    let both = |(a, b): &&(&GridRow, &GridRow)| quantity.value(a).is_some() && quantity.value(b).is_some();
    let (a, b): (Vec<&GridRow>, Vec<&GridRow>) = pairs.iter().filter(both).copied().unzip();
    let values = |rows: &[&GridRow]| by_text(rows, quantity).into_values().collect::<Vec<f64>>();
    let (a, b) = (values(&a), values(&b));
    Some(Difference {
        a: interval::point(&a)?,
        b: interval::point(&b)?,
        difference: interval::mean(&b.iter().zip(&a).map(|(b, a)| b - a).collect::<Vec<_>>())?,
    })
}

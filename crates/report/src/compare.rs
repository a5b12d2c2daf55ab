//! Two runs of a grid, cell by cell.

mod document;
mod matching;

use crate::experiment::{Quantity, by_text, unit};
use crate::interval::{self, Estimate, paired_difference};
use crate::unique::unique;
use bitkv_record::{AskedBudget, Axes, Field, GridRow, Row, ScoredTask};
use matching::{by_cell, pairs};
use serde::Serialize;

pub use document::{render_comparison_markdown, render_comparison_terminal};

/// Why two runs cannot be compared. Every message is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// No cell is in both.
    #[error(
        "'{a}' and '{b}' have no cell in common: compare runs that share experiment, model, policy, budget, task and text"
    )]
    NothingMatches {
        /// The first run.
        a: String,
        /// The second run.
        b: String,
    },
    /// The cells would match, but for the length of their contexts.
    #[error(
        "'{a}' and '{b}' cut their caches at different lengths ({length_a} and {length_b} tokens for text '{text}'): \
         compare runs with the same context"
    )]
    Contexts {
        /// The first run.
        a: String,
        /// The second run.
        b: String,
        /// A text that both have.
        text: String,
        /// Tokens in the cache of the first run.
        length_a: usize,
        /// Tokens in the cache of the second run.
        length_b: usize,
    },
    /// The cells would match, but for what was scored.
    #[error(
        "'{a}' and '{b}' score {scored_a} and {scored_b} of text '{text}': compare runs with the same horizon and the same \
         tasks"
    )]
    Scored {
        /// The first run.
        a: String,
        /// The second run.
        b: String,
        /// A text that both have.
        text: String,
        /// What the first run scored, such as "60 tokens".
        scored_a: String,
        /// What the second run scored.
        scored_b: String,
    },
}

/// What two runs have in common and where they differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first run.
    pub a: String,
    /// The second run.
    pub b: String,
    /// Cells that both have.
    pub matched: usize,
    /// Of those, cells that are equal in everything measured, in what was kept and in how they failed.
    pub identical: usize,
    /// Of those, cells that failed in at least one run; they are in no difference.
    pub failed: usize,
    /// Cells of the first run that the second lacks.
    pub only_a: usize,
    /// Cells of the second run that the first lacks.
    pub only_b: usize,
    /// Differences by everything but text and seed, in order of the first run.
    pub groups: Vec<Compared>,
}

/// One policy at one budget in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the model.
    pub model: String,
    /// Policy specification.
    pub policy: String,
    /// How much was asked to be kept.
    pub budget: AskedBudget,
    /// Form, time of eviction, positions and KV format.
    #[serde(flatten)]
    pub axes: Axes,
    /// What was scored.
    pub task: ScoredTask,
    /// Texts or contexts in both runs.
    pub texts: usize,
    /// KL divergence from the full cache, nats.
    pub kl_nats: Option<Difference>,
    /// Fraction of targets with the full cache's most likely token.
    pub agreement: Option<Difference>,
    /// Negative log-likelihood, nats a target.
    pub nll_nats: Option<Difference>,
    /// Fraction of answers that were right.
    pub accuracy: Option<Difference>,
    /// Fraction of entries kept.
    pub kept: Option<Difference>,
}

/// One measure in both runs, over the texts that both measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of the first run.
    pub a: f64,
    /// Mean of the second run.
    pub b: f64,
    /// Mean over texts of second less first, with the 95 % interval of a bootstrap over texts.
    pub difference: Estimate,
}

/// Compares two runs, given their rows and names. Cells are matched by experiment, model, form, policy, budget, when,
/// positions, KV format, seed, task, text, depth, length of context, tokens scored and questions asked; of a cell that
/// failed nothing was scored, so the last two do not count. Differences pool the seeds of a policy and the questions of
/// a context. `seed` seeds the bootstrap.
///
/// # Errors
/// When no cell matches; the error says whether the lengths of contexts or what was scored are the reason.
pub fn compare(
    (a, rows_a): (&str, &[GridRow]),
    (b, rows_b): (&str, &[GridRow]),
    seed: u64,
) -> Result<Comparison, CompareError> {
    let found = pairs(rows_a, rows_b);
    if found.is_empty() {
        return Err(matching::refusal((a, rows_a), (b, rows_b)));
    }
    let failed = |(a, b): &&(&GridRow, &GridRow)| a.error.is_some() || b.error.is_some();
    let measured: Vec<(GridRow, GridRow)> =
        found.iter().filter(|pair| !failed(pair)).map(|(a, b)| (unit(a), unit(b))).collect();
    Ok(Comparison {
        a: a.to_owned(),
        b: b.to_owned(),
        matched: found.len(),
        identical: found.iter().filter(|(a, b)| same(a, b)).count(),
        failed: found.iter().filter(failed).count(),
        only_a: rows_a.len() - found.len(),
        only_b: rows_b.len() - found.len(),
        groups: by_cell(&measured).iter().filter_map(|own| compared(own, seed)).collect(),
    })
}

/// Whether everything measured is the same, and so are the kept positions and the failure.
fn same(a: &GridRow, b: &GridRow) -> bool {
    let measured = GridRow::columns().iter().filter(|column| column.measure.is_some());
    // What a file of the first format has no column for is no difference; such files do not say their instruction set.
    let old = a.isa.is_none() || b.isa.is_none();
    let alike =
        |a: &dyn Field, b: &dyn Field| a.write() == b.write() || (old && (a.is_missing() || b.is_missing()));
    measured.into_iter().all(|column| alike((column.get)(a), (column.get)(b)))
        && (&a.plan_hash, &a.error) == (&b.plan_hash, &b.error)
}

fn compared(pairs: &[(&GridRow, &GridRow)], seed: u64) -> Option<Compared> {
    let (first, _) = pairs.first()?;
    let of = |quantity| difference(pairs, quantity, seed);
    Some(Compared {
        experiment: first.experiment.clone(),
        model: first.model.clone(),
        policy: first.policy.clone(),
        budget: first.budget,
        axes: first.axes,
        task: first.task,
        texts: unique(pairs.iter().map(|(a, _)| (a.text.as_str(), a.context_tokens))).len(),
        kl_nats: of(Quantity::KL),
        agreement: of(Quantity::AGREEMENT),
        nll_nats: of(Quantity::new(|row| row.nll_nats)),
        accuracy: of(Quantity::ACCURACY),
        kept: of(Quantity::KEPT),
    })
}

/// Where both rows have the measure: means over texts, those over seeds first, and their paired difference.
fn difference(pairs: &[(&GridRow, &GridRow)], quantity: Quantity, seed: u64) -> Option<Difference> {
    let both = |(a, b): &&(&GridRow, &GridRow)| quantity.of(a).is_some() && quantity.of(b).is_some();
    let (a, b): (Vec<&GridRow>, Vec<&GridRow>) = pairs.iter().filter(both).copied().unzip();
    let values = |rows: &[&GridRow]| by_text(rows, quantity).into_values().collect::<Vec<f64>>();
    let (a, b) = (values(&a), values(&b));
    Some(Difference {
        a: interval::point(&a)?,
        b: interval::point(&b)?,
        difference: paired_difference(&b, &a, seed)?,
    })
}

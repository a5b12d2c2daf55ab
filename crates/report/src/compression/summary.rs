//! What each policy costs at each budget, from the cells of a run.

use super::Kind;
use crate::interval::{Estimate, mean, paired_difference};
use crate::unique;
use bitkv_record::{CellRow, Task};

/// The policy name of the unevicted cache.
pub const FULL: &str = "full";

/// The cells of one model, summarised.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCompression {
    /// Model name.
    pub model: String,
    /// By falling fraction asked to be kept; 1.0, where there is one, comes first.
    pub budgets: Vec<BudgetSummary>,
}

/// All policies at one budget, the full cache first.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetSummary {
    /// Fraction asked to be kept.
    pub budget: f64,
    /// One entry a policy, in order of first appearance.
    pub policies: Vec<PolicySummary>,
}

/// One policy at one budget. Counts are means over texts; intervals are 95 %.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySummary {
    /// Policy specification.
    pub policy: String,
    /// Whether it sees what no deployable policy can.
    pub oracle: bool,
    /// Whether it keeps exactly what was asked.
    pub conserving: bool,
    /// Texts it was scored on.
    pub texts: usize,
    /// Cache entries asked for.
    pub asked: f64,
    /// Cache entries kept.
    pub kept: f64,
    /// Kept entries as a fraction of all.
    pub fraction: f64,
    /// Bytes the cache held.
    pub bytes: f64,
    /// Mean attention preservation over texts.
    pub preservation: Option<f64>,
    /// Mean retained attention mass over texts.
    pub retained_mass: Option<f64>,
    /// Mean KL divergence from the full cache over texts, nats.
    pub kl: Option<Estimate>,
    /// Mean agreement with the full cache over texts.
    pub agreement: Option<Estimate>,
    /// `exp` of the mean NLL over all targets.
    pub perplexity: Option<f64>,
    /// NLL in bits by bytes scored.
    pub bits_per_byte: Option<f64>,
    /// Mean over texts of the NLL per target less that of the full cache on the same text, nats.
    pub delta_nll: Option<Estimate>,
    /// Fraction of recall answers that were right, a mean over contexts.
    pub recall: Option<Estimate>,
}

impl PolicySummary {
    /// What part it plays in the comparison.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.policy, self.oracle)
    }
}

/// Summaries for each model, in order of first appearance. `seed` seeds the bootstrap over texts.
pub fn summaries(cells: &[CellRow], seed: u64) -> Vec<ModelCompression> {
    let models = unique(cells.iter().map(|cell| cell.model.as_str())).into_iter();
    models.map(|model| summary(model, cells, seed)).collect()
}

fn summary(model: &str, cells: &[CellRow], seed: u64) -> ModelCompression {
    let cells: Vec<&CellRow> = cells.iter().filter(|cell| cell.model == model).collect();
    let full = full_cells(&cells);
    let mut budgets: Vec<f64> = cells.iter().map(|cell| cell.budget).collect();
    budgets.sort_by(|a, b| b.total_cmp(a));
    budgets.dedup();
    let budgets = budgets.into_iter().map(|budget| {
        let at: Vec<&CellRow> =
            cells.iter().copied().filter(|c| c.budget == budget && c.policy != FULL).collect();
        let named = unique(at.iter().map(|cell| cell.policy.as_str())).into_iter();
        let evicting = named.map(|policy| {
            let own: Vec<&CellRow> = at.iter().copied().filter(|cell| cell.policy == policy).collect();
            policy_summary(policy, &own, &full, seed)
        });
        let reference = (!full.is_empty()).then(|| policy_summary(FULL, &full, &[], seed));
        BudgetSummary { budget, policies: reference.into_iter().chain(evicting).collect() }
    });
    ModelCompression { model: model.to_owned(), budgets: budgets.collect() }
}

/// The cells of the unevicted cache: those of the policy "full", or of the first policy that kept everything
/// at budget 1.
fn full_cells<'a>(cells: &[&'a CellRow]) -> Vec<&'a CellRow> {
    let whole = |cell: &&CellRow| cell.kept_tokens == cell.full_tokens && cell.budget == 1.0;
    let named =
        cells.iter().find(|cell| cell.policy == FULL).or_else(|| cells.iter().find(|cell| whole(cell)));
    let Some(policy) = named.map(|cell| cell.policy.as_str()) else { return Vec::new() };
    let chosen = |cell: &&CellRow| cell.policy == policy && (policy == FULL || whole(cell));
    cells.iter().copied().filter(chosen).collect()
}

fn policy_summary(policy: &str, cells: &[&CellRow], full: &[&CellRow], seed: u64) -> PolicySummary {
    let (texts, recalls): (Vec<&CellRow>, Vec<&CellRow>) = cells.iter().partition(|c| c.task == Task::Text);
    // Sizes are those of the texts; a policy measured on recall alone has only those of the recalls.
    let sized = if texts.is_empty() { &recalls } else { &texts };
    let size = |of: fn(&CellRow) -> f64| sized.iter().map(|cell| of(cell)).sum::<f64>() / sized.len() as f64;
    let values = |of: fn(&CellRow) -> Option<f64>| texts.iter().filter_map(|c| of(c)).collect::<Vec<f64>>();
    let kept = size(|cell| cell.kept_tokens as f64);
    PolicySummary {
        policy: policy.to_owned(),
        oracle: cells.iter().any(|cell| cell.oracle),
        conserving: cells.iter().all(|cell| cell.conserving),
        texts: texts.len(),
        asked: size(|cell| cell.asked_tokens as f64),
        kept,
        fraction: kept / size(|cell| cell.full_tokens as f64),
        bytes: size(|cell| cell.cache_bytes as f64),
        preservation: plain_mean(&values(|cell| cell.attention_preservation)),
        retained_mass: plain_mean(&values(|cell| cell.retained_mass)),
        kl: mean(&values(|cell| cell.kl_nats), seed),
        agreement: mean(&values(|cell| cell.agreement), seed),
        perplexity: nll_per_target(&texts).map(f64::exp),
        bits_per_byte: bits_per_byte(&texts),
        delta_nll: delta_nll(&texts, full, seed),
        recall: recall(&recalls, seed),
    }
}

fn plain_mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Mean NLL in nats over all targets: a text counts by the targets it has.
fn nll_per_target(texts: &[&CellRow]) -> Option<f64> {
    let scored = texts.iter().filter_map(|cell| Some((cell.nll_nats?, cell.targets as f64)));
    let (sum, targets) = scored.fold((0.0, 0.0), |(sum, all), (nll, n)| (sum + nll * n, all + n));
    (targets > 0.0).then(|| sum / targets)
}

fn bits_per_byte(texts: &[&CellRow]) -> Option<f64> {
    let scored = texts.iter().filter_map(|cell| {
        Some((cell.nll_nats? * cell.targets as f64 / std::f64::consts::LN_2, cell.bytes_scored? as f64))
    });
    let (bits, bytes) = scored.fold((0.0, 0.0), |(bits, all), (b, n)| (bits + b, all + n));
    (bytes > 0.0).then(|| bits / bytes)
}

/// Pairs each text with the same text and context under the full cache.
fn delta_nll(texts: &[&CellRow], full: &[&CellRow], seed: u64) -> Option<Estimate> {
    let pair = |cell: &&CellRow| {
        let same = |other: &&&CellRow| {
            other.task == Task::Text && other.text == cell.text && other.context_tokens == cell.context_tokens
        };
        Some((cell.nll_nats?, full.iter().find(same)?.nll_nats?))
    };
    let (own, reference): (Vec<f64>, Vec<f64>) = texts.iter().filter_map(pair).unzip();
    paired_difference(&own, &reference, seed)
}

/// Questions of one context share its cache, so contexts are resampled and not questions.
fn recall(cells: &[&CellRow], seed: u64) -> Option<Estimate> {
    let asked = cells.iter().filter(|cell| cell.questions > 0);
    let parts: Vec<f64> =
        asked.filter_map(|cell| Some(cell.correct? as f64 / cell.questions as f64)).collect();
    mean(&parts, seed)
}

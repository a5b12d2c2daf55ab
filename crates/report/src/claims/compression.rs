//! Claim 3: entropy-adaptive budgets compress the cache at little cost.

mod checks;
mod key_numbers;
mod quality;
mod reason;

use super::cells::Cells;
use super::claim::{Claim, Statement};
use super::statement::{check, undecided_if};
use crate::experiment::Quantity;
use crate::{Run, unique};
use bitkv_record::{AskedBudget, ClaimId, GridRow};
use serde_json::json;

/// The published attention preservation of `entropy-inverted` for BitNet-b1.58-2B-4T at up to 64 tokens, each
/// with the fraction kept.
const PRESERVATION: [(f64, f64); 3] = [(0.5, 0.9897), (0.2, 0.9618), (0.1, 0.9077)];
/// The published exact match for a BitNet model, each with the fraction kept. Neither code nor data was
/// published.
const MATCH: [(f64, f64); 3] = [(0.5, 0.965), (0.2, 0.96), (0.1, 0.96)];
/// The published quality: for each measure, by the title of its column, the fractions kept with their values.
pub(super) const PUBLISHED_QUALITY: [(&str, &[(f64, f64)]); 2] =
    [("agreement", &MATCH), ("attention cosine, as published", &PRESERVATION)];
/// Attention preservation as published, which rows have as `attention_cosine`.
const PRESERVED: Quantity = Quantity::new(|row| row.attention_cosine).with_range((-1.0, 1.0));
/// The rule that the published attention preservation was measured with.
const INVERTED: &str = "entropy-inverted";
/// The rules that the claim is about. A rule that was not measured leaves its statements untested.
const RULES: [&str; 3] = ["entropy-proportional", "entropy-global", INVERTED];
/// Random choice. It protects the same tokens as every method, so that protection is not credited to a
/// method.
const RANDOM: &str = "uniform+random";
/// The fewest draws of a random policy that decide a statement. A single draw may be an unusual one.
const FEWEST_DRAWS: usize = 16;
/// The fractions kept that the claim is about: 2x, 5x and 10x compression.
const BUDGETS: [f64; 3] = [0.5, 0.2, 0.1];

/// "2-5x compression keeps 96 % of the quality."
pub(super) fn claim(run: &Run<'_>) -> Claim {
    let models = Cells::for_models(run);
    let statements =
        models.iter().flat_map(|cells| undecided_if(cells.failing_check(), cells.statements())).collect();
    let measured: Vec<_> = models.iter().map(Cells::summary).collect();
    Claim::new(
        ClaimId::Compression,
        "Entropy-adaptive budgets compress the cache 2-5x at about 96 % quality",
        statements,
        models.iter().flat_map(Cells::key_numbers).collect(),
        json!({
            "attention_preservation": PRESERVATION.map(|(budget, value)| json!({"budget": budget, "value": value})),
            "exact_match": MATCH.map(|(budget, value)| json!({"budget": budget, "value": value})),
        }),
        json!({"models": measured}),
    )
}

impl Cells<'_> {
    /// Returns the statements about one model, in the order of the report.
    fn statements(&self) -> Vec<Statement> {
        let mut statements = Vec::new();
        statements.extend(PRESERVATION.map(|(budget, published)| self.preservation(budget, published)));
        statements.push(check(self.model, self.discrimination()));
        statements.push(check(self.model, self.retrieval()));
        statements.extend(RULES.map(|rule| self.spending(rule)));
        for rule in RULES {
            statements.extend(MATCH.map(|(budget, published)| self.agreement(rule, budget, published)));
        }
        statements.extend(BUDGETS.map(|budget| self.reason(budget)));
        statements
    }

    /// Returns the measured means of every policy and budget, for programs.
    fn summary(&self) -> serde_json::Value {
        let fraction = |row: &GridRow| match row.budget {
            AskedBudget::Fraction(fraction) => Some(fraction),
            _ => None,
        };
        let cells = unique(self.rows.iter().filter_map(|row| Some((row.policy.as_str(), fraction(row)?))));
        let cell = |(policy, budget): (&str, f64)| {
            let mean = |quantity| self.mean(policy, budget, quantity);
            json!({
                "policy": policy,
                "budget": budget,
                "draws": self.draws(policy, budget),
                "realised": self.realised(policy, budget),
                "attention_preservation": mean(PRESERVED),
                "kl_nats": mean(Quantity::KL),
                "agreement": mean(Quantity::AGREEMENT),
                "nll_nats": mean(Quantity::new(|row| row.nll_nats)),
            })
        };
        json!({"model": self.model, "cells": cells.into_iter().map(cell).collect::<Vec<_>>()})
    }
}

/// Returns the compression of a budget in words, such as `5x`.
fn times(budget: f64) -> String {
    format!("{:.0}x", 1.0 / budget)
}

/// Says that a statement needs more draws of a random policy than the rows have. `what` names the draws.
fn too_few_draws(found: usize, what: &str) -> String {
    format!(
        "The rows have {found} of the {what}, and at least {FEWEST_DRAWS} are needed: write draws = {FEWEST_DRAWS} or \
         more."
    )
}

/// Returns a measured value with the share of the cache that it was measured with. A rule may keep more than
/// requested, so no number of a rule is shown without it.
fn with_share(value: &str, kept: Option<f64>) -> String {
    let kept = kept.map_or_else(|| "an unknown share".to_owned(), super::statement::percent);
    format!("{value} with {kept} of the cache")
}

use bitkv_record::{CellRow, Claim, ClaimId, Statement, Task};
use bitkv_stats::{Interval, paired_bootstrap};
use serde_json::json;

use super::{names, percent, tested, untested};

/// Published attention preservation of `entropy-inverted`, by part kept.
const PRESERVATION: [(f64, f64); 3] = [(0.5, 0.9897), (0.2, 0.9618), (0.1, 0.9077)];
/// Published exact match, 2x to 10x.
const MATCH: f64 = 0.96;
/// Published rules.
const RULES: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];
const RESAMPLES: usize = 2000;

/// "2-5x compression keeps 96 % of the quality."
pub(super) fn claim(cells: &[CellRow], seed: u64) -> Claim {
    let models = names(cells.iter().map(|c| c.model.as_str()));
    let mut statements = Vec::new();
    for model in &models {
        let cells = Cells { cells, model, seed };
        statements
            .extend(PRESERVATION.iter().map(|&(budget, published)| cells.preservation(budget, published)));
        statements.push(cells.discrimination());
        statements.extend(RULES.map(|rule| cells.spending(rule)));
        statements
            .extend(RULES.iter().flat_map(|rule| [0.5, 0.2].map(|budget| cells.agreement(rule, budget))));
        statements.extend([0.5, 0.2, 0.1].map(|budget| cells.reason(budget)));
    }
    let measured: Vec<_> = models.iter().map(|model| Cells { cells, model, seed }.summary()).collect();
    Claim::new(
        ClaimId::Compression,
        "Entropy-adaptive budgets compress the cache 2-5x at about 96 % quality",
        statements,
        json!({
            "attention_preservation": PRESERVATION.map(|(budget, value)| json!({"budget": budget, "value": value})),
            "exact_match": MATCH,
        }),
        json!({"models": measured}),
    )
}

struct Cells<'a> {
    cells: &'a [CellRow],
    model: &'a str,
    seed: u64,
}

impl Cells<'_> {
    /// Text cells of one policy and budget, in order of texts.
    fn of(&self, policy: &str, budget: f64) -> Vec<&CellRow> {
        let wanted = |c: &&CellRow| {
            c.model == self.model && c.policy == policy && c.budget == budget && c.task == Task::Text
        };
        let mut found: Vec<&CellRow> = self.cells.iter().filter(wanted).collect();
        found.sort_by(|a, b| a.text.cmp(&b.text));
        found
    }

    fn values(&self, policy: &str, budget: f64, value: fn(&CellRow) -> Option<f64>) -> Vec<f64> {
        self.of(policy, budget).into_iter().filter_map(value).collect()
    }

    fn interval(&self, values: &[f64]) -> Interval {
        paired_bootstrap(values, RESAMPLES, self.seed)
    }

    /// Part of the cache really kept, over all text cells.
    fn realised(&self, policy: &str, budget: f64) -> f64 {
        let cells = self.of(policy, budget);
        let sum = |value: fn(&CellRow) -> usize| cells.iter().map(|c| value(c)).sum::<usize>() as f64;
        sum(|c| c.kept_tokens) / sum(|c| c.full_tokens).max(1.0)
    }

    fn preservation(&self, budget: f64, published: f64) -> Statement {
        let found = self.interval(&self.values("entropy-inverted", budget, |c| c.attention_preservation));
        tested(
            &format!("{}: attention preservation of entropy-inverted at {:.0}x", self.model, 1.0 / budget),
            percent(published),
            format!("{} [{}, {}]", percent(found.mean), percent(found.low), percent(found.high)),
            found.high >= published,
            "the published metric: cosine on the last query's row, oracle selection; the interval reaches the figure".into(),
        )
    }

    /// A metric that a random choice passes says nothing.
    fn discrimination(&self) -> Statement {
        let random = self.interval(&self.values("uniform+random", 0.5, |c| c.attention_preservation));
        let kl = self.interval(&self.values("uniform+random", 0.5, |c| c.kl_nats));
        tested(
            &format!("{}: the published metric tells a good selection from a random one", self.model),
            "not tested".into(),
            format!("a random half scores {} at a KL of {:.3} nats", percent(random.mean), kl.mean),
            random.mean < 0.9,
            "a random half of the cache must score below 90 %".into(),
        )
    }

    /// Whether a rule delivers the compression that is asked.
    fn spending(&self, rule: &str) -> Statement {
        let budgets = [0.5, 0.2, 0.1];
        let realised = budgets.map(|budget| self.realised(rule, budget));
        let listed: Vec<String> = realised.iter().map(|part| format!("{:.2}x", 1.0 / part)).collect();
        let near = realised.iter().zip(budgets).all(|(real, asked)| (real / asked - 1.0).abs() <= 0.05);
        tested(
            &format!("{}: {rule} delivers the compression it is asked for", self.model),
            "2x, 5x, 10x".into(),
            listed.join(", "),
            near,
            "realised tokens within 5 % of those asked at every budget; unions over groups included".into(),
        )
    }

    fn agreement(&self, rule: &str, budget: f64) -> Statement {
        let found = self.interval(&self.values(rule, budget, |c| c.agreement));
        let real = self.realised(rule, budget);
        tested(
            &format!("{}: {rule} at {:.0}x keeps the next token", self.model, 1.0 / budget),
            percent(MATCH),
            format!(
                "{} [{}, {}] with {} of the cache",
                percent(found.mean),
                percent(found.low),
                percent(found.high),
                percent(real)
            ),
            found.high >= MATCH,
            "agreement with full attention on tokens predicted through the cut cache; the interval reaches the figure".into(),
        )
    }

    /// Whether entropy is the reason: against uniform and permuted budgets, same scorer, same tokens.
    fn reason(&self, budget: f64) -> Statement {
        let text =
            format!("{}: entropy-weighted budgets beat uniform ones at {:.0}x", self.model, 1.0 / budget);
        let kl = |policy: &str| self.values(policy, budget, |c| c.kl_nats);
        let entropy = kl("entropy+window-attention");
        let against = |other: &str| {
            let other = kl(other);
            let differences: Vec<f64> = entropy.iter().zip(&other).map(|(a, b)| a - b).collect();
            (differences.len() == other.len() && !other.is_empty()).then(|| self.interval(&differences))
        };
        let uniform = against("uniform+window-attention");
        let permuted = against("entropy-permuted+window-attention");
        let (Some(uniform), Some(permuted)) = (uniform, permuted) else {
            return untested(&text, "claimed".into(), "the cells are not there".into());
        };
        let show = |i: &Interval| format!("{:+.4} [{:+.4}, {:+.4}]", i.mean, i.low, i.high);
        tested(
            &text,
            "claimed, not tested".into(),
            format!(
                "difference in KL {} nats from uniform, {} from permuted",
                show(&uniform),
                show(&permuted)
            ),
            uniform.high < 0.0 && permuted.high < 0.0,
            "window-attention scorer, equal tokens, paired over texts; both intervals must lie below 0"
                .into(),
        )
    }

    fn summary(&self) -> serde_json::Value {
        let policies = names(self.cells.iter().filter(|c| c.model == self.model).map(|c| c.policy.as_str()));
        let row = |policy: &str, budget: f64| {
            let mean = |value| self.interval(&self.values(policy, budget, value)).mean;
            json!({
                "policy": policy,
                "budget": budget,
                "realised": self.realised(policy, budget),
                "attention_preservation": mean(|c| c.attention_preservation),
                "kl_nats": mean(|c| c.kl_nats),
                "agreement": mean(|c| c.agreement),
                "nll_nats": mean(|c| c.nll_nats),
            })
        };
        let budgets = super::super::BUDGETS;
        let cells = policies.iter().flat_map(|policy| budgets.map(|budget| (*policy, budget)));
        let rows: Vec<_> = cells
            .filter(|(p, b)| !self.of(p, *b).is_empty())
            .map(|(policy, budget)| row(policy, budget))
            .collect();
        json!({"model": self.model, "cells": rows})
    }
}

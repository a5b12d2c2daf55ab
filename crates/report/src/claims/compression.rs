//! Claim 3: entropy-adaptive budgets compress the cache at little cost.

use super::cells::Cells;
use super::claim::{Claim, Statement};
use super::words::{check, decided, decimals, judged, missing, percent, reaches, show, tested, untested};
use crate::experiment::{Quantity, difference, mean_over_texts, over_texts};
use crate::interval::Estimate;
use crate::{Run, unique};
use bitkv_record::{AskedBudget, ClaimId, GridRow, PolicyRole, ScoredTask};
use serde_json::json;

/// The published attention preservation of `entropy-inverted` for BitNet-b1.58-2B-4T at up to 64 tokens, each
/// with the fraction kept.
const PRESERVATION: [(f64, f64); 3] = [(0.5, 0.9897), (0.2, 0.9618), (0.1, 0.9077)];
/// The published exact match for a BitNet model, each with the fraction kept. Neither code nor data was
/// published.
const MATCH: [(f64, f64); 3] = [(0.5, 0.965), (0.2, 0.96), (0.1, 0.96)];
/// Attention preservation as published, which rows have as `attention_cosine`.
const PRESERVED: Quantity = Quantity::new(|row| row.attention_cosine);
/// The rules that the claim is about. A rule that was not measured leaves its statements untested.
const RULES: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];
/// Random choice without protected tokens.
const RANDOM: &str = "uniform+random{recent=0,sinks=0}";
/// The largest relative difference between kept and requested entries at which a rule delivers its
/// compression.
const SPENDING: f64 = 0.05;
/// The fractions kept that the claim is about: 2x, 5x and 10x compression.
const BUDGETS: [f64; 3] = [0.5, 0.2, 0.1];
/// The part kept at which compression is summed up.
const SUMMED: f64 = 0.2;

/// "2-5x compression keeps 96 % of the quality."
pub(super) fn claim(run: &Run<'_>) -> Claim {
    let models = Cells::for_models(run);
    let statements =
        models.iter().flat_map(|cells| judged(cells.failing_check(), cells.statements())).collect();
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

    /// Returns the most important numbers: agreement of the best published rule and of the best method at 5x,
    /// preservation at 10x, and the compressions at which entropy is the reason.
    fn key_numbers(&self) -> Vec<[String; 3]> {
        let mut numbers = Vec::new();
        let best = |role: PolicyRole| {
            let rows = self.rows.iter().filter(|row| row.role == role);
            let policies = unique(rows.map(|row| (row.policy.as_str(), row.policy_name())));
            let mean = |policy: &str| self.mean(policy, SUMMED, Quantity::AGREEMENT);
            let found = policies.into_iter().filter_map(|names| Some((names, mean(names.0)?)));
            found.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let said = |((policy, name), mean): ((&str, &str), f64)| {
            let kept = self.realised(policy, SUMMED).map_or_else(|| "?".into(), percent);
            format!("{} by {name} with {kept} kept", percent(mean))
        };
        let both: Vec<String> =
            [PolicyRole::Published, PolicyRole::Method].into_iter().filter_map(best).map(said).collect();
        if !both.is_empty() {
            numbers.push([
                format!("same next token at 5x, {}", self.model),
                percent(MATCH[1].1),
                both.join("; "),
            ]);
        }
        let (budget, published) = PRESERVATION[2];
        if let Some(found) = self.mean("entropy-inverted", budget, PRESERVED) {
            let what = format!("attention preservation at 10x, {}", self.model);
            let kept = self.realised("entropy-inverted", budget).map_or_else(|| "?".into(), percent);
            numbers.push([what, percent(published), format!("{} with {kept} kept", percent(found))]);
        }
        let reasons = BUDGETS.map(|budget| (budget, self.reason(budget).holds));
        if reasons.iter().any(|(_, holds)| holds.is_some()) {
            let better = reasons.iter().filter(|(_, holds)| *holds == Some(true));
            let better: Vec<String> = better.map(|(budget, _)| format!("{:.0}x", 1.0 / budget)).collect();
            let found =
                if better.is_empty() { "nowhere".to_owned() } else { format!("at {}", better.join(", ")) };
            let what = format!("budgets by entropy beat uniform and permuted ones, {}", self.model);
            numbers.push([what, "claimed, not tested".to_owned(), found]);
        }
        numbers
    }

    /// Text cells of one policy and budget.
    fn of(&self, policy: &str, budget: f64) -> Vec<&GridRow> {
        let asked = AskedBudget::Fraction(budget);
        let wanted = |c: &&&GridRow| c.policy == policy && c.budget == asked && c.task == ScoredTask::TEXT;
        self.rows.iter().filter(wanted).copied().collect()
    }

    /// Returns a mean over texts with its interval, or `None` if the run has no such texts.
    fn estimate(&self, policy: &str, budget: f64, quantity: Quantity) -> Option<Estimate> {
        over_texts(&self.of(policy, budget), quantity, self.seed)
    }

    /// Returns a mean over texts without an interval.
    fn mean(&self, policy: &str, budget: f64, quantity: Quantity) -> Option<f64> {
        mean_over_texts(&self.of(policy, budget), quantity)
    }

    /// Returns the mean of one policy minus another on the texts that both have.
    fn difference(&self, [own, other]: [&str; 2], budget: f64, quantity: Quantity) -> Option<Estimate> {
        difference(&self.of(own, budget), &self.of(other, budget), quantity, self.seed)
    }

    /// Returns the fraction of the cache that was kept, over all texts, or `None` if the run has no such
    /// texts.
    fn realised(&self, policy: &str, budget: f64) -> Option<f64> {
        let cells = self.of(policy, budget);
        let sum = |value: fn(&GridRow) -> Option<usize>| {
            cells.iter().filter_map(|c| value(c)).sum::<usize>() as f64
        };
        let full = sum(|c| c.full_entries);
        (full > 0.0).then(|| sum(|c| c.kept_entries) / full)
    }

    /// Returns the statement on whether `entropy-inverted` reaches the published attention preservation.
    fn preservation(&self, budget: f64, published: f64) -> Statement {
        let text =
            format!("{}: attention preservation of entropy-inverted at {:.0}x", self.model, 1.0 / budget);
        let Some(found) = self.estimate("entropy-inverted", budget, PRESERVED) else {
            return missing(&text, format!("{:.2} %", 100.0 * published));
        };
        decided(
            &text,
            format!("{:.2} %", 100.0 * published),
            format!("{} %", show(&found, decimals(100.0, 2))),
            reaches(&found, published),
            "the published metric (cosine on the last query's row, selected by that row), another model and a longer \
             context than published"
                .into(),
        )
    }

    /// Returns the check that the metric can fail: a metric on which random choice scores as well says
    /// nothing about a selection.
    fn discrimination(&self) -> Statement {
        let text = "attention preservation tells the rule from a random half of the cache";
        let of = |policy: &str| self.mean(policy, 0.5, PRESERVED);
        let gap = self.difference(["entropy-inverted", RANDOM], 0.5, PRESERVED);
        let found = (of("entropy-inverted"), of(RANDOM), self.mean(RANDOM, 0.5, Quantity::KL), gap);
        let (Some(rule), Some(random), Some(kl), Some(gap)) = found else {
            return missing(text, "not tested".into());
        };
        decided(
            text,
            "not tested".into(),
            format!(
                "{} against {} for a random half, whose KL is {kl:.3} nats",
                percent(rule),
                percent(random),
            ),
            reaches(&gap, 0.1),
            "ten points or more between them, paired over texts".into(),
        )
    }

    /// Checks that the model uses its context: otherwise eviction has nothing to destroy.
    fn retrieval(&self) -> Statement {
        let asked: Vec<&&GridRow> =
            self.rows.iter().filter(|row| row.questions > 0 && row.role == PolicyRole::Full).collect();
        let questions: usize = asked.iter().map(|row| row.questions).sum();
        let right: usize = asked.iter().filter_map(|row| row.correct).sum();
        let text = "with the full cache the model answers questions about its context";
        if questions == 0 {
            return untested(text, "not tested".into(), "no retrieval context was run".into());
        }
        let part = right as f64 / questions as f64;
        tested(
            text,
            "not tested".into(),
            format!("{} of {questions}", percent(part)),
            part >= 0.5,
            "at least half, or eviction cannot cost it much".into(),
        )
    }

    /// Returns the statement on whether a rule delivers the requested compression.
    fn spending(&self, rule: &str) -> Statement {
        let text = format!("{}: {rule} delivers the compression it is asked for", self.model);
        let realised: Vec<f64> = BUDGETS.iter().filter_map(|budget| self.realised(rule, *budget)).collect();
        if realised.len() < BUDGETS.len() {
            return missing(&text, "2x, 5x, 10x".into());
        }
        let listed: Vec<String> = realised.iter().map(|part| format!("{:.2}x", 1.0 / part)).collect();
        let near = realised.iter().zip(BUDGETS).all(|(real, asked)| (real / asked - 1.0).abs() <= SPENDING);
        tested(
            &text,
            "2x, 5x, 10x".into(),
            listed.join(", "),
            near,
            "realised entries within 5 % of those asked at every budget; a KV head keeps the union over its query heads"
                .into(),
        )
    }

    /// Returns the statement on whether a rule reaches the published quality at the published compression.
    fn agreement(&self, rule: &str, budget: f64, published: f64) -> Statement {
        const RIVAL: &str = "uniform+recency";
        let text = format!("{}: {rule} at {:.0}x predicts the same next token", self.model, 1.0 / budget);
        let of = |policy: &str| {
            let found = self.estimate(policy, budget, Quantity::AGREEMENT)?;
            Some((found, self.realised(policy, budget)?))
        };
        let Some((found, real)) = of(rule) else { return missing(&text, percent(published)) };
        let honest = real <= budget * (1.0 + SPENDING);
        let holds = if honest { reaches(&found, published) } else { Some(false) };
        let rival = of(RIVAL)
            .map(|(found, real)| format!("; {RIVAL} {} with {}", percent(found.value), percent(real)));
        decided(
            &text,
            percent(published),
            format!(
                "{} % with {} of the cache{}",
                show(&found, decimals(100.0, 1)),
                percent(real),
                rival.unwrap_or_default()
            ),
            holds,
            "agreement with full attention on tokens predicted through the cut cache, keeping no more than asked; the rule's \
             budgets and selection are applied once, after the prompt"
                .into(),
        )
    }

    /// Returns the statement on whether entropy is the reason. It compares budgets by entropy with uniform
    /// and permuted budgets, at the same scorer and the same number of entries.
    fn reason(&self, budget: f64) -> Statement {
        let text =
            format!("{}: entropy-weighted budgets beat uniform ones at {:.0}x", self.model, 1.0 / budget);
        let against = |other| self.difference(["entropy+window-attention", other], budget, Quantity::KL);
        let uniform = against("uniform+window-attention");
        let permuted = against("entropy-permuted+window-attention");
        let (Some(uniform), Some(permuted)) = (uniform, permuted) else {
            return missing(&text, "claimed".into());
        };
        let below = |found: &Estimate| found.interval.map(|(_, high)| high < 0.0);
        let signed = |value| format!("{value:+.4}");
        decided(
            &text,
            "claimed, not tested".into(),
            format!(
                "difference in KL {} nats from uniform, {} from permuted",
                show(&uniform, signed),
                show(&permuted, signed)
            ),
            below(&uniform).zip(below(&permuted)).map(|(uniform, permuted)| uniform && permuted),
            "window-attention scorer, equal tokens, paired over texts; both intervals must lie below 0"
                .into(),
        )
    }

    /// Returns the measured means of every policy and budget, for programs.
    fn summary(&self) -> serde_json::Value {
        let fraction = |row: &&&GridRow| match row.budget {
            AskedBudget::Fraction(fraction) => Some(fraction),
            _ => None,
        };
        let cells = unique(self.rows.iter().filter_map(|row| Some((row.policy.as_str(), fraction(&row)?))));
        let row = |(policy, budget): (&str, f64)| {
            let mean = |quantity| self.mean(policy, budget, quantity);
            json!({
                "policy": policy,
                "budget": budget,
                "realised": self.realised(policy, budget),
                "attention_preservation": mean(PRESERVED),
                "kl_nats": mean(Quantity::KL),
                "agreement": mean(Quantity::AGREEMENT),
                "nll_nats": mean(Quantity::new(|row| row.nll_nats)),
            })
        };
        json!({"model": self.model, "cells": cells.into_iter().map(row).collect::<Vec<_>>()})
    }
}

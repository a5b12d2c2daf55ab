//! Claim 3: entropy-adaptive budgets compress the cache at little cost.

use super::cells::Cells;
use super::claim::{Claim, Statement};
use super::statement::{
    check, decided, decimals, missing, percent, reaches, tested, undecided_if, untested, with_interval,
};
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
/// The fraction kept that the key numbers are about: 5x compression.
const KEY_BUDGET: f64 = 0.2;

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

    /// Returns the most important numbers: agreement of the best published rule and of the best method at 5x,
    /// preservation at 10x, and the compressions at which entropy is the reason.
    fn key_numbers(&self) -> Vec<[String; 3]> {
        let mut numbers = Vec::new();
        let best = |role: PolicyRole| {
            let rows = self.rows.iter().filter(|row| row.role == role);
            let names = unique(rows.map(|row| (row.policy.as_str(), row.policy_name())));
            let mean = |policy: &str| self.mean(policy, KEY_BUDGET, Quantity::AGREEMENT);
            let means = names.into_iter().filter_map(|names| Some((names, mean(names.0)?)));
            means.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let described = |(label, role): (&str, PolicyRole)| {
            let ((policy, name), mean) = best(role)?;
            let kept = self.realised(policy, KEY_BUDGET).map_or_else(|| "?".into(), percent);
            Some(format!("{label}: {} by {name} with {kept} of the cache", percent(mean)))
        };
        let roles =
            [("best published rule", PolicyRole::Published), ("best other method", PolicyRole::Method)];
        let both: Vec<String> = roles.into_iter().filter_map(described).collect();
        if !both.is_empty() {
            numbers.push([
                format!("next tokens that are the same as with the full cache, at 5x, {}", self.model),
                percent(MATCH[1].1),
                both.join("; "),
            ]);
        }
        let (budget, published) = PRESERVATION[2];
        if let Some(found) = self.mean("entropy-inverted", budget, PRESERVED) {
            let what = format!("attention preservation of entropy-inverted at 10x, {}", self.model);
            let kept = self.realised("entropy-inverted", budget).map_or_else(|| "?".into(), percent);
            numbers.push([what, percent(published), format!("{} with {kept} of the cache", percent(found))]);
        }
        let reasons = BUDGETS.map(|budget| (budget, self.reason(budget).holds));
        if reasons.iter().any(|(_, holds)| holds.is_some()) {
            let better = reasons.iter().filter(|(_, holds)| *holds == Some(true));
            let better: Vec<String> = better.map(|(budget, _)| format!("{:.0}x", 1.0 / budget)).collect();
            let found = if better.is_empty() { "none".to_owned() } else { better.join(", ") };
            let what = format!(
                "compressions at which budgets by entropy beat uniform and permuted budgets, {}",
                self.model
            );
            numbers.push([what, "claimed, not tested".to_owned(), found]);
        }
        numbers
    }

    /// Returns the rows of one policy and budget on texts.
    fn text_rows(&self, policy: &str, budget: f64) -> Vec<&GridRow> {
        let asked = AskedBudget::Fraction(budget);
        let wanted = |c: &&&GridRow| c.policy == policy && c.budget == asked && c.task == ScoredTask::TEXT;
        self.rows.iter().filter(wanted).copied().collect()
    }

    /// Returns a mean over texts with its interval, or `None` if the run has no such texts.
    fn estimate(&self, policy: &str, budget: f64, quantity: Quantity) -> Option<Estimate> {
        over_texts(&self.text_rows(policy, budget), quantity, self.seed)
    }

    /// Returns a mean over texts without an interval.
    fn mean(&self, policy: &str, budget: f64, quantity: Quantity) -> Option<f64> {
        mean_over_texts(&self.text_rows(policy, budget), quantity)
    }

    /// Returns the mean of one policy minus another on the texts that both have.
    fn difference(&self, [own, other]: [&str; 2], budget: f64, quantity: Quantity) -> Option<Estimate> {
        difference(&self.text_rows(own, budget), &self.text_rows(other, budget), quantity, self.seed)
    }

    /// Returns the fraction of the cache that was kept, over all texts, or `None` if the run has no such
    /// texts.
    fn realised(&self, policy: &str, budget: f64) -> Option<f64> {
        let cells = self.text_rows(policy, budget);
        let sum = |value: fn(&GridRow) -> Option<usize>| {
            cells.iter().filter_map(|c| value(c)).sum::<usize>() as f64
        };
        let full = sum(|c| c.full_entries);
        (full > 0.0).then(|| sum(|c| c.kept_entries) / full)
    }

    /// Returns the statement on whether `entropy-inverted` reaches the published attention preservation.
    fn preservation(&self, budget: f64, published: f64) -> Statement {
        let text = format!(
            "{}: entropy-inverted reaches the published attention preservation at {:.0}x",
            self.model,
            1.0 / budget
        );
        let Some(found) = self.estimate("entropy-inverted", budget, PRESERVED) else {
            return missing(&text, format!("{:.2} %", 100.0 * published));
        };
        decided(
            &text,
            format!("{:.2} %", 100.0 * published),
            format!("{} %", with_interval(&found, decimals(100.0, 2))),
            reaches(&found, published),
            "Attention preservation is the published metric: the cosine between an attention row and its kept part, for \
             the last query, whose row also selected what is kept. This model is not the published one, and \
             the context is longer than in the publication. The statement holds if the whole 95 % interval \
             reaches the published figure, and fails if all of \
             it is below."
                .into(),
        )
    }

    /// Returns the check that the metric can fail: a metric on which random choice scores as well says
    /// nothing about a selection.
    fn discrimination(&self) -> Statement {
        let text = "attention preservation distinguishes entropy-inverted from a random half of the cache";
        let preserved = |policy: &str| self.mean(policy, 0.5, PRESERVED);
        let gap = self.difference(["entropy-inverted", RANDOM], 0.5, PRESERVED);
        let found =
            (preserved("entropy-inverted"), preserved(RANDOM), self.mean(RANDOM, 0.5, Quantity::KL), gap);
        let (Some(rule), Some(random), Some(kl), Some(gap)) = found else {
            return missing(text, "not tested".into());
        };
        decided(
            text,
            "not tested".into(),
            format!(
                "{} for the rule, {} for a random half, whose KL is {kl:.3} nats",
                percent(rule),
                percent(random),
            ),
            reaches(&gap, 0.1),
            "The check passes if the rule scores at least ten points more, by the whole 95 % interval of the difference paired \
             over texts."
                .into(),
        )
    }

    /// Checks that the model uses its context: otherwise eviction has nothing to destroy.
    fn retrieval(&self) -> Statement {
        let asked: Vec<&&GridRow> =
            self.rows.iter().filter(|row| row.questions > 0 && row.role == PolicyRole::Full).collect();
        let questions: usize = asked.iter().map(|row| row.questions).sum();
        let right: usize = asked.iter().filter_map(|row| row.correct).sum();
        let text = "the model answers questions about its context with the full cache";
        if questions == 0 {
            return untested(text, "not tested".into(), "No retrieval context was run.".into());
        }
        let part = right as f64 / questions as f64;
        tested(
            text,
            "not tested".into(),
            format!("{} of {questions} answers are right", percent(part)),
            part >= 0.5,
            "The check passes if at least half of the answers are right; otherwise eviction cannot cost much.".into(),
        )
    }

    /// Returns the statement on whether a rule delivers the requested compression.
    fn spending(&self, rule: &str) -> Statement {
        let text = format!("{}: the requested compression is delivered by {rule}", self.model);
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
            "The statement holds if the kept entries are within 5 % of the requested number at every budget. A KV head \
             keeps every entry that one of its query heads selects, so a rule may keep more than requested."
                .into(),
        )
    }

    /// Returns the statement on whether a rule reaches the published quality at the published compression.
    fn agreement(&self, rule: &str, budget: f64, published: f64) -> Statement {
        const RIVAL: &str = "uniform+recency";
        let text = format!(
            "{}: {rule} at {:.0}x predicts the same next token as the full cache",
            self.model,
            1.0 / budget
        );
        let measured = |policy: &str| {
            let found = self.estimate(policy, budget, Quantity::AGREEMENT)?;
            Some((found, self.realised(policy, budget)?))
        };
        let Some((found, real)) = measured(rule) else { return missing(&text, percent(published)) };
        let keeps_no_more = real <= budget * (1.0 + SPENDING);
        let holds = if keeps_no_more { reaches(&found, published) } else { Some(false) };
        let rival = measured(RIVAL)
            .map(|(found, real)| format!("; {RIVAL}: {} with {}", percent(found.value), percent(real)));
        decided(
            &text,
            percent(published),
            format!(
                "{} % with {} of the cache{}",
                with_interval(&found, decimals(100.0, 1)),
                percent(real),
                rival.unwrap_or_default()
            ),
            holds,
            "The measured value is the share of next tokens that are the same through the compressed cache as through the \
             full cache; uniform+recency is shown for comparison. The rule sets budgets and selects entries once, after the \
             context. The statement holds if the whole 95 % interval reaches the published figure. It fails if all of the \
             interval is below, or if the rule keeps more than requested, by over 5 %."
                .into(),
        )
    }

    /// Returns the statement on whether entropy is the reason. It compares budgets by entropy with uniform
    /// and permuted budgets, at the same scorer and the same number of entries.
    fn reason(&self, budget: f64) -> Statement {
        let text = format!(
            "{}: budgets by entropy beat uniform and permuted budgets at {:.0}x",
            self.model,
            1.0 / budget
        );
        let difference_to =
            |other| self.difference(["entropy+window-attention", other], budget, Quantity::KL);
        let uniform = difference_to("uniform+window-attention");
        let permuted = difference_to("entropy-permuted+window-attention");
        let (Some(uniform), Some(permuted)) = (uniform, permuted) else {
            return missing(&text, "claimed".into());
        };
        let is_below_zero = |found: &Estimate| found.interval.map(|(_, high)| high < 0.0);
        let signed = |value| format!("{value:+.4}");
        decided(
            &text,
            "claimed, not tested".into(),
            format!(
                "KL minus uniform: {} nats; KL minus permuted: {} nats",
                with_interval(&uniform, signed),
                with_interval(&permuted, signed)
            ),
            is_below_zero(&uniform).zip(is_below_zero(&permuted)).map(|(uniform, permuted)| uniform && permuted),
            "All three policies use the window-attention scorer and keep the same number of entries. Differences are \
             paired over texts, and a negative one favours budgets by entropy. The statement holds if both 95 % intervals \
             are below 0."
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
        let cell = |(policy, budget): (&str, f64)| {
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
        json!({"model": self.model, "cells": cells.into_iter().map(cell).collect::<Vec<_>>()})
    }
}

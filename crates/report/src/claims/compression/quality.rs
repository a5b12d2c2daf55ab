//! Statements about what the published rules keep and what that costs.

use super::{BUDGETS, Cells, INVERTED, PRESERVED, Quantity, Statement, times, with_share};
use crate::claims::rule::{decide, reaches};
use crate::claims::statement::{decided, decimals, missing, percent, with_interval};

/// The largest relative difference between kept and requested entries at which a rule delivers its
/// compression.
pub(super) const SPENDING: f64 = 0.05;
/// The method that agreement is shown next to.
const RIVAL: &str = "uniform+recency";

const PRESERVATION: &str = "Attention preservation is the published metric: the cosine between an attention row and its \
kept part, for the last query, whose row also selected what is kept. This model is not the published one, and the \
context is longer than in the publication.";
const SPENT: &str = "A KV head keeps every entry that one of its query heads selects, so a rule may keep more than requested. \
This is the only statement that charges a rule for it; all others show the share that was really kept.";
const AGREEMENT: &str = "The measured value is the share of next tokens that are the same through the compressed cache as \
through the full cache; uniform+recency is shown for comparison. The rule sets budgets and selects entries once, after the context.";

impl Cells<'_> {
    /// Returns the statement on whether `entropy-inverted` reaches the published attention preservation.
    pub(super) fn preservation(&self, budget: f64, published: f64) -> Statement {
        let times = times(budget);
        let text = format!(
            "{}: {INVERTED} reaches the published attention preservation when asked for {times}",
            self.model
        );
        let Some(found) = self.estimate(INVERTED, budget, PRESERVED) else {
            return missing(&text, format!("{:.2} %", 100.0 * published));
        };
        let measured = with_interval(&found, decimals(100.0, 2), "%");
        decided(
            &text,
            format!("{:.2} %", 100.0 * published),
            with_share(&measured, self.realised(INVERTED, budget)),
            reaches(&found, published, "the published figure"),
            PRESERVATION,
        )
        .decided_by(self.evidence(&[INVERTED], &[budget], "text"))
    }

    /// Returns the statement on whether a rule delivers the requested compression.
    pub(super) fn spending(&self, rule: &str) -> Statement {
        let text = format!("{}: the requested compression is delivered by {rule}", self.model);
        let published = BUDGETS.map(times).join(", ");
        let realised: Vec<f64> = BUDGETS.iter().filter_map(|budget| self.realised(rule, *budget)).collect();
        if realised.len() < BUDGETS.len() {
            return missing(&text, published);
        }
        let listed: Vec<String> = realised.iter().map(|part| format!("{:.2}x", 1.0 / part)).collect();
        let near = realised.iter().zip(BUDGETS).all(|(real, asked)| (real / asked - 1.0).abs() <= SPENDING);
        let decision = decide(
            Some(near),
            "Yes if the kept entries are within 5 % of the requested number at every budget, else no.",
        );
        decided(&text, published, listed.join(", "), decision, SPENT).decided_by(self.evidence(
            &[rule],
            &BUDGETS,
            "text",
        ))
    }

    /// Returns the statement on whether a rule reaches the published quality.
    pub(super) fn agreement(&self, rule: &str, budget: f64, published: f64) -> Statement {
        let times = times(budget);
        let text = format!(
            "{}: {rule} predicts the same next token as the full cache when asked for {times}",
            self.model
        );
        let Some(found) = self.estimate(rule, budget, Quantity::AGREEMENT) else {
            return missing(&text, percent(published));
        };
        let value = with_interval(&found, decimals(100.0, 1), "%");
        let rival = self
            .mean(RIVAL, budget, Quantity::AGREEMENT)
            .map(|mean| format!("; {RIVAL}: {}", with_share(&percent(mean), self.realised(RIVAL, budget))));
        decided(
            &text,
            percent(published),
            with_share(&value, self.realised(rule, budget)) + &rival.unwrap_or_default(),
            reaches(&found, published, "the published figure"),
            AGREEMENT,
        )
        .decided_by(self.evidence(&[rule, RIVAL], &[budget], "text"))
    }
}

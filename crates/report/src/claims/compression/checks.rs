//! Checks of the metric and of the model.

use super::{Cells, FEWEST_DRAWS, INVERTED, PRESERVED, Quantity, RANDOM, Statement};
use crate::claims::rule::{Decision, decide};
use crate::claims::statement::{decided, missing, percent, untested};
use crate::interval::Estimate;
use bitkv_record::{GridRow, PolicyRole};

/// The budget at which the metric is checked.
const BUDGET: f64 = 0.5;

impl Cells<'_> {
    /// Returns the check that the published metric orders the rule and random choice as KL does. A metric
    /// that prefers the policy with the larger damage says nothing about quality.
    pub(super) fn discrimination(&self) -> Statement {
        let text = format!(
            "attention preservation prefers {INVERTED} to a random half of the cache, and KL agrees with it"
        );
        let mean = |policy: &str, quantity| self.mean(policy, BUDGET, quantity);
        let gap = |quantity| self.difference([INVERTED, RANDOM], BUDGET, quantity);
        let both = |quantity| Some((mean(INVERTED, quantity)?, mean(RANDOM, quantity)?, gap(quantity)?));
        let (Some(preserved), Some(kl)) = (both(PRESERVED), both(Quantity::KL)) else {
            return missing(&text, "not tested".into());
        };
        let draws = self.draws(RANDOM, BUDGET);
        if draws < FEWEST_DRAWS {
            let reason = format!(
                "The rows have {draws} of the random choices, and at least {FEWEST_DRAWS} are needed: write draws = \
                 {FEWEST_DRAWS} or more."
            );
            return untested(&text, "not tested".into(), reason);
        }
        let kept = self.realised(INVERTED, BUDGET).map_or_else(|| "?".to_owned(), percent);
        let measured = format!(
            "preservation {} for the rule and {} for random choice; KL {:.4} and {:.4} nats; kept {kept} and {}",
            percent(preserved.0),
            percent(preserved.1),
            kl.0,
            kl.1,
            percent(self.realised(RANDOM, BUDGET).unwrap_or(BUDGET)),
        );
        let reason = format!(
            "Random choice protects the same sinks and recent tokens as the methods, and is the mean of {draws} draws."
        );
        Statement {
            command: self.command(&[INVERTED, RANDOM], &[BUDGET]),
            ..decided(
                &text,
                "not tested".into(),
                measured,
                same_order(&preserved.2.estimate, &kl.2.estimate),
                &reason,
            )
        }
    }

    /// Checks that the model uses its context: otherwise eviction has nothing to destroy.
    pub(super) fn retrieval(&self) -> Statement {
        let asked: Vec<&GridRow> =
            self.rows.iter().filter(|row| row.questions > 0 && row.role == PolicyRole::Full).collect();
        let questions: usize = asked.iter().map(|row| row.questions).sum();
        let right: usize = asked.iter().filter_map(|row| row.correct).sum();
        let text = "the model answers questions about its context with the full cache";
        if questions == 0 {
            return untested(text, "not tested".into(), "No retrieval context was run.".into());
        }
        let part = right as f64 / questions as f64;
        Statement {
            command: self.command(&["full"], &[BUDGET]),
            ..decided(
                text,
                "not tested".into(),
                format!("{} of {questions} answers are right", percent(part)),
                decide(Some(part >= 0.5), "Yes if at least half of the answers are right, else no."),
                "Otherwise eviction cannot cost much.",
            )
        }
    }
}

/// Decides whether the preservation and the KL of the rule minus those of random choice both favour the rule.
fn same_order(preserved: &Estimate, kl: &Estimate) -> Decision {
    let holds = preserved.interval.zip(kl.interval).and_then(|((preserved, _), (low, high))| match () {
        () if preserved > 0.0 && high < 0.0 => Some(true),
        () if preserved > 0.0 && low > 0.0 => Some(false),
        () => None,
    });
    decide(
        holds,
        "Yes if both intervals of the paired differences favour the rule, no if preservation favours it and KL is against it, \
         else open.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_prefers_the_larger_damage_fails() {
        let decision = |preserved: (f64, f64), kl: (f64, f64)| {
            let estimate = |(low, high)| Estimate { value: low, interval: Some((low, high)) };
            same_order(&estimate(preserved), &estimate(kl)).holds
        };
        assert_eq!(decision((0.1, 0.2), (-0.02, -0.01)), Some(true));
        assert_eq!(decision((0.1, 0.2), (0.001, 0.01)), Some(false));
        assert_eq!([decision((0.1, 0.2), (-0.01, 0.01)), decision((-0.1, 0.2), (0.1, 0.2))], [None; 2]);
    }
}

//! Checks of the metric and of the model.

use super::quality::SPENDING;
use super::{Cells, FEWEST_DRAWS, INVERTED, PRESERVED, Quantity, RANDOM, Statement, too_few_draws};
use crate::claims::rule::{Decision, decide};
use crate::claims::statement::{decided, decimals, missing, percent, signed, untested, with_interval};
use crate::interval::Estimate;
use bitkv_record::{GridRow, PolicyRole};

/// The budget at which the metric is checked.
const BUDGET: f64 = 0.5;

impl Cells<'_> {
    /// Returns the check that the published metric orders the rule and random choice as KL does. A metric
    /// that prefers the policy with the larger damage says nothing about quality.
    pub(super) fn discrimination(&self) -> Statement {
        let text =
            format!("attention preservation prefers {INVERTED} to random choice at half, and KL agrees");
        let gap = |quantity| self.difference([INVERTED, RANDOM], BUDGET, quantity);
        let kept = [INVERTED, RANDOM].map(|policy| self.realised(policy, BUDGET));
        let (Some(preserved), Some(kl), [Some(rule), Some(random)]) =
            (gap(PRESERVED), gap(Quantity::KL), kept)
        else {
            return missing(&text, "not tested".into());
        };
        let draws = self.draws(RANDOM, BUDGET);
        if draws < FEWEST_DRAWS {
            return untested(&text, "not tested".into(), too_few_draws(draws, "random choices"));
        }
        let mean = |policy: &str, quantity| self.mean(policy, BUDGET, quantity).unwrap_or(f64::NAN);
        let measured = format!(
            "preservation {:.2} % for the rule with {} of the cache, {:.2} % for random choice with {}, difference {}; KL {:.4} \
             and {:.4} nats, difference {}",
            100.0 * mean(INVERTED, PRESERVED),
            percent(rule),
            100.0 * mean(RANDOM, PRESERVED),
            percent(random),
            with_interval(&preserved.estimate, decimals(100.0, 2), "points"),
            mean(INVERTED, Quantity::KL),
            mean(RANDOM, Quantity::KL),
            with_interval(&kl.estimate, signed, "nats"),
        );
        let is_equal = (rule / random - 1.0).abs() <= SPENDING;
        let reason = format!(
            "Random choice protects the same sinks and recent tokens as the methods, and is the mean of {draws} draws."
        );
        decided(
            &text,
            "not tested".into(),
            measured,
            same_order(&preserved.estimate, &kl.estimate, is_equal),
            &reason,
        )
        .decided_by(self.evidence(&[INVERTED, RANDOM], &[BUDGET], "text"))
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
        let task = asked[0].task.to_string();
        let part = right as f64 / questions as f64;
        decided(
            text,
            "not tested".into(),
            format!("{} of {questions} answers are right", percent(part)),
            decide(Some(part >= 0.5), "Yes if at least half of the answers are right, else no."),
            "Otherwise eviction cannot cost much.",
        )
        .decided_by(self.evidence(&["full"], &[], &task))
    }
}

/// Decides whether the preservation and the KL of the rule minus those of random choice both favour the rule.
/// If the two do not keep about the same number of entries, nothing is decided.
fn same_order(preserved: &Estimate, kl: &Estimate, is_equal: bool) -> Decision {
    let intervals = preserved.interval.zip(kl.interval).filter(|_| is_equal);
    let holds = intervals.and_then(|(preserved, kl)| match () {
        () if preserved.0 > 0.0 && kl.1 < 0.0 => Some(true),
        () if preserved.1 < 0.0 || kl.0 > 0.0 => Some(false),
        () => None,
    });
    decide(
        holds,
        "Yes if both intervals favour the rule, no if one of them is against it, else open. Open too if the kept entries differ \
         by more than 5 %.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_prefers_the_larger_damage_fails() {
        let decision = |preserved: (f64, f64), kl: (f64, f64), is_equal| {
            let estimate = |(low, high)| Estimate { value: low, interval: Some((low, high)) };
            same_order(&estimate(preserved), &estimate(kl), is_equal).holds
        };
        assert_eq!(decision((0.1, 0.2), (-0.02, -0.01), true), Some(true));
        assert_eq!(decision((0.1, 0.2), (0.001, 0.01), true), Some(false));
        assert_eq!(decision((-0.2, -0.1), (-0.02, -0.01), true), Some(false));
        assert_eq!(decision((0.1, 0.2), (-0.01, 0.01), true), None);
        assert_eq!(decision((0.1, 0.2), (-0.02, -0.01), false), None, "unequal caches");
    }
}

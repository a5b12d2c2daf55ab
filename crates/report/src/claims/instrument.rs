//! Checks that a model must pass before a claim about it can be decided.

use super::cells::Cells;
use super::statement::percent;
use crate::experiment::{Quantity, TOLERANCE, by_text, over_texts};
use crate::interval::Estimate;
use bitkv_record::{GridRow, PolicyRole, ScoredTask};

impl Cells<'_> {
    /// Returns why the model fails the check of prediction: it must predict text better than guessing. A
    /// check that was not made counts as failed.
    pub(super) fn failing_prediction(&self) -> Option<String> {
        let texts = self.full(|row| row.task == ScoredTask::TEXT);
        let excess = Quantity::new(|row| Some(row.nll_nats? - row.uniform_nats?));
        let uniform = texts.iter().find_map(|row| row.uniform_nats);
        let Some((found, uniform)) = over_texts(&texts, excess).zip(uniform) else {
            return Some(
                "it read no text with its full cache, so nothing shows that it predicts text".to_owned(),
            );
        };
        let mean = found.value + uniform;
        failure_unless(
            |(_, high)| high < 0.0,
            &found,
            || {
                format!(
                    "it predicts no better than guessing: a token costs it {mean:.2} nats, and guessing costs {uniform:.2}"
                )
            },
        )
    }

    /// Returns why the model cannot decide anything about compression: the first check that it fails. It must
    /// predict text, answer questions about its context, and change when entries are evicted at random.
    pub(super) fn failing_check(&self) -> Option<String> {
        self.failing_prediction().or_else(|| self.failing_recall()).or_else(|| self.failing_control())
    }

    /// Returns why the model fails the check of recall: with the full cache, the whole 95 % interval of its
    /// share of right answers must be above the share that guessing gets right.
    fn failing_recall(&self) -> Option<String> {
        let asked = self.full(|row| row.questions > 0);
        let Some(found) = over_texts(&asked, Quantity::ACCURACY) else {
            return Some(
                "it was asked nothing about its context, so nothing shows that it uses its context"
                    .to_owned(),
            );
        };
        let chances: Vec<f64> = asked.iter().filter_map(|row| row.chance).collect();
        let chance = chances.iter().sum::<f64>() / chances.len().max(1) as f64;
        failure_unless(
            |(low, _)| low > chance,
            &found,
            || {
                format!(
                    "with the full cache {} of its answers are right, and guessing gets {} right, so there is nothing \
                     that eviction could make it forget",
                    percent(found.value),
                    percent(chance)
                )
            },
        )
    }

    /// Returns why the model fails the check of sensitivity: at the smallest budget, random eviction must
    /// change its predictions on most texts, by more than the self-check tolerates.
    fn failing_control(&self) -> Option<String> {
        let random =
            self.rows.iter().filter(|row| row.role == PolicyRole::Control && row.task == ScoredTask::TEXT);
        let random = random.filter(|row| row.policy.contains("+random"));
        let kept = |row: &GridRow| Quantity::KEPT.value(row);
        let least = random.clone().filter_map(kept).fold(f64::INFINITY, f64::min);
        let at_least_budget = random.filter(|row| kept(row).is_some_and(|part| part <= least + 1e-9));
        let kl = by_text(&at_least_budget.collect::<Vec<_>>(), Quantity::KL);
        if kl.is_empty() {
            return Some("no random choice of the kept entries was measured on it, so nothing shows that eviction changes it".to_owned());
        }
        let changed = kl.values().filter(|kl| **kl > TOLERANCE).count();
        (2 * changed <= kl.len()).then(|| {
            format!(
                "a random choice that keeps {} of the cache changes {changed} of {} texts by more than {TOLERANCE} nats, so no policy \
                 can be better",
                percent(least),
                kl.len()
            )
        })
    }

    /// Returns the rows of the full cache that `wanted` selects.
    fn full(&self, wanted: impl Fn(&GridRow) -> bool) -> Vec<&GridRow> {
        self.rows.iter().filter(|row| row.role == PolicyRole::Full && wanted(row)).collect()
    }
}

/// Returns why a check failed, or `None` if `passed` accepts the 95 % interval.
fn failure_unless(
    passed: impl Fn((f64, f64)) -> bool,
    found: &Estimate,
    reason: impl Fn() -> String,
) -> Option<String> {
    match found.interval {
        Some(interval) => (!passed(interval)).then(reason),
        None => Some(
            "it was measured on too few texts for an interval, so nothing could pass its checks".to_owned(),
        ),
    }
}

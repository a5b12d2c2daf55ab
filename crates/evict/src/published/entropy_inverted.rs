//! The rule `entropy-inverted`.

use super::shared::{best_of_rows, mean};
use crate::{Budget, Memo, Need, Observation, Plan, Reason, Rule};

/// Bounds of the fraction that a head keeps.
const CLIP: (f64, f64) = (0.05, 1.0);

method! {
    /// Each query head keeps the tokens with the highest attention in the row of the last query, more of them
    /// if its entropy is *low*. This rule produced the published percentages. The first position is kept in
    /// addition.
    pub struct EntropyInverted {}
    needs(self) [Need::Entropy, Need::Window(1)];
    "entropy-inverted" from "microsoft/BitNet pull request 497, verify_kv_savings.py",
    "Published rule: each query head keeps its best tokens, more if its entropy is low.",
    role: Published, oracle: true,
    formula: "For each query head, the tokens with the highest attention in the row of the last query, more of \
         them if its entropy is low."
}

impl Rule for EntropyInverted {
    fn plan(&self, observation: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
        let parts = inverted_budgets(
            observation.numbers(Need::Entropy),
            1.0 / budget.kept_fraction(observation.shape),
        );
        let mut sets = best_of_rows(observation, parts);
        sets.iter_mut().filter(|set| set.first() != Some(&0)).for_each(|set| set.insert(0, 0));
        Ok(Plan::from_query_heads(observation.shape, budget.total(observation.shape), sets))
    }
}

/// Returns the fraction (0.05..1) of its row that each query head keeps at a compression of `ratio` (2 keeps
/// half): `raw / mean(raw) / ratio` with `raw = 2 - (H - min) / (max - min)`.
pub fn inverted_budgets(entropy: &[f64], ratio: f64) -> Vec<f64> {
    let min = entropy.iter().copied().fold(f64::INFINITY, f64::min);
    let max = entropy.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raw: Vec<f64> = entropy.iter().map(|&h| raw(h, min, max)).collect();
    let mean = mean(&raw);
    raw.iter().map(|raw| clipped_fraction(*raw, mean, ratio)).collect()
}

/// Returns the smallest and the largest of [`inverted_budgets`] for heads whose entropies have this minimum,
/// mean and maximum.
pub fn inverted_range(min: f64, mean: f64, max: f64, ratio: f64) -> [f64; 2] {
    // `raw` is linear in the entropy, so its mean is `raw` of the mean entropy.
    [max, min].map(|h| clipped_fraction(raw(h, min, max), raw(mean, min, max), ratio))
}

/// Returns the raw weight of a head: 2 for the lowest entropy, 1 for the highest, and 2 if all entropies are
/// equal.
fn raw(entropy: f64, min: f64, max: f64) -> f64 {
    if max > min { 2.0 - (entropy - min) / (max - min) } else { 2.0 }
}

/// Returns the fraction that a head keeps, from its raw weight and the mean of all raw weights.
fn clipped_fraction(raw: f64, mean: f64, ratio: f64) -> f64 {
    (raw / mean / ratio).clamp(CLIP.0, CLIP.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_ranges() {
        for (ratio, expected) in [(2.0, "0.355 0.710"), (5.0, "0.142 0.284"), (10.0, "0.071 0.142")] {
            let [low, high] = inverted_range(0.001, 2.402, 4.063, ratio);
            assert_eq!(format!("{low:.3} {high:.3}"), expected);
        }
    }

    #[test]
    fn low_entropy_gets_more() {
        // raw 2, 1.5, 1, mean 1.5.
        let budgets = inverted_budgets(&[0.0, 1.0, 2.0], 3.0);
        assert_eq!(budgets, [2.0 / 1.5 / 3.0, 1.0 / 3.0, 1.0 / 1.5 / 3.0]);
        assert_eq!(inverted_range(0.0, 1.0, 2.0, 3.0), [budgets[2], budgets[0]]);
    }

    #[test]
    fn budgets_are_clipped() {
        assert_eq!(inverted_budgets(&[0.0, 2.0], 1.0), [1.0, 1.0 / 1.5]);
        assert_eq!(inverted_budgets(&[0.0, 2.0], 100.0), [0.05, 0.05]);
        assert_eq!(inverted_budgets(&[1.0, 1.0], 4.0), [0.25, 0.25]);
        assert!(inverted_budgets(&[], 2.0).is_empty());
    }
}

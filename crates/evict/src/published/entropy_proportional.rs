//! The rule `entropy-proportional`.

use super::shared::{best_of_rows, mean, scale};
use crate::{Budget, Memo, Need, Observation, Plan, Reason, Rule};

method! {
    /// Each query head keeps the tokens with the highest attention in the row of the last query, in
    /// proportion to its entropy. It does not force sinks or recent tokens to be kept, and does not conserve
    /// the budget.
    pub struct EntropyProportional {}
    needs(self) [Need::Entropy, Need::Window(1)];
    "entropy-proportional" from "SCJedi, entropy-adaptive-kv-cache (GPT-2 study)",
    "Published rule: each query head keeps its best tokens, more if its entropy is high.",
    role: Published, oracle: true,
    formula: "For each query head, the tokens with the highest attention in the row of the last query, in \
         proportion to its clamped entropy."
}

impl Rule for EntropyProportional {
    fn plan(&self, observation: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
        let parts =
            proportional_budgets(observation.numbers(Need::Entropy), budget.kept_fraction(observation.shape));
        Ok(Plan::from_query_heads(
            observation.shape,
            budget.total(observation.shape),
            best_of_rows(observation, parts),
        ))
    }
}

/// Returns the fraction (0..1) of its row that each query head keeps:
/// `min(1, keep * clamp(H / mean(H), 0.3, 2.5))`, with entropies in bits.
pub fn proportional_budgets(entropy: &[f64], keep: f64) -> Vec<f64> {
    let mean = mean(entropy);
    entropy.iter().map(|&h| (keep * scale(h, mean)).min(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_follow_entropy_between_the_clamps() {
        // Mean 2: ratios 0 (clamped to 0.3), 1, 0.5 and 2.5.
        assert_eq!(proportional_budgets(&[0.0, 2.0, 1.0, 5.0], 0.5), [0.15, 0.5, 0.25, 1.0]);
    }

    #[test]
    fn the_budget_is_not_conserved() {
        let budgets = proportional_budgets(&[0.0, 0.0, 0.0, 8.0], 0.5);
        assert_eq!(budgets, [0.15, 0.15, 0.15, 1.0]);
        assert!((mean(&budgets) - 0.5).abs() > 0.1);
    }

    #[test]
    fn heads_without_entropy_are_average() {
        assert_eq!(proportional_budgets(&[0.0, 0.0], 0.5), [0.5, 0.5]);
        assert!(proportional_budgets(&[], 0.5).is_empty());
    }
}

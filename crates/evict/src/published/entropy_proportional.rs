//! The rule `entropy-proportional`.

use super::parts::{best_of_rows, mean, scale};
use crate::{Budget, Memo, Need, Observation, Plan, Reason, Rule};

method! {
    /// Each query head keeps the tokens with the highest attention in the row of the last query, in
    /// proportion to its entropy. It does not force sinks or recent tokens to be kept, and does not conserve
    /// the budget.
    pub struct EntropyProportional {}
    needs(self) [Need::Entropy, Need::Window(1)];
    "entropy-proportional" from "SCJedi, entropy-adaptive-kv-cache (GPT-2 study)",
    "published: the best of the last query's row, more for query heads of high entropy",
    role: Published, oracle: true,
    formula: "for each query head the best of that row, in proportion to its entropy within clamps"
}

impl Rule for EntropyProportional {
    fn plan(&self, seen: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
        let parts = proportional_budgets(seen.numbers(Need::Entropy), budget.part(seen.shape));
        Ok(Plan::from_query_heads(seen.shape, budget.total(seen.shape), best_of_rows(seen, parts)))
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

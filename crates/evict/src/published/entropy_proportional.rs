use serde::{Deserialize, Serialize};

use super::{mean, scale};
use crate::{
    Budget, Need, Needs, Observation, Plan,
    options::Options,
    registry::{Method, Role},
    rules::Rule,
    select,
};

/// Each query head keeps the best of the last query's own row, in proportion to its
/// entropy. No sinks and no recent tokens are forced, and the budget is not conserved.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct EntropyProportional {}

impl Options for EntropyProportional {}

impl Method for EntropyProportional {
    const ROLE: Role = Role::Published;
    const NAME: &'static str = "entropy-proportional";
    const SOURCE: &'static str = "SCJedi, entropy-adaptive-kv-cache (GPT-2 study)";
    const DESCRIPTION: &'static str =
        "published: the best of the last query's row, more for query heads of high entropy";
    const ORACLE: bool = true;
}

impl Rule for EntropyProportional {
    fn needs(&self) -> Needs {
        [Need::Entropy, Need::Window(1)].into()
    }

    fn plan(&self, seen: &Observation<'_>, budget: Budget) -> Result<Plan, String> {
        let tokens = seen.shape.tokens;
        let rows = seen.rows(Need::Window(1));
        let budgets = proportional_budgets(seen.numbers(Need::Entropy), budget.part(seen.shape));
        let keep = |(row, part): (&&[f32], f64)| {
            let count = (tokens as f64 * part).floor() as usize;
            select::best(row, count.max(1))
        };
        let sets = rows.iter().zip(budgets).map(keep).collect();
        Ok(Plan::of_query_heads(seen.shape, budget.total(seen.shape), sets))
    }
}

/// The part (0..1) of its row that each query head keeps:
/// `min(1, keep * clamp(H / mean(H), 0.3, 2.5))`, entropies in bits.
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

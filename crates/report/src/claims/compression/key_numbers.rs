//! The most important numbers of the claim.

use super::{BUDGETS, Cells, INVERTED, MATCH, PRESERVATION, PRESERVED, Quantity, times, with_share};
use crate::claims::statement::percent;
use crate::unique;
use bitkv_record::PolicyRole;

/// The fraction kept that the key numbers are about: 5x compression.
const KEY_BUDGET: f64 = 0.2;

impl Cells<'_> {
    /// Returns the most important numbers: agreement of the best published rule and of the best method at 5x,
    /// preservation at 10x, and the compressions at which entropy is the reason.
    pub(super) fn key_numbers(&self) -> Vec<[String; 3]> {
        [self.key_agreement(), self.key_preservation(), self.key_reason()].into_iter().flatten().collect()
    }

    fn key_agreement(&self) -> Option<[String; 3]> {
        let best = |role: PolicyRole| {
            let rows = self.rows.iter().filter(|row| row.role == role);
            let names = unique(rows.map(|row| (row.policy.as_str(), row.policy_name())));
            let mean = |policy: &str| self.mean(policy, KEY_BUDGET, Quantity::AGREEMENT);
            let means = names.into_iter().filter_map(|names| Some((names, mean(names.0)?)));
            means.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let described = |(label, role): (&str, PolicyRole)| {
            let ((policy, name), mean) = best(role)?;
            let found =
                with_share(&format!("{} by {name}", percent(mean)), self.realised(policy, KEY_BUDGET));
            Some(format!("{label}: {found}"))
        };
        let roles =
            [("best published rule", PolicyRole::Published), ("best other method", PolicyRole::Method)];
        let both: Vec<String> = roles.into_iter().filter_map(described).collect();
        let what = format!(
            "next tokens that are the same as with the full cache, {} asked for, {}",
            times(KEY_BUDGET),
            self.model
        );
        (!both.is_empty()).then(|| [what, percent(MATCH[1].1), both.join("; ")])
    }

    fn key_preservation(&self) -> Option<[String; 3]> {
        let (budget, published) = PRESERVATION[2];
        let found = self.mean(INVERTED, budget, PRESERVED)?;
        let what =
            format!("attention preservation of {INVERTED}, {} asked for, {}", times(budget), self.model);
        Some([what, percent(published), with_share(&percent(found), self.realised(INVERTED, budget))])
    }

    fn key_reason(&self) -> Option<[String; 3]> {
        let reasons = BUDGETS.map(|budget| (budget, self.reason(budget).holds));
        if self.failing_check().is_some() || reasons.iter().all(|(_, holds)| holds.is_none()) {
            return None;
        }
        let listed = |wanted| {
            let own = reasons.iter().filter(|(_, holds)| *holds == wanted);
            own.map(|(budget, _)| times(*budget)).collect::<Vec<String>>().join(", ")
        };
        let (better, open) = (listed(Some(true)), listed(None));
        let better = if better.is_empty() { "none".to_owned() } else { better };
        let found = if open.is_empty() { better } else { format!("{better}; not decided: {open}") };
        let what = format!(
            "compressions at which budgets by entropy beat uniform and permuted budgets, {}",
            self.model
        );
        Some([what, "claimed, not tested".to_owned(), found])
    }
}

//! The rule `full`, the reference that keeps everything.

use crate::{Budget, Memo, Observation, Plan, Reason, Rule};

method! {
    /// Keeps everything, regardless of the budget.
    pub struct Full {}
    "full" from "the uncompressed cache",
    "Keeps everything, regardless of the budget: the reference.", role: Full,
    formula: "Keeps everything."
}

impl Rule for Full {
    fn plan(&self, observation: &Observation<'_>, _: Budget, _: &Memo) -> Result<Plan, Reason> {
        Ok(Plan::everything(observation.shape))
    }
}

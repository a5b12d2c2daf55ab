//! Policies that are a whole by themselves: the reference that keeps everything, and the
//! published rules. They keep what they keep, not what the budget asks for.

use crate::{Budget, Entry, Observation, Plan, Reads, kvpress::Known, published, registry::Method};

/// Every rule, in the order reports list them.
#[rustfmt::skip]
pub(crate) static ALL: &[Entry<dyn Rule>] = &[
    entry::<Full>(),
    entry::<published::EntropyProportional>(),
    entry::<published::EntropyGlobal>(),
    entry::<published::EntropyInverted>(),
];

/// A policy that is a whole by itself.
pub(crate) trait Rule: Reads {
    /// The tokens to keep, of a whole cache observed and checked against the needs, or why not, in a clause.
    fn plan(&self, seen: &Observation<'_>, budget: Budget) -> Result<Plan, String>;

    /// As `plan`, where `known` holds what earlier plans of the same observation computed.
    fn plan_knowing(&self, seen: &Observation<'_>, budget: Budget, _: &Known) -> Result<Plan, String> {
        self.plan(seen, budget)
    }

    /// Whether it keeps exactly as many tokens as it is asked for.
    fn conserves(&self) -> bool {
        false
    }

    /// As [`crate::Policy::undecided`], of the same observation as `plan`.
    fn undecided(&self, seen: &Observation<'_>, _: Budget, _tolerance: f32) -> Result<Vec<Vec<u32>>, String> {
        Ok(vec![vec![]; seen.shape.all_kv_heads()])
    }
}

pub(crate) const fn entry<R: Method + Rule>() -> Entry<dyn Rule> {
    Entry::of::<R>(|given| Ok(R::read(given)?))
}

method! {
    /// Keeps everything, whatever the budget.
    struct Full {}
    "full" from "the uncompressed cache",
    "everything, whatever the budget: the reference", role: Full
}

impl Rule for Full {
    fn plan(&self, seen: &Observation<'_>, _: Budget) -> Result<Plan, String> {
        Ok(Plan::everything(seen.shape))
    }
}

//! The trait of rules: complete policies that are not made of an allocator and a scorer.

use crate::{Budget, Memo, Observation, Plan, Reads, Reason};

/// A complete policy that is not made of an allocator and a scorer. It decides on its own how many tokens it
/// keeps, not necessarily as many as the budget asks for, and it plans whole caches only.
///
/// ```
/// use bitkv_evict::{Budget, Memo, Observation, Plan, Reason, Registry, Rule, Shape, method};
///
/// method! {
///     /// Keeps the first half of every head.
///     pub struct FirstHalf {}
///     "first-half" from "this example", "Keeps the first half of the tokens."
/// }
///
/// impl Rule for FirstHalf {
///     fn plan(&self, observation: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
///         let shape = observation.shape;
///         let half = (0..shape.tokens.div_ceil(2) as u32).collect();
///         Ok(Plan::from_kv_heads(shape, budget.total(shape), vec![half; shape.all_kv_heads()]))
///     }
/// }
///
/// let registry = Registry::standard().with_rule::<FirstHalf>()?;
/// let shape = Shape { layers: 1, query_heads: 1, kv_heads: 1, tokens: 4, head_dim: 0 };
/// let plan = registry.policy("first-half")?.plan(&Observation::new(shape), Budget::fraction(0.25)?)?;
/// assert_eq!((plan.kept(0, 0), plan.asked()), (&[0, 1][..], 1));
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
pub trait Rule: Reads {
    /// Returns the plan for a whole cache. The observation is checked against the needs. `memo` holds values
    /// that earlier plans of the same observation stored.
    ///
    /// # Errors
    /// Returns the reason if the rule cannot plan this cache.
    fn plan(&self, observation: &Observation<'_>, budget: Budget, memo: &Memo) -> Result<Plan, Reason>;

    /// Returns whether the rule keeps exactly as many tokens as the budget asks for. The default is `false`.
    fn conserves(&self) -> bool {
        false
    }
}

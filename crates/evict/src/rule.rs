//! A policy that is a whole by itself.

use crate::{Budget, Memo, Observation, Plan, Reads, Reason};

/// A policy that is a whole by itself: it keeps what it keeps, not what the budget asks for, and it plans
/// whole caches only.
///
/// ```
/// use bitkv_evict::{Budget, Memo, Observation, Plan, Reason, Registry, Rule, Shape, method};
///
/// method! {
///     /// Keeps the first half of every head.
///     pub struct FirstHalf {}
///     "first-half" from "this example", "the first half of the tokens"
/// }
///
/// impl Rule for FirstHalf {
///     fn plan(&self, seen: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
///         let half = (0..seen.shape.tokens.div_ceil(2) as u32).collect();
///         Ok(Plan::from_kv_heads(seen.shape, budget.total(seen.shape), vec![half; seen.shape.all_kv_heads()]))
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
    /// The tokens to keep of a whole cache, observed and checked against the needs. `memo` holds what
    /// earlier plans of the same observation have kept there.
    ///
    /// # Errors
    /// When the rule has no plan for this cache.
    fn plan(&self, seen: &Observation<'_>, budget: Budget, memo: &Memo) -> Result<Plan, Reason>;

    /// Whether it keeps exactly as many tokens as it is asked for.
    fn conserves(&self) -> bool {
        false
    }
}

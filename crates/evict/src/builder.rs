//! Builds policies from values: an allocator and a scorer that no registry needs to know.

use crate::{
    Allocator, Error, Guard, Method, Policy, Pooling, Scorer, entry::Configured, options::CommonOptions,
};

/// Builds a policy from an allocator and a scorer; see [`Policy::builder`].
///
/// A compressor would be a third part of a policy and of this builder: it would decide what happens to the
/// tokens that are not kept. No compressor exists yet, so these tokens are dropped.
#[derive(Debug)]
pub struct PolicyBuilder<A, S> {
    allocator: A,
    scorer: S,
    common: CommonOptions,
}

impl Policy {
    /// Starts a policy of an allocator and a scorer, with the default guard and pooling. No registry needs to
    /// know either of them.
    ///
    /// ```
    /// use bitkv_evict::{Guard, Policy, Pooling, allocators::Adaptive, scorers::WindowAttention};
    ///
    /// let scorer = WindowAttention { window: 64, ..WindowAttention::default() };
    /// let policy = Policy::builder(Adaptive::default(), scorer)
    ///     .guard(Guard { sinks: 0, recent: 0 })
    ///     .pooling(Pooling::Max)
    ///     .build()?;
    /// assert_eq!(policy.spec(), "adaptive+window-attention{pool=\"max\",recent=0,sinks=0,window=64}");
    /// # Ok::<(), bitkv_evict::Error>(())
    /// ```
    pub fn builder<A, S>(allocator: A, scorer: S) -> PolicyBuilder<A, S>
    where
        A: Method + Allocator,
        S: Method + Scorer,
    {
        PolicyBuilder { allocator, scorer, common: CommonOptions::default() }
    }
}

impl<A: Method + Allocator, S: Method + Scorer> PolicyBuilder<A, S> {
    /// Sets the tokens that every head keeps regardless of their scores.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.common.guard = guard;
        self
    }

    /// Sets how the attention of the query heads of a group is pooled for their KV head.
    pub fn pooling(mut self, pooling: Pooling) -> Self {
        self.common.pool = pooling;
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    /// Fails if an option has an invalid value, if the scorer cannot pool as requested, or if the allocator
    /// compares scores between heads although the scores of this scorer are not comparable.
    pub fn build(self) -> Result<Policy, Error> {
        Policy::composed(
            Configured::allocator(self.allocator)?,
            Configured::scorer(self.scorer)?,
            self.common,
        )
    }
}

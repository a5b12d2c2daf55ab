//! Policies made of values.

use crate::{Allocator, Error, Guard, Method, Policy, Pooling, Scorer, entry::Made, options::Common};

/// Makes a policy of an allocator and a scorer; see [`Policy::builder`].
///
/// A compressor, which says what becomes of the tokens that are not kept, will be a third part of a policy
/// and of this builder. No compressor exists yet: what is not kept is dropped.
#[derive(Debug)]
pub struct PolicyBuilder<A, S> {
    allocator: A,
    scorer: S,
    common: Common,
}

impl Policy {
    /// A policy of these two parts, with the default guard and pooling. No registry need know them.
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
        PolicyBuilder { allocator, scorer, common: Common::default() }
    }
}

impl<A: Method + Allocator, S: Method + Scorer> PolicyBuilder<A, S> {
    /// The tokens that every head keeps whatever their score.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.common.guard = guard;
        self
    }

    /// How the attention of the query heads of a group becomes that of their KV head.
    pub fn pooling(mut self, pooling: Pooling) -> Self {
        self.common.pool = pooling;
        self
    }

    /// The policy.
    ///
    /// # Errors
    /// When an option has a value without meaning, when the scorer does not pool its group as it is told to, or
    /// when the allocator compares heads by scores that mean nothing beside each other.
    pub fn build(self) -> Result<Policy, Error> {
        Policy::composed(Made::allocator(self.allocator)?, Made::scorer(self.scorer)?, self.common)
    }
}

//! A [`Layer`] is what a press reads of one layer of a cache.

use std::{fmt::Debug, rc::Rc};

use bitkv_evict::{Budget, Need, Observation, Shape, formulas::mean_rows};

use crate::score_cache::{ScoreCache, Scores};

/// One layer of a whole cache, with the observations and the budget that a press reads.
pub(crate) struct Layer<'a> {
    /// The number of the layer, from 0.
    pub(crate) index: usize,
    /// The number of layers of the model.
    pub(crate) count: usize,
    pub(crate) kv_heads: usize,
    pub(crate) tokens: usize,
    pub(crate) head_dim: usize,
    /// The number of tokens that a KV head keeps on average: `max(1, int(tokens * (1 - ratio)))`.
    pub(crate) kept: usize,
    /// The fraction of the cache that is kept, `1 - ratio`.
    pub(crate) part: f64,
    pub(crate) rope_theta: f64,
    pub(crate) rope_factors: &'a [f32],
    seen: &'a Observation<'a>,
    cache: &'a ScoreCache,
}

impl<'a> Layer<'a> {
    pub(crate) fn new(
        seen: &'a Observation<'a>,
        index: usize,
        budget: Budget,
        cache: &'a ScoreCache,
    ) -> Layer<'a> {
        let shape = seen.shape;
        Layer {
            index,
            count: shape.layers,
            kv_heads: shape.kv_heads,
            tokens: shape.tokens,
            head_dim: shape.head_dim,
            kept: budget.per_head(shape),
            part: budget.kept_fraction(shape),
            // `bitkv-evict` checks that `rope_theta` is given if query moments are needed. Otherwise no press
            // reads it.
            rope_theta: seen.rope_theta.unwrap_or(1.0),
            rope_factors: &seen.rope_factors,
            seen,
            cache,
        }
    }

    /// Returns the result of `compute` for `method`, and computes it once for all plans of an observation.
    /// `compute` must not read the budget.
    pub(crate) fn cached(
        &self,
        part: &str,
        method: &dyn Debug,
        compute: impl FnOnce() -> Scores,
    ) -> Rc<Scores> {
        self.cache.get_or_compute(self.index, part, method, compute)
    }

    pub(crate) fn shape(&self) -> Shape {
        self.seen.shape
    }

    /// Returns the row of KV head `head`, for a need that has one row per KV head.
    pub(crate) fn row(&self, need: Need, head: usize) -> &'a [f32] {
        self.seen.rows(need)[self.index * self.kv_heads + head]
    }

    /// Returns the rows of the query heads that share KV head `head`, for a need that has one row per query
    /// head.
    pub(crate) fn group(&self, need: Need, head: usize) -> &[&'a [f32]] {
        let group = self.seen.shape.group();
        let first = (self.index * self.kv_heads + head) * group;
        &self.seen.rows(need)[first..first + group]
    }

    /// Returns the mean row over the query heads that share KV head `head`, `[tokens]`.
    pub(crate) fn group_mean(&self, need: Need, head: usize) -> Vec<f32> {
        mean_rows(self.group(need, head))
    }

    /// Returns the mean row over all query heads of the layer, `[tokens]`.
    pub(crate) fn mean(&self, need: Need) -> Vec<f32> {
        let heads = self.seen.shape.query_heads;
        mean_rows(&self.seen.rows(need)[self.index * heads..(self.index + 1) * heads])
    }
}

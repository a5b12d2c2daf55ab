//! The trait of allocators, which divide a budget among KV heads, and what an allocator can read.

use crate::{EntropyPooling, Guard, Need, Observation, Reads, Reason, Shape};

/// Divides a budget among KV heads.
///
/// An allocator returns weights, not counts. Shared code turns the weights into counts: it rounds them, and
/// gives every head at least one token and at most the tokens that the head holds. Therefore no allocator can
/// spend more than another. If all weights are zero, the budget is divided evenly.
///
/// Declare an allocator with [`method!`](crate::method!), and check it with
/// [`conformance::check_allocator`](crate::conformance::check_allocator).
pub trait Allocator: Reads {
    /// Returns whether the allocator reads scores, so that heads compete for tokens. If it does, the scores
    /// of different heads must be comparable; see [`Scorer::incomparable`](crate::Scorer::incomparable). The
    /// default is `false`.
    fn compares(&self) -> bool {
        false
    }

    /// Returns the part of `guard` that a head with a share of `share` tokens keeps. The default is
    /// [`Guard::within`].
    fn fit(&self, guard: Guard, share: usize) -> Guard {
        guard.within(share)
    }

    /// Checks the options that depend on the shape of the cache. The default accepts every shape.
    ///
    /// # Errors
    /// Returns the reason if the allocator cannot divide a budget for this cache.
    fn check(&self, _shape: Shape) -> Result<(), Reason> {
        Ok(())
    }

    /// Returns a finite, non-negative weight for each KV head, `[layers * kv_heads]`.
    fn weigh(&self, division: &Division<'_>) -> Vec<f64>;
}

/// A budget to divide, with everything that an allocator may read.
#[derive(Clone, Copy, Debug)]
pub struct Division<'a> {
    /// The observation, checked against the allocator's needs.
    pub observation: &'a Observation<'a>,
    /// The scores of the tokens that each KV head holds, `[layers * kv_heads][held]`. They are infinite for
    /// tokens that the scorer protects or promotes and for tokens that the guard keeps.
    pub scores: &'a [Vec<f32>],
    /// The number of entries (one token of one KV head) to divide. It is smaller than the number of entries
    /// that the cache holds.
    pub total: usize,
}

impl Division<'_> {
    /// Returns how many tokens a head keeps on average.
    pub fn average_tokens(&self) -> f64 {
        self.total as f64 / self.scores.len() as f64
    }

    /// Returns how many tokens the fullest head holds.
    pub fn most_held(&self) -> f64 {
        self.scores.iter().map(Vec::len).max().unwrap_or_default() as f64
    }

    /// Returns the calibrated attention entropy of each KV head in bits, `[layers * kv_heads]`. `group` says
    /// how the entropies of the query heads of a group are pooled.
    pub fn entropy(&self, group: EntropyPooling) -> Vec<f64> {
        group.pool(self.observation.numbers(Need::Entropy), self.observation.shape.group())
    }
}

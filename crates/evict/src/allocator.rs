//! What divides a budget among KV heads.

use crate::{Group, Guard, Need, Observation, Reads};

/// Divides a budget among KV heads.
///
/// An allocator returns weights, not counts: rounding, floors and ceilings are the same
/// for all, so that no policy can spend more than another. No head gets less than one
/// token, and weights that are all zero mean an even split.
pub trait Allocator: Reads {
    /// Whether heads compete by their scores, which then must be comparable.
    fn compares(&self) -> bool {
        false
    }

    /// How much of `guard` a head of `share` tokens keeps. By default, as [`Guard::within`] has it.
    fn fit(&self, guard: Guard, share: usize) -> Guard {
        guard.within(share)
    }

    /// A finite weight, zero or more, for each KV head in layer-major order.
    fn weigh(&self, division: &Division<'_>) -> Vec<f64>;
}

/// What an allocator may go by.
#[derive(Clone, Copy, Debug)]
pub struct Division<'a> {
    /// What was observed, checked against the allocator's needs.
    pub observation: &'a Observation<'a>,
    /// The scores of the tokens that each KV head holds, `[layers * kv_heads][held]`, infinite where protected
    /// or guarded.
    pub scores: &'a [Vec<f32>],
    /// The entries to divide, fewer than are held.
    pub total: usize,
}

impl Division<'_> {
    /// Tokens that an average head keeps.
    pub fn tokens_a_head(&self) -> f64 {
        self.total as f64 / self.scores.len() as f64
    }

    /// Tokens that the head with the most holds.
    pub fn longest(&self) -> f64 {
        self.scores.iter().map(Vec::len).max().unwrap_or_default() as f64
    }

    /// The calibrated entropy of each KV head in bits, `[layers * kv_heads]`.
    pub fn entropy(&self, group: Group) -> Vec<f64> {
        group.over(self.observation.numbers(Need::Entropy), self.observation.shape.group())
    }
}

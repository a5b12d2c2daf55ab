//! Ways to divide a budget among KV heads. To add one: write its file with `method!`, then add
//! its `mod` and its line of [`ALL`]. Tests, lists and error messages follow from there.

use crate::{Entry, Guard, Observation, Reads, registry::Method};

mod adaptive;
mod cake;
mod compete;
mod duo;
mod effective_tokens;
mod entropy;
mod entropy_inverse;
mod entropy_permuted;
mod global;
mod head_scores;
mod layers;
mod pyramid;
mod squeeze;
mod uniform;
mod zig_zag;

/// Every allocator, in the order reports list them.
#[rustfmt::skip]
pub static ALL: &[Entry<dyn Allocator>] = &[
    entry::<uniform::Uniform>(),
    entry::<entropy::Entropy>(),
    entry::<entropy_permuted::EntropyPermuted>(),
    entry::<entropy_inverse::EntropyInverse>(),
    entry::<effective_tokens::EffectiveTokens>(),
    entry::<pyramid::Pyramid>(),
    entry::<adaptive::Adaptive>(),
    entry::<global::Global>(),
    entry::<cake::Cake>(),
    entry::<zig_zag::ZigZag>(),
    entry::<squeeze::Squeeze>(),
    entry::<head_scores::HeadScores>(),
    entry::<duo::Duo>(),
];

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

const fn entry<A: Method + Allocator>() -> Entry<dyn Allocator> {
    Entry::of::<A>(|given| Ok(A::read(given)?))
}

//! What ranks the tokens of a head.

use crate::{Head, Reads};

/// Ranks the tokens of one head. See [`method!`](crate::method!) for how one is declared, and
/// [`conformance`](crate::conformance) for what must hold of it.
pub trait Scorer: Reads {
    /// How many of the last tokens outrank all others whatever `score` says.
    fn protects(&self) -> usize {
        0
    }

    /// Why the scores of one head mean nothing beside those of another, if so: then no allocator
    /// may let heads compete by them.
    fn incomparable(&self) -> Option<&'static str> {
        None
    }

    /// Why it does not pool its group as the option `pool` says, if it is its options that keep it
    /// from that.
    fn unpooled(&self) -> Option<String> {
        None
    }

    /// Whether it groups tokens by their rows among those held, as partitions do: then what is left of a
    /// cache after an eviction may rank otherwise than before, though nothing else has changed.
    fn regroups(&self) -> bool {
        false
    }

    /// Writes a finite score for each token that the head holds, `[held]`; the highest are kept. Row `i`
    /// is the token at position [`Head::positions`]`[i]`, which is `i` only as long as nothing was evicted.
    /// Scores of protected tokens may be left unwritten.
    fn score(&self, head: &Head<'_>, out: &mut [f32]);

    /// Rows that come before all others, as the protected do, also where heads compete: chosen once
    /// it is known that a head keeps `average` tokens on average. By default, none.
    fn promotes(&self, _head: &Head<'_>, _average: usize) -> Vec<u32> {
        Vec::new()
    }

    /// Ranks anew once the head's share of `count` tokens is known. `scores` are those of `score`,
    /// infinite where a token is protected, guarded or promoted; what is made infinite here is kept first.
    /// By default, nothing changes.
    fn rerank(&self, _head: &Head<'_>, _count: usize, _scores: &mut [f32]) {}
}

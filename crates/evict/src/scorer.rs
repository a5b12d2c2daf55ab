//! The trait of scorers, which rank the tokens of one KV head.

use crate::{Head, Reads};

/// Ranks the tokens of one KV head. Only [`Scorer::score`] is required.
///
/// Declare a scorer with [`method!`](crate::method!), and check it with [`conformance`](crate::conformance),
/// which lists what every scorer must satisfy. The file `examples/own_scorer/main.rs` is a complete example.
pub trait Scorer: Reads {
    /// Returns how many of the last tokens outrank all others, regardless of what `score` writes for them.
    /// The default is 0.
    fn protects(&self) -> usize {
        0
    }

    /// Returns why the scores of different heads are not comparable, or `None` if they are. An allocator that
    /// compares scores between heads cannot be joined to such a scorer. The default is `None`.
    fn incomparable(&self) -> Option<&'static str> {
        None
    }

    /// Returns why the scorer, with its current options, does not pool its group by the option `pool`, or
    /// `None` if it does. A scorer that never does declares `pools: false` instead. The default is `None`.
    fn unpooled(&self) -> Option<String> {
        None
    }

    /// Returns whether the scorer groups tokens by their rows, as partitions do. The tokens that are left
    /// after an eviction may then be grouped, and ranked, differently than before. The default is `false`.
    fn regroups(&self) -> bool {
        false
    }

    /// Writes a finite score for each token that the head holds, `[held]`. The tokens with the highest scores
    /// are kept. Row `i` is the token at position [`Head::positions`]`[i]`, which is `i` only if nothing was
    /// evicted. The scores of protected tokens may be left unwritten.
    fn score(&self, head: &Head<'_>, out: &mut [f32]);

    /// Returns the rows that outrank all others, as protected tokens do, even if an allocator compares heads.
    /// `average` is the number of tokens that a head keeps on average. By default no row is promoted.
    fn promotes(&self, _head: &Head<'_>, _average: usize) -> Vec<u32> {
        Vec::new()
    }

    /// Changes the ranking once it is known that the head keeps `count` tokens. `scores` are the scores that
    /// `score` wrote, with infinity for tokens that are protected, guarded or promoted. Tokens whose score is
    /// set to infinity here are kept first. The default changes nothing.
    fn rerank(&self, _head: &Head<'_>, _count: usize, _scores: &mut [f32]) {}
}

//! Ways to rank the tokens of one head. To add one: write its file with `method!`, then add
//! its `mod` and its line of [`ALL`]. Tests, lists and error messages follow from there.

use toml::Table;

use crate::{
    Entry, Head, Reads,
    options::{Common, Options},
    registry::Method,
};

mod accumulated_attention;
mod base;
mod cake_attention;
mod critical;
mod defensive;
mod expected_attention;
mod key_diff;
mod key_norm;
mod kvzip;
mod lag;
mod oracle;
mod output_norm;
mod past_rows;
mod r_kv;
mod random;
mod recency;
mod smooth;
mod tova;
mod window_attention;

pub(crate) use past_rows::PastRows;

/// Every scorer, in the order reports list them.
#[rustfmt::skip]
pub static ALL: &[Entry<dyn Scorer>] = &[
    entry::<recency::Recency>(),
    entry::<accumulated_attention::AccumulatedAttention>(),
    entry::<tova::Tova>(),
    entry::<window_attention::WindowAttention>(),
    entry::<cake_attention::CakeAttention>(),
    entry::<critical::Critical>(),
    entry::<defensive::Defensive>(),
    entry::<expected_attention::ExpectedAttention>(),
    entry::<kvzip::Kvzip>(),
    entry::<key_norm::KeyNorm>(),
    entry::<key_diff::KeyDiff>(),
    entry::<lag::Lag>(),
    entry::<r_kv::RKv>(),
    entry::<random::Random>(),
    entry::<oracle::Oracle>(),
];

/// Ranks the tokens of one head.
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

    /// Writes a finite score for each token that the head holds; the highest are kept.
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

const fn entry<S: Method + Scorer>() -> Entry<dyn Scorer> {
    Entry::of::<S>(|given| Ok(S::read(given)?))
}

/// The options of a scorer, its own and those that all take, with their defaults.
pub(crate) fn defaults(entry: &Entry<dyn Scorer>) -> Table {
    let mut defaults = (entry.defaults)();
    defaults.extend(Common::defaults());
    if !entry.pools {
        defaults.remove("pool");
    }
    defaults
}

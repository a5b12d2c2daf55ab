//! The scorers of this crate: ways to rank the tokens of one head.
//!
//! To add a scorer to this crate, declare it with `method!` in a file of its own and add three lines here:
//! its `mod`, its `pub use` and its entry in the list. The trait is [`Scorer`].

use crate::{Scorer, entry::Entry};

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
mod r_kv;
mod random;
mod recency;
mod smooth;
mod tova;
mod window_attention;

pub use accumulated_attention::AccumulatedAttention;
pub use base::BaseScorer;
pub use cake_attention::CakeAttention;
pub use critical::Critical;
pub use defensive::Defensive;
pub use expected_attention::ExpectedAttention;
pub use key_diff::KeyDiff;
pub use key_norm::KeyNorm;
pub use kvzip::Kvzip;
pub use lag::Lag;
pub use oracle::Oracle;
pub use output_norm::OutputNorm;
pub use r_kv::{GroupMaximum, RKv};
pub use random::Random;
pub use recency::Recency;
pub use smooth::Smoothing;
pub use tova::Tova;
pub use window_attention::WindowAttention;

/// Returns every scorer of this crate, in the order of reports.
pub(crate) fn all() -> Vec<Entry<dyn Scorer>> {
    vec![
        Entry::scorer::<Recency>(),
        Entry::scorer::<AccumulatedAttention>(),
        Entry::scorer::<Tova>(),
        Entry::scorer::<WindowAttention>(),
        Entry::scorer::<CakeAttention>(),
        Entry::scorer::<Critical>(),
        Entry::scorer::<Defensive>(),
        Entry::scorer::<ExpectedAttention>(),
        Entry::scorer::<Kvzip>(),
        Entry::scorer::<KeyNorm>(),
        Entry::scorer::<KeyDiff>(),
        Entry::scorer::<Lag>(),
        Entry::scorer::<RKv>(),
        Entry::scorer::<Random>(),
        Entry::scorer::<Oracle>(),
    ]
}

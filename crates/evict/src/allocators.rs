//! The allocators of this crate: ways to divide a budget among KV heads.
//!
//! To add an allocator to this crate, declare it with `method!` in a file of its own and add three lines
//! here: its `mod`, its `pub use` and its entry in the list. The trait is [`Allocator`].

use crate::{Allocator, entry::Entry};

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

pub use adaptive::{Adaptive, Floor};
pub use cake::Cake;
pub use duo::{Duo, RetrievalSource};
pub use effective_tokens::EffectiveTokens;
pub use entropy::Entropy;
pub use entropy_inverse::EntropyInverse;
pub use entropy_permuted::EntropyPermuted;
pub use global::Global;
pub use head_scores::HeadScores;
pub use pyramid::Pyramid;
pub use squeeze::Squeeze;
pub use uniform::Uniform;
pub use zig_zag::ZigZag;

/// Returns every allocator of this crate, in the order of reports.
pub(crate) fn all() -> Vec<Entry<dyn Allocator>> {
    vec![
        Entry::allocator::<Uniform>(),
        Entry::allocator::<Entropy>(),
        Entry::allocator::<EntropyPermuted>(),
        Entry::allocator::<EntropyInverse>(),
        Entry::allocator::<EffectiveTokens>(),
        Entry::allocator::<Pyramid>(),
        Entry::allocator::<Adaptive>(),
        Entry::allocator::<Global>(),
        Entry::allocator::<Cake>(),
        Entry::allocator::<ZigZag>(),
        Entry::allocator::<Squeeze>(),
        Entry::allocator::<HeadScores>(),
        Entry::allocator::<Duo>(),
    ]
}

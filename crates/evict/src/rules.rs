//! The rules of this crate: complete policies that are not made of an allocator and a scorer. The trait is
//! [`Rule`].

use crate::{
    Rule,
    entry::Entry,
    full::Full,
    published::{EntropyGlobal, EntropyInverted, EntropyProportional},
};

/// Returns every rule of this crate, in the order of reports.
pub(crate) fn all() -> Vec<Entry<dyn Rule>> {
    vec![
        Entry::rule::<Full>(),
        Entry::rule::<EntropyProportional>(),
        Entry::rule::<EntropyGlobal>(),
        Entry::rule::<EntropyInverted>(),
    ]
}

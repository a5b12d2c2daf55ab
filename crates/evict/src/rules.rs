//! The list of rules: policies that are a whole by themselves. The trait is [`Rule`].

use crate::{
    Rule,
    entry::Entry,
    full::Full,
    published::{EntropyGlobal, EntropyInverted, EntropyProportional},
};

/// Every rule of this crate, in the order reports list them.
pub(crate) fn all() -> Vec<Entry<dyn Rule>> {
    vec![
        Entry::rule::<Full>(),
        Entry::rule::<EntropyProportional>(),
        Entry::rule::<EntropyGlobal>(),
        Entry::rule::<EntropyInverted>(),
    ]
}

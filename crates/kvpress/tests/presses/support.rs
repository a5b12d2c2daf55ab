//! The registry that the tests of presses share.

use std::sync::LazyLock;

use bitkv_evict::{Error, Listing, Policy, PolicyKind, Registry};

/// Returns the standard registry with all presses.
pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> =
        LazyLock::new(|| bitkv_kvpress::presses(Registry::standard()).unwrap());
    &REGISTRY
}

/// Parses a policy of the [`registry`].
pub(crate) fn read(text: &str) -> Result<Policy, Error> {
    registry().policy(text)
}

/// Returns the listings of all presses.
pub(crate) fn listings() -> Vec<Listing> {
    let listed = registry().listings().into_iter();
    listed.filter(|listing| listing.kind == PolicyKind::Suite("kvpress")).collect()
}

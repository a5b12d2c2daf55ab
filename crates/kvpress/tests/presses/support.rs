//! What the tests of presses share.

use std::sync::LazyLock;

use bitkv_evict::{Error, Listing, Policy, PolicyKind, Registry};

/// The standard registry with the presses.
pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> =
        LazyLock::new(|| bitkv_kvpress::presses(Registry::standard()).unwrap());
    &REGISTRY
}

/// A policy of that registry.
pub(crate) fn read(text: &str) -> Result<Policy, Error> {
    registry().policy(text)
}

/// Every press.
pub(crate) fn listings() -> Vec<Listing> {
    let listed = registry().listings().into_iter();
    listed.filter(|listing| listing.kind == PolicyKind::Suite("kvpress")).collect()
}

//! Specifications of policies.

use std::sync::LazyLock;

use bitkv_evict::Registry;

use crate::accepted;

/// The methods that the program knows.
static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| bitkv_lab::registry().expect("the registry of the program"));

/// Parses a specification. What is accepted must be accepted again as it is written out.
pub(crate) fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(policy) = accepted(REGISTRY.policy(text)) else { return };
    for written in [policy.spec(), policy.explicit_spec()] {
        let again = REGISTRY.policy(written).expect("the written form is accepted");
        assert_eq!(again.spec(), policy.spec(), "{written}");
    }
}

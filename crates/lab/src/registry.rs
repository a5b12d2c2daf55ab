//! The methods that experiments can name.

use bitkv_evict::{Error, Registry};

/// The methods of `bitkv-evict` and the presses of `bitkv-kvpress`.
///
/// # Errors
/// When two of them have the same name.
pub fn registry() -> Result<Registry, Error> {
    bitkv_kvpress::presses(Registry::standard())
}

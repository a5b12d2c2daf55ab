//! Where a measurement was made.

use bitkv_record::Versions;

pub(super) use crate::manifest::machine;

pub(super) fn versions() -> Versions {
    Versions {
        bitkv: env!("CARGO_PKG_VERSION").into(),
        revision: env!("BITKV_REVISION").into(),
        dirty: env!("BITKV_DIRTY") == "true",
    }
}

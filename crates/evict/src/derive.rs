//! Re-exports `serde` for the derives of [`method!`](crate::method!), so that a crate that declares methods
//! does not need to depend on it.

pub use serde;

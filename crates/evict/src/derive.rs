//! What [`method!`](crate::method!) derives with, so that a crate that declares methods need not depend on it.

pub use serde;

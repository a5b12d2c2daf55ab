//! The reason why a method does not accept an option or a cache.

/// The reason why a method does not accept a value of an option, or a cache. It is a clause that completes
/// the sentence of an [`Error`](crate::Error), such as "a window has at least one query".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

impl From<String> for Reason {
    fn from(clause: String) -> Reason {
        Reason(clause)
    }
}

impl From<&str> for Reason {
    fn from(clause: &str) -> Reason {
        Reason(clause.to_owned())
    }
}

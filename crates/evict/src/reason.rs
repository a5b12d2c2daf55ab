//! Why a method refuses something.

/// Why a method refuses a value of an option, or a cache: a clause that completes the sentence of an
/// [`Error`](crate::Error), such as "a window has at least one query".
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

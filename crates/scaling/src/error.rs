//! The error of this crate.

use std::{fmt, path::Path};

/// A failure as one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns an error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Error {
        Error(sentence.into())
    }

    /// Returns an error that names the file that could not be read or written.
    pub fn in_file(path: &Path, cause: impl fmt::Display, remedy: &str) -> Error {
        Error(format!("{}: {cause}: {remedy}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

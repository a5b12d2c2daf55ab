//! Reads and writes files with one JSON document each.

use std::path::Path;

use bitkv_bytes::Existing;
use serde::{Serialize, de::DeserializeOwned};

use crate::RecordError;

/// Parses a document. `file` and `kind` are for errors.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    file: &str,
    kind: &'static str,
) -> Result<T, RecordError> {
    serde_json::from_str(text).map_err(|source| RecordError::Json { file: file.to_owned(), kind, source })
}

/// Returns a value as indented JSON with a final newline, so that files are readable and diffs are small.
pub(crate) fn render<T: Serialize>(value: &T, file: &str, kind: &'static str) -> Result<String, RecordError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|source| RecordError::Json {
        file: file.to_owned(),
        kind,
        source,
    })?;
    text.push('\n');
    Ok(text)
}

/// Reads a text file of at most `most` bytes, without a byte order mark.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String, RecordError> {
    bitkv_bytes::read_written_document(path, most)
        .map_err(|source| RecordError::Read { path: path.to_owned(), source })
}

/// Writes a text file.
pub(crate) fn write_text(path: &Path, text: &str, existing: Existing) -> Result<(), RecordError> {
    bitkv_bytes::write_with(path, text.as_bytes(), existing)
        .map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// Implements `read`, `write` and `check` for a type that is a document. The type must have `from_json`, and
/// `check_values`, which checks its values against each other. `KIND` is the name of the format in errors.
macro_rules! document {
    ($type:ty) => {
        impl $type {
            /// Reads a file; see [`Self::from_json`].
            ///
            /// # Errors
            /// Fails if the file cannot be read, or [`Self::from_json`] fails.
            pub fn read(path: &std::path::Path) -> Result<Self, $crate::RecordError> {
                Self::from_json(
                    &$crate::json::read_text(path, bitkv_bytes::limit::WRITTEN)?,
                    &path.display().to_string(),
                )
            }

            /// Writes the file. Values that [`Self::read`] would not accept are an error.
            ///
            /// # Errors
            /// Fails if the values are impossible, the file cannot be written, or it exists and is kept.
            pub fn write(
                &self,
                path: &std::path::Path,
                existing: bitkv_bytes::Existing,
            ) -> Result<(), $crate::RecordError> {
                let file = path.display().to_string();
                self.check(&file)?;
                $crate::json::write_text(path, &$crate::json::render(self, &file, KIND)?, existing)
            }

            /// Checks the values against each other; `file` is for errors.
            fn check(&self, file: &str) -> Result<(), $crate::RecordError> {
                let refuse =
                    |reason| $crate::RecordError::Content { file: file.to_owned(), kind: KIND, reason };
                self.check_values().map_err(refuse)
            }
        }
    };
}
pub(crate) use document;

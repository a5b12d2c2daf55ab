//! Reading and writing one JSON document a file, the same way for every format.

use crate::RecordError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    file: &str,
    kind: &'static str,
) -> Result<T, RecordError> {
    serde_json::from_str(text).map_err(|source| RecordError::Json { file: file.to_owned(), kind, source })
}

/// Indented, with a final newline, so that files are readable and diff well.
pub(crate) fn render<T: Serialize>(value: &T, file: &str, kind: &'static str) -> Result<String, RecordError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|source| RecordError::Json {
        file: file.to_owned(),
        kind,
        source,
    })?;
    text.push('\n');
    Ok(text)
}

pub(crate) fn read_text(path: &Path) -> Result<String, RecordError> {
    std::fs::read_to_string(path).map_err(|source| RecordError::Read { path: path.to_owned(), source })
}

pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), RecordError> {
    bitkv_bytes::write(path, text.as_bytes())
        .map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// Gives a type the functions `read`, `write` and `check` of a document. The type has `from_json`, and `agrees`, which
/// says whether its values can stand together. Errors call the document `KIND`.
macro_rules! document {
    ($type:ty) => {
        impl $type {
            /// Reads the file; see [`Self::from_json`] for what is refused.
            ///
            /// # Errors
            /// When the file cannot be read or is refused.
            pub fn read(path: &std::path::Path) -> Result<Self, $crate::RecordError> {
                Self::from_json(&$crate::json::read_text(path)?, &path.display().to_string())
            }

            /// Writes the file, refusing what [`Self::read`] would refuse.
            ///
            /// # Errors
            /// When the value is refused or the file cannot be written.
            pub fn write(&self, path: &std::path::Path) -> Result<(), $crate::RecordError> {
                let file = path.display().to_string();
                self.check(&file)?;
                $crate::json::write_text(path, &$crate::json::render(self, &file, KIND)?)
            }

            fn check(&self, file: &str) -> Result<(), $crate::RecordError> {
                let refuse =
                    |reason| $crate::RecordError::Content { file: file.to_owned(), kind: KIND, reason };
                self.agrees().map_err(refuse)
            }
        }
    };
}
pub(crate) use document;

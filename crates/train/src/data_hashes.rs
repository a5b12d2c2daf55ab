//! The hashes of a corpus and of the files that were prepared from it. Prepared files that were changed are
//! refused, and a training resumes only with the same data.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The name of the file of hashes in the folder of the prepared data.
const FILE: &str = "data.json";

/// The SHA-256 of each text of a corpus and of each prepared file, 64 lower-case hex digits.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataHashes {
    /// The training text.
    #[serde(rename = "train.txt")]
    pub train_text: String,
    /// The validation text.
    #[serde(rename = "valid.txt")]
    pub valid_text: String,
    /// The tokens of the training text.
    #[serde(rename = "train.bin")]
    pub train_tokens: String,
    /// The tokens of the validation text.
    #[serde(rename = "valid.bin")]
    pub valid_tokens: String,
    /// The tokenizer.
    #[serde(rename = "tokenizer.json")]
    pub tokenizer: String,
}

impl DataHashes {
    /// Reads the hashes in a folder of prepared data; `None` if nothing was prepared there completely.
    ///
    /// # Errors
    /// Fails if the file of hashes is damaged.
    pub(crate) fn read(prepared: &Path) -> Result<Option<DataHashes>> {
        let path = prepared.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text =
            bitkv_bytes::read_document(&path, bitkv_bytes::limit::WRITTEN).map_err(Error::reading(&path))?;
        let damaged = |_| Error::DamagedData { path: path.clone(), folder: prepared.into() };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Writes the hashes. This is done last, because their file means that the others are complete.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub(crate) fn write(&self, prepared: &Path) -> Result<()> {
        let path = prepared.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(Error::writing(&path))? + "\n";
        bitkv_bytes::write(&path, text.as_bytes()).map_err(Error::writing(path))
    }

    /// Checks the texts in the folder of the corpus. A text that is not there is not needed any more, because
    /// its tokens are checked.
    ///
    /// # Errors
    /// Fails if a text is not the one that the data was prepared from.
    pub(crate) fn check_texts(&self, corpus: &Path, prepared: &Path) -> Result<()> {
        for (name, wanted) in [("train.txt", &self.train_text), ("valid.txt", &self.valid_text)] {
            let path = corpus.join(name);
            if path.exists() && sha256_of_file(&path)? != *wanted {
                return Err(Error::OtherText { path, prepared: prepared.into() });
            }
        }
        Ok(())
    }
}

/// Returns the bytes of a prepared file.
///
/// # Errors
/// Fails if the file cannot be read, or if its hash is not `wanted`.
pub(crate) fn read_checked(prepared: &Path, name: &str, wanted: &str) -> Result<Vec<u8>> {
    let path = prepared.join(name);
    let bytes = bitkv_bytes::read_regular_bytes(&path).map_err(Error::reading(&path))?;
    match sha256(&bytes) == wanted {
        true => Ok(bytes),
        false => Err(Error::DamagedData { path, folder: prepared.into() }),
    }
}

/// Returns the SHA-256 of a file.
fn sha256_of_file(path: &PathBuf) -> Result<String> {
    bitkv_bytes::read_text_bytes(path).map(|bytes| sha256(&bytes)).map_err(Error::reading(path))
}

/// Returns the SHA-256 of `bytes` as 64 lower-case hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the SHA-256 of several parts. The length of each part is hashed before the part, so that the same
/// bytes divided differently have another hash.
pub(crate) fn sha256_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// Formats bytes as lower-case hex digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

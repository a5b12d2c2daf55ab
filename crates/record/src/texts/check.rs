//! Checks of the texts of an experiment.

use super::{Text, TextEntry};
use crate::manifest::is_sha256;
use crate::overlap::{WINDOW, first_overlap, normalise};
use crate::{RecordError, Split, sha256};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Why texts cannot be used. Every message is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    /// The list or a file could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A listed file is not among the embedded ones.
    #[error("the embedded texts have no file '{file}'")]
    Missing {
        /// The file.
        file: String,
    },
    /// Something in a folder of texts is named like a text but is not a file.
    #[error("{} is not a file, though it is named like a text: remove it, or give it a name without .txt", path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// A folder has no texts.
    #[error("'{}' holds no .txt file: put one text in each .txt file directly in the folder", .folder.display())]
    NoTexts {
        /// The folder.
        folder: PathBuf,
    },
    /// The path of a text leaves its folder.
    #[error("file '{file}' of text '{name}' must be a path below the folder of the manifest")]
    Path {
        /// The text.
        name: String,
        /// The path.
        file: String,
    },
    /// A file is not the one that the manifest lists.
    #[error(
        "text '{name}' is not the listed one: {key} of '{file}' is {found}, but the manifest has {listed}"
    )]
    Changed {
        /// The text.
        name: String,
        /// The file.
        file: String,
        /// "bytes" or "sha256".
        key: &'static str,
        /// The value of the file.
        found: String,
        /// The value in the manifest.
        listed: String,
    },
    /// A file is not UTF-8.
    #[error("'{file}' is not UTF-8 text: byte {at} cannot be decoded, so convert the file to UTF-8")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The offset of the first byte that cannot be decoded.
        at: usize,
    },
    /// A file is empty or has only white space.
    #[error("'{file}' holds no text: write some or remove the file")]
    Blank {
        /// The file.
        file: String,
    },
    /// Two texts have the same name.
    #[error("two texts are named '{name}': give each text another name")]
    SameName {
        /// The name.
        name: String,
    },
    /// Two texts have the same bytes.
    #[error("texts '{first}' and '{second}' have the same content: remove one of them")]
    SameContent {
        /// The earlier text.
        first: String,
        /// The later text.
        second: String,
    },
    /// A calibration text and an evaluation text share a passage.
    #[error(
        "calibration text '{calibration}' and evaluation text '{evaluation}' share {WINDOW} bytes or more, \
         beginning with '{excerpt}': remove one of them, because a policy cannot be evaluated on what it was tuned on"
    )]
    Overlap {
        /// The calibration text.
        calibration: String,
        /// The evaluation text.
        evaluation: String,
        /// The beginning of the shared passage, whitespace normalised.
        excerpt: String,
    },
}

/// Checks that the path of a text stays in its folder.
pub(super) fn path(entry: &TextEntry) -> Result<(), TextsError> {
    let inside = Path::new(&entry.file).components().all(|part| matches!(part, Component::Normal(_)));
    if inside && !entry.file.is_empty() {
        return Ok(());
    }
    Err(TextsError::Path { name: entry.name.clone(), file: entry.file.clone() })
}

/// Checks the size and the hash of a text against its entry, and decodes it.
pub(super) fn content(entry: &TextEntry, bytes: Vec<u8>) -> Result<String, TextsError> {
    let changed = |key, found: String, listed: String| {
        Err(TextsError::Changed { name: entry.name.clone(), file: entry.file.clone(), key, found, listed })
    };
    if bytes.len() as u64 != entry.bytes {
        return changed("bytes", bytes.len().to_string(), entry.bytes.to_string());
    }
    let digest = sha256(&bytes);
    if digest != entry.sha256 || !is_sha256(&entry.sha256) {
        return changed("sha256", digest, entry.sha256.clone());
    }
    let file = entry.file.clone();
    let text = String::from_utf8(bytes)
        .map_err(|error| TextsError::NotUtf8 { file: file.clone(), at: error.utf8_error().valid_up_to() })?;
    if text.trim().is_empty() {
        return Err(TextsError::Blank { file });
    }
    Ok(text)
}

/// Checks that no two texts have the same name or the same content, whether they are in the same split or
/// not.
pub(super) fn repeats(texts: &[Text]) -> Result<(), TextsError> {
    let mut names = HashMap::new();
    let mut contents = HashMap::new();
    for TextEntry { name, sha256, .. } in texts.iter().map(|text| &text.entry) {
        if names.insert(name, ()).is_some() {
            return Err(TextsError::SameName { name: name.clone() });
        }
        if let Some(first) = contents.insert(sha256, name) {
            return Err(TextsError::SameContent { first: first.clone(), second: name.clone() });
        }
    }
    Ok(())
}

/// Checks that no calibration text shares a passage with an evaluation text.
pub(super) fn overlap(texts: &[Text]) -> Result<(), TextsError> {
    let texts_for = |calibration: bool| {
        let is_chosen = move |text: &&Text| (text.entry.split == Split::Calibration) == calibration;
        let chosen = texts.iter().filter(is_chosen);
        chosen.map(|text| (text.entry.name.clone(), normalise(&text.content))).unzip()
    };
    let (calibration, left): (Vec<String>, Vec<String>) = texts_for(true);
    let (evaluation, right): (Vec<String>, Vec<String>) = texts_for(false);
    match first_overlap(&left, &right) {
        None => Ok(()),
        Some(found) => Err(TextsError::Overlap {
            calibration: calibration[found.left].clone(),
            evaluation: evaluation[found.right].clone(),
            excerpt: found.excerpt,
        }),
    }
}

//! The texts of experiments: a folder of files with a manifest of hashes and licences. Loading verifies the
//! hashes and checks that calibration and evaluation texts share no passage.

mod check;

use crate::{FileHash, RecordError, Split, json};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

pub use check::TextsError;

/// The file in a folder of texts that lists them.
pub const MANIFEST_FILE: &str = "manifest.json";

const KIND: &str = "list of texts";

/// One entry of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEntry {
    /// What the text may be used for.
    pub split: Split,
    /// The name, unique over both splits. Rows refer to it.
    pub name: String,
    /// The kind of language, for example "dialogue" or "code".
    pub register: String,
    /// The path below the folder, with `/` between parts.
    pub file: String,
    /// The SHA-256 of the file, 64 lower-case hex digits.
    pub sha256: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The licence, as an SPDX expression.
    pub licence: String,
}

/// One text with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The entry of the text in the manifest.
    pub entry: TextEntry,
    /// The content.
    pub content: String,
}

/// Texts that passed every check: all are different, and no calibration text shares a passage of 64 bytes
/// with an evaluation text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    texts: Vec<Text>,
}

impl Texts {
    /// Loads the texts that `folder/manifest.json` lists, in its order. Checks their sizes, hashes and
    /// encoding, and that texts are not repeated and splits do not overlap.
    ///
    /// # Errors
    /// Fails if the list or a file cannot be read, or a check fails.
    pub fn load(folder: &Path) -> Result<Self, TextsError> {
        let manifest = folder.join(MANIFEST_FILE);
        let list = json::read_text(&manifest, bitkv_bytes::limit::WRITTEN)?;
        Self::assemble(&list, &manifest.display().to_string(), |file| read_bytes(&folder.join(file)))
    }

    /// Loads a user's own texts, without a manifest: every `.txt` file directly in `folder`, sorted by name.
    /// Hidden files, whose names begin with a dot, are skipped. The name of a text is that of its file
    /// without `.txt`; register and licence are "unspecified".
    ///
    /// # Errors
    /// Fails if the folder has no text or cannot be read, something that is named like a text is not a file,
    /// or a check fails.
    pub fn from_folder(folder: &Path, split: Split) -> Result<Self, TextsError> {
        let fail = |source| RecordError::Read { path: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            let path = entry.path();
            if is_hidden || path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            if !path.is_file() {
                return Err(TextsError::NotAFile { path });
            }
            paths.push(path);
        }
        if paths.is_empty() {
            return Err(TextsError::NoTexts { folder: folder.to_owned() });
        }
        paths.sort();
        paths.iter().map(|path| unlisted_text(path, split)).collect::<Result<_, _>>().and_then(Self::new)
    }

    /// Loads texts that are compiled into a program. `files` are pairs of a path below the folder and the
    /// content, including [`MANIFEST_FILE`]. The checks are those of [`Texts::load`].
    ///
    /// # Errors
    /// Fails if a listed file is missing or a check fails.
    pub fn from_embedded(files: &[(&str, &[u8])]) -> Result<Self, TextsError> {
        let find = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name);
            found
                .map(|(_, bytes)| bytes.to_vec())
                .ok_or_else(|| TextsError::Missing { file: name.to_owned() })
        };
        let list = String::from_utf8(find(MANIFEST_FILE)?).map_err(|error| TextsError::NotUtf8 {
            file: MANIFEST_FILE.to_owned(),
            at: error.utf8_error().valid_up_to(),
        })?;
        Self::assemble(&list, MANIFEST_FILE, find)
    }

    /// Checks texts in memory against each other.
    ///
    /// # Errors
    /// Fails if two texts have the same name or content, or a calibration text and an evaluation text
    /// overlap.
    pub fn new(texts: Vec<Text>) -> Result<Self, TextsError> {
        check::repeats(&texts)?;
        check::overlap(&texts)?;
        Ok(Self { texts })
    }

    /// Joins two collections and checks them against each other, for example a user's calibration texts and
    /// the suite's evaluation texts.
    ///
    /// # Errors
    /// Fails as [`Texts::new`] does.
    pub fn join(self, other: Self) -> Result<Self, TextsError> {
        Self::new([self.texts, other.texts].concat())
    }

    /// Returns only the texts of one split.
    pub fn only(mut self, split: Split) -> Self {
        self.texts.retain(|text| text.entry.split == split);
        self
    }

    /// Returns the texts of all splits but one.
    pub fn without(mut self, split: Split) -> Self {
        self.texts.retain(|text| text.entry.split != split);
        self
    }

    /// Returns all texts.
    pub fn all(&self) -> &[Text] {
        &self.texts
    }

    /// Returns the calibration texts.
    pub fn calibration(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| text.entry.split == Split::Calibration)
    }

    /// Returns the evaluation texts.
    pub fn evaluation(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| text.entry.split == Split::Evaluation)
    }

    /// Returns the name, hash and size of every text, for a run manifest.
    pub fn hashes(&self) -> Vec<FileHash> {
        self.texts.iter().map(Text::hash).collect()
    }

    /// Loads the texts of a manifest. `list` is its content, `file` its name for errors, and `read` reads a
    /// listed file.
    fn assemble(
        list: &str,
        file: &str,
        read: impl Fn(&str) -> Result<Vec<u8>, TextsError>,
    ) -> Result<Self, TextsError> {
        let entries: Vec<TextEntry> = json::parse(list, file, KIND)?;
        let load = |entry: TextEntry| {
            check::path(&entry)?;
            let content = check::content(&entry, read(&entry.file)?)?;
            Ok(Text { entry, content })
        };
        Self::new(entries.into_iter().map(load).collect::<Result<_, TextsError>>()?)
    }
}

impl Text {
    /// Returns the name, hash and size of the text, for a run manifest.
    pub fn hash(&self) -> FileHash {
        let TextEntry { name, sha256, bytes, .. } = self.entry.clone();
        FileHash { name, sha256, bytes }
    }
}

/// Loads a text without a manifest.
fn unlisted_text(path: &Path, split: Split) -> Result<Text, TextsError> {
    let bytes = read_bytes(path)?;
    let lossy = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (file, name) = (lossy(path.file_name()), lossy(path.file_stem()));
    let FileHash { sha256, bytes: size, .. } = FileHash::from_bytes(&file, &bytes);
    let unspecified = || "unspecified".to_owned();
    let entry =
        TextEntry { split, name, register: unspecified(), file, sha256, bytes: size, licence: unspecified() };
    let content = check::content(&entry, bytes)?;
    Ok(Text { entry, content })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, TextsError> {
    let path: PathBuf = path.to_owned();
    bitkv_bytes::read_text_bytes(&path).map_err(|source| RecordError::Read { path, source }.into())
}

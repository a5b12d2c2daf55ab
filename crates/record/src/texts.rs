//! The texts experiments run on: a folder of files with a manifest of hashes and licences, checked on loading.

mod check;

use crate::{FileHash, RecordError, Split, json};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

pub use check::TextsError;

/// The file in a folder of texts that lists them.
pub const MANIFEST_FILE: &str = "manifest.json";

const KIND: &str = "list of texts";

/// One line of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEntry {
    /// What the text may be used for.
    pub split: Split,
    /// Name, unique over both splits; rows refer to it.
    pub name: String,
    /// Kind of language, for example "dialogue" or "code".
    pub register: String,
    /// Path below the folder, with `/` between parts.
    pub file: String,
    /// SHA-256 of the file, 64 lower-case hex digits.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SPDX licence expression.
    pub licence: String,
}

/// One text with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Where it comes from and what it may be used for.
    pub entry: TextEntry,
    /// The text itself.
    pub content: String,
}

/// Texts that passed every check: no text is given twice, and no calibration text shares a run of 64 bytes with an
/// evaluation text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    texts: Vec<Text>,
}

impl Texts {
    /// Loads the texts that `folder/manifest.json` lists, in its order, and checks sizes, hashes, UTF-8, repeats
    /// and overlap.
    ///
    /// # Errors
    /// When the list or a file cannot be read, or a check fails.
    pub fn load(folder: &Path) -> Result<Self, TextsError> {
        let manifest = folder.join(MANIFEST_FILE);
        let list = json::read_text(&manifest)?;
        Self::assemble(&list, &manifest.display().to_string(), |file| read_bytes(&folder.join(file)))
    }

    /// Every `.txt` file directly in `folder`, by name, without a manifest: for a user's own texts. The file
    /// stem is the text's name; register and licence are recorded as "unspecified".
    ///
    /// # Errors
    /// When the folder has no text or cannot be read, or a check fails.
    pub fn from_folder(folder: &Path, split: Split) -> Result<Self, TextsError> {
        let fail = |source| RecordError::Read { path: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.is_file() && path.extension().is_some_and(|extension| extension == "txt") {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err(TextsError::NoTexts { folder: folder.to_owned() });
        }
        paths.sort();
        paths.iter().map(|path| own_text(path, split)).collect::<Result<_, _>>().and_then(Self::new)
    }

    /// Texts compiled into a program: pairs of path below the folder and content, [`MANIFEST_FILE`] among them.
    /// The checks are those of [`Texts::load`].
    ///
    /// # Errors
    /// When a listed file is missing or a check fails.
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

    /// Checks texts already in memory against one another.
    ///
    /// # Errors
    /// When a text is given twice, or a calibration text and an evaluation text overlap.
    pub fn new(texts: Vec<Text>) -> Result<Self, TextsError> {
        check::repeats(&texts)?;
        check::overlap(&texts)?;
        Ok(Self { texts })
    }

    /// Both collections together, checked against one another: for a user's own calibration texts beside the
    /// suite's evaluation texts.
    ///
    /// # Errors
    /// See [`Texts::new`].
    pub fn join(self, other: Self) -> Result<Self, TextsError> {
        Self::new([self.texts, other.texts].concat())
    }

    /// The texts of one split only.
    pub fn only(mut self, split: Split) -> Self {
        self.texts.retain(|text| text.entry.split == split);
        self
    }

    /// All texts.
    pub fn all(&self) -> &[Text] {
        &self.texts
    }

    /// The calibration texts.
    pub fn calibration(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| text.entry.split == Split::Calibration)
    }

    /// The evaluation texts.
    pub fn evaluation(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| text.entry.split == Split::Evaluation)
    }

    /// Names, hashes and sizes, for a run manifest.
    pub fn hashes(&self) -> Vec<FileHash> {
        self.texts.iter().map(Text::hash).collect()
    }

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
    /// Name, hash and size, for a run manifest.
    pub fn hash(&self) -> FileHash {
        let TextEntry { name, sha256, bytes, .. } = self.entry.clone();
        FileHash { name, sha256, bytes }
    }
}

fn own_text(path: &Path, split: Split) -> Result<Text, TextsError> {
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
    std::fs::read(&path).map_err(|source| RecordError::Read { path, source }.into())
}

//! Entropy profiles in files, whichever of the two formats they have.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{Profile, PublishedProfile, RecordError, json};

impl Profile {
    /// Reads a profile in the suite's format or in the published one, which has the key `format_version`.
    ///
    /// # Errors
    /// When the file cannot be read or is neither.
    pub fn from_file(file: &Path) -> Result<Profile, RecordError> {
        let keys: Map<String, Value> = serde_json::from_str(&json::read_text(file)?)
            .map_err(|source| RecordError::NoProfile { path: file.to_owned(), source })?;
        if keys.contains_key("format_version") {
            PublishedProfile::read(file)?.to_profile()
        } else {
            Profile::read(file)
        }
    }

    /// The entropies in bits, `[layers * query_heads]`, of a profile that is of `model` with that many heads. `file` names
    /// it in errors.
    ///
    /// # Errors
    /// When it is a profile of another model, or has another number of heads.
    pub fn entropies_of(&self, file: &Path, model: &str, heads: usize) -> Result<Vec<f64>, RecordError> {
        let (path, own) = (file.to_owned(), &self.model);
        // Published profiles name the organisation too.
        if own.rsplit('/').next() != Some(model) {
            return Err(RecordError::OtherModel { path, profile: own.clone(), model: model.to_owned() });
        }
        let entropies = self.entropies().concat();
        match entropies.len() == heads {
            true => Ok(entropies),
            false => Err(RecordError::Heads {
                path,
                found: entropies.len(),
                model: model.to_owned(),
                expected: heads,
            }),
        }
    }
}

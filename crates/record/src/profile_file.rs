//! Reads entropy profiles from files in either of the two formats.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{Profile, PublishedProfile, RecordError, json};

impl Profile {
    /// Reads a profile in the suite's format or in the published one. A file with the key `format_version`
    /// has the published format.
    ///
    /// # Errors
    /// Fails if the file cannot be read or has neither format.
    pub fn from_file(file: &Path) -> Result<Profile, RecordError> {
        let keys: Map<String, Value> = serde_json::from_str(&json::read_text(file)?)
            .map_err(|source| RecordError::NoProfile { path: file.to_owned(), source })?;
        if keys.contains_key("format_version") {
            PublishedProfile::read(file)?.to_profile()
        } else {
            Profile::read(file)
        }
    }

    /// Returns the entropies in bits, `[layers * query_heads]`. The profile must belong to `model`, which has
    /// `heads` heads over all layers. `file` names the profile in errors.
    ///
    /// # Errors
    /// Fails if the profile belongs to another model or has another number of heads.
    pub fn entropies_of(&self, file: &Path, model: &str, heads: usize) -> Result<Vec<f64>, RecordError> {
        let (path, profile) = (file.to_owned(), &self.model);
        // The name in a published profile includes the organisation.
        if profile.rsplit('/').next() != Some(model) {
            return Err(RecordError::OtherModel { path, profile: profile.clone(), model: model.to_owned() });
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

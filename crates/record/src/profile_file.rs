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
        let keys: Map<String, Value> =
            serde_json::from_str(&json::read_text(file, bitkv_bytes::limit::HEADS)?)
                .map_err(|source| RecordError::NoProfile { path: file.to_owned(), source })?;
        if keys.contains_key("format_version") {
            PublishedProfile::read(file)?.to_profile()
        } else {
            Profile::read(file)
        }
    }

    /// Returns the entropies in bits, `[layers * query_heads]`, if the profile belongs to `model`. A profile
    /// with a hash belongs to the model with this content, under any name. A profile without a hash
    /// belongs to the models with its name; [`Profile::binding_note`] then says so. `file` names the profile
    /// in errors.
    ///
    /// # Errors
    /// Fails if the profile belongs to another model or has another number of heads.
    pub fn entropies_of(&self, file: &Path, model: &ProfiledModel<'_>) -> Result<Vec<f64>, RecordError> {
        let (path, profile, name) = (file.to_owned(), self.model.clone(), model.name.to_owned());
        // The name in a published profile includes the organisation.
        let has_name =
            [model.name, model.short_name].contains(&profile.rsplit('/').next().unwrap_or_default());
        let has_content = self.model_sha256.as_ref().map(|content| content == model.content);
        match has_content {
            Some(true) => {}
            Some(false) if has_name || profile == name => {
                return Err(RecordError::OtherContent { path, model: name });
            }
            None if has_name => {}
            _ => return Err(RecordError::OtherModel { path, profile, model: name }),
        }
        let entropies = self.entropies().concat();
        match entropies.len() == model.heads {
            true => Ok(entropies),
            false => {
                let (found, expected) = (entropies.len(), model.heads);
                Err(RecordError::Heads { path, found, model: name, expected })
            }
        }
    }

    /// Returns a note if only the name binds the profile to a model.
    pub fn binding_note(&self, file: &Path) -> Option<String> {
        let unbound = self.model_sha256.is_none();
        unbound.then(|| {
            format!(
                "{} has no hash of its model, so only the name {} was checked: write it again with `bitkv profile`",
                file.display(),
                self.model
            )
        })
    }
}

/// What must fit a profile: a model that is run.
#[derive(Debug, Clone, Copy)]
pub struct ProfiledModel<'a> {
    /// The name of the model in the rows of a run.
    pub name: &'a str,
    /// The name that the model has alone.
    pub short_name: &'a str,
    /// The hash of the model's content.
    pub content: &'a str,
    /// The number of query heads over all layers.
    pub heads: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Thresholds;

    const FILE: &str = "p.json";

    /// Returns the error, or the number of entropies, for a profile and a model.
    fn used(profile: &Profile, name: &str, content: &str) -> Result<usize, String> {
        let short_name = name.rsplit('/').next().unwrap();
        let model = ProfiledModel { name, short_name, content, heads: 2 };
        let entropies = profile.entropies_of(Path::new(FILE), &model);
        entropies.map(|entropies| entropies.len()).map_err(|error| error.to_string())
    }

    fn profile(model: &str) -> Profile {
        Profile::new(model, None, vec![], Thresholds::CODE, &[vec![1.0, 2.0]]).unwrap()
    }

    #[test]
    fn a_profile_with_a_hash_is_bound_to_the_content() {
        let (own, other) = ("a".repeat(64), "b".repeat(64));
        let bound = profile("m").with_model_sha256(own.clone());
        assert_eq!((used(&bound, "m", &own), used(&bound, "renamed", &own)), (Ok(2), Ok(2)));
        assert_eq!(bound.binding_note(Path::new(FILE)), None);
        for (name, expected) in [("m", "other files than m has"), ("B/m", "other files than B/m has")] {
            assert!(used(&bound, name, &other).unwrap_err().contains(expected), "{name}");
        }
        assert!(used(&bound, "n", &other).unwrap_err().contains("is a profile of m, not of n"));
    }

    #[test]
    fn a_profile_without_a_hash_is_bound_to_the_name() {
        let content = "a".repeat(64);
        let old = profile("org/m");
        assert_eq!((used(&old, "m", &content), used(&old, "B/m", &content)), (Ok(2), Ok(2)));
        assert!(used(&old, "n", &content).unwrap_err().contains("is a profile of org/m, not of n"));
        let note = old.binding_note(Path::new(FILE)).unwrap();
        assert!(note.starts_with("p.json has no hash of its model, so only the name org/m"), "{note}");
    }
}

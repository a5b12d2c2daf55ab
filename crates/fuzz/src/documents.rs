//! Documents that people write: definitions, recipes, profiles and manifests.

use bitkv_record::{Definition, Manifest, Profile, PublishedProfile};
use bitkv_train::recipe::Recipe;

use crate::{accepted, with_file};

/// Reads a text as every kind of document.
pub(crate) fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    accepted(Definition::from_toml(text, "definition.toml"));
    accepted(Manifest::from_json(text, "manifest.json"));
    accepted(Profile::from_json(text, "profile.json"));
    accepted(PublishedProfile::from_json(text, "entropy_config.json"));
    with_file("recipe.toml", bytes, |path| {
        accepted(Recipe::read(path));
    });
}

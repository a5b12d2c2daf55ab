//! Reads the key `models` of a section.

use super::keys::{Keys, Place, shown, table, text};
use crate::RecordError;
use toml::Value;

const KEYS: [&str; 2] = ["name", "model"];

/// A model that a section lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedModel {
    /// The model, as `--model` takes it.
    pub model: String,
    /// The name in the rows; `None` for the shortest name that no other model of the definition could have.
    pub name: Option<String>,
}

impl From<&str> for ListedModel {
    fn from(model: &str) -> Self {
        Self { model: model.to_owned(), name: None }
    }
}

/// Reads the key `models`: a list of models as `--model` takes them, or of tables with a name too.
pub(super) fn models(keys: &mut Keys) -> Result<Vec<ListedModel>, RecordError> {
    keys.list("models", None, listed)
}

fn listed(place: &Place, value: Value) -> Result<ListedModel, RecordError> {
    if !value.is_table() {
        return Ok(ListedModel { model: text(place, value)?, name: None });
    }
    let mut keys = Keys::new(table(value, place)?, &KEYS, place.clone())?;
    let model = keys.required("model", "\"A/m\"", text)?;
    let name = keys.required("name", "\"first\"", name)?;
    Ok(ListedModel { model, name: Some(name) })
}

/// Reads a name that is safe in a table, a file name and a command.
fn name(place: &Place, value: Value) -> Result<String, RecordError> {
    let shown = shown(&value);
    let name = text(place, value)?;
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_inner) {
        true => Ok(name),
        false => Err(place.refuse(format!(
            "{} = {shown} is not a valid name: use letters, digits, hyphens, points and underscores",
            place.key()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Definition;

    /// Reads a memory study with these models.
    fn read(models: &str) -> Result<Vec<ListedModel>, String> {
        let text = format!(
            "analysis = \"Refuted if.\"\n[[memory]]\nname = \"m\"\nmodels = {models}\ncontexts = [1]"
        );
        let definition = Definition::from_toml(&text, "d.toml").map_err(|error| error.to_string());
        definition.map(|definition| definition.memory[0].models.clone())
    }

    #[test]
    fn a_model_is_a_string_or_a_table_with_a_name() {
        let listed = read("[\"A/m\", { name = \"second-2.b\", model = \"B/m\" }]").unwrap();
        let expected = [("A/m", None), ("B/m", Some("second-2.b"))];
        let expected =
            expected.map(|(model, name)| ListedModel { model: model.into(), name: name.map(str::to_owned) });
        assert_eq!(listed, expected);
    }

    #[test]
    fn wrong_tables_are_errors_that_name_the_key() {
        for (models, expected) in [
            ("[{ model = \"A/m\" }]", "models.name is missing"),
            ("[{ name = \"a\" }]", "models.model is missing"),
            ("[{ name = \"a\", path = \"A/m\" }]", "there is no key 'models.path'"),
            ("[{ name = \"a/b\", model = \"A/m\" }]", "models.name = \"a/b\" is not a valid name"),
            ("[{ name = \"+plain-llama\", model = \"A/m\" }]", "is not a valid name"),
            ("[{ name = \"a\\nb\", model = \"A/m\" }]", "is not a valid name"),
            ("[\"A/m\", \"A/m\"]", "lists \"A/m\" twice"),
        ] {
            let message = read(models).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}

//! Reads the options of methods: missing ones get their defaults, and unknown ones are errors.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::Table;

use crate::{Error, Guard, Pooling, Reason};

/// A set of options: a struct of plain values with a default for each.
///
/// [`method!`](crate::method!) implements it for the methods that it declares.
pub trait Options: Default + Serialize + DeserializeOwned {
    /// Checks the values of the options.
    ///
    /// # Errors
    /// Returns the reason if a value, or a combination of values, is invalid.
    fn check(&self) -> Result<(), Reason> {
        Ok(())
    }
}

/// The options that every scorer has in addition to its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct CommonOptions {
    #[serde(flatten)]
    pub(crate) guard: Guard,
    pub(crate) pool: Pooling,
}

impl Options for CommonOptions {}

/// Returns every option of `options` with its value.
pub(crate) fn table<O: Options>(method: &'static str, options: &O) -> Result<Table, Error> {
    Table::try_from(options).map_err(|e| Error::Options { method, reason: e.to_string().replace('\n', ", ") })
}

/// Returns every option with its default value. The table is empty if one of them has no TOML form;
/// [`check_defaults`] reports that.
pub(crate) fn defaults<O: Options>() -> Table {
    Table::try_from(O::default()).unwrap_or_default()
}

/// Fails if the default options of a method are not valid options.
pub(crate) fn check_defaults<O: Options>(method: &'static str) -> Result<(), Error> {
    let defaults = table(method, &O::default())?;
    read::<O>(method, &defaults).map(|_| ())
}

/// Reads the options `given`. The caller has checked that each key is an option of `method`.
pub(crate) fn read<O: Options>(method: &'static str, given: &Table) -> Result<O, Error> {
    let build = |given: &Table| {
        let mut options = defaults::<O>();
        options.extend(given.clone());
        let options: O =
            options.try_into().map_err(|e: toml::de::Error| Reason::from(type_reason(e.message())))?;
        options.check().map(|()| options)
    };
    build(given).map_err(|whole| {
        // Reading each option alone shows which of them is invalid.
        let alone = |(key, value): (&String, &toml::Value)| {
            let reason = build(&Table::from_iter([(key.clone(), value.clone())])).err()?;
            Some((key.clone(), value.to_string(), reason))
        };
        let (option, value, reason) = given.iter().find_map(alone).unwrap_or_else(|| {
            let keys: Vec<_> = given.keys().cloned().collect();
            (keys.join(", "), crate::spec::write("", given), whole)
        });
        Error::Option { method, option, value, reason }
    })
}

/// Returns the reason why a value has the wrong type. The names of Rust's types are replaced by what to
/// write.
fn type_reason(message: &str) -> String {
    let message = message.replace('\n', ", ");
    match message.rsplit_once("expected ").map(|(_, expected)| expected.trim()) {
        Some("usize" | "u64" | "u32") => "write a whole number of at least 0".to_owned(),
        Some("f64" | "f32") => "write a number".to_owned(),
        Some("a boolean") => "write true or false, without quotes".to_owned(),
        Some("a string") => "write a string in quotes".to_owned(),
        _ => message,
    }
}

/// Fails if a key of `given` is not a key of `known`.
pub(crate) fn refuse_unknown(method: &'static str, given: &Table, known: &Table) -> Result<(), Error> {
    let Some(option) = given.keys().find(|key| !known.contains_key(*key)) else { return Ok(()) };
    let mut names: Vec<&str> = known.keys().map(String::as_str).collect();
    names.sort_unstable();
    let known = if names.is_empty() { "it has none".into() } else { format!("it has: {}", names.join(", ")) };
    Err(Error::UnknownOption { method, option: option.clone(), known })
}

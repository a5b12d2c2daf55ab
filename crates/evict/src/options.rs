//! Reading a method's options: filled from its defaults, unknown ones refused.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::Table;

use crate::{Error, Guard, Pooling, Reason};

/// A set of options: a struct of plain values that has a default for each.
///
/// [`method!`](crate::method!) implements it for the methods that it declares.
pub trait Options: Default + Serialize + DeserializeOwned {
    /// Refuses values that have the right type and no meaning.
    ///
    /// # Errors
    /// With the reason, when an option or several together mean nothing.
    fn check(&self) -> Result<(), Reason> {
        Ok(())
    }
}

/// The options that every scorer takes besides its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Common {
    #[serde(flatten)]
    pub(crate) guard: Guard,
    pub(crate) pool: Pooling,
}

impl Options for Common {}

/// Every option of `options` with its value.
pub(crate) fn table<O: Options>(method: &'static str, options: &O) -> Result<Table, Error> {
    Table::try_from(options).map_err(|e| Error::Options { method, reason: e.to_string().replace('\n', ", ") })
}

/// Every option with its default value. It is empty where one of them has no TOML form, which
/// [`check_defaults`] refuses.
pub(crate) fn defaults<O: Options>() -> Table {
    Table::try_from(O::default()).unwrap_or_default()
}

/// Refuses a method whose defaults are no options of it.
pub(crate) fn check_defaults<O: Options>(method: &'static str) -> Result<(), Error> {
    let defaults = table(method, &O::default())?;
    read::<O>(method, &defaults).map(|_| ())
}

/// Reads `given`, whose keys are known to be options of `method`.
pub(crate) fn read<O: Options>(method: &'static str, given: &Table) -> Result<O, Error> {
    let build = |given: &Table| {
        let mut options = defaults::<O>();
        options.extend(given.clone());
        let options: O =
            options.try_into().map_err(|e: toml::de::Error| Reason::from(e.message().replace('\n', ", ")))?;
        options.check().map(|()| options)
    };
    build(given).map_err(|whole| {
        // Each option alone shows which of them is at fault.
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

/// Refuses a key of `given` that is no key of `known`.
pub(crate) fn refuse_unknown(method: &'static str, given: &Table, known: &Table) -> Result<(), Error> {
    let Some(option) = given.keys().find(|key| !known.contains_key(*key)) else { return Ok(()) };
    let mut names: Vec<&str> = known.keys().map(String::as_str).collect();
    names.sort_unstable();
    let known = if names.is_empty() { "it has none".into() } else { format!("it has: {}", names.join(", ")) };
    Err(Error::UnknownOption { method, option: option.clone(), known })
}

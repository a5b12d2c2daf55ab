//! Reading a method's options: filled from its defaults, unknown ones refused.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::Table;

use crate::{Error, Guard, Pooling};

/// A set of options of which each has a default and can be judged by itself.
pub(crate) trait Options: Default + Serialize + DeserializeOwned {
    /// Refuses values that have the right type and no meaning.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Every option with its default value.
    fn defaults() -> Table {
        // Only a struct of plain values implements this, and those all have a TOML form.
        Table::try_from(Self::default()).unwrap_or_default()
    }
}

/// The options that every scorer takes besides its own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Common {
    #[serde(flatten)]
    pub(crate) guard: Guard,
    pub(crate) pool: Pooling,
}

impl Options for Common {}

/// Reads `given`, whose keys are known to be options of `method`.
pub(crate) fn read<O: Options>(method: &'static str, given: &Table) -> Result<O, Error> {
    let build = |given: &Table| {
        let mut options = O::defaults();
        options.extend(given.clone());
        let options: O = options.try_into().map_err(|e: toml::de::Error| e.message().replace('\n', ", "))?;
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

/// As [`read`], written back: every option, as `given` has it or by default, in the one form that its type has.
pub(crate) fn complete<O: Options>(method: &'static str, given: &Table) -> Result<Table, Error> {
    let options: O = read(method, given)?;
    Ok(Table::try_from(options).unwrap_or_default())
}

/// Refuses a key of `given` that is no key of `known`.
pub(crate) fn refuse_unknown(method: &'static str, given: &Table, known: &Table) -> Result<(), Error> {
    let Some(option) = given.keys().find(|key| !known.contains_key(*key)) else { return Ok(()) };
    let mut names: Vec<&str> = known.keys().map(String::as_str).collect();
    names.sort_unstable();
    let known = if names.is_empty() { "it has none".into() } else { format!("it has: {}", names.join(", ")) };
    Err(Error::UnknownOption { method, option: option.clone(), known })
}

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
        options.check()?;
        given.iter().try_for_each(|(key, value)| check_size(key, value))?;
        Ok(options)
    };
    build(given).map_err(|whole| {
        // Reading each option alone shows which of them is invalid.
        let alone = |(key, value): (&String, &toml::Value)| {
            let reason = build(&Table::from_iter([(key.clone(), value.clone())])).err()?;
            Some((key.clone(), shown(value), reason))
        };
        let (option, value, reason) = given.iter().find_map(alone).unwrap_or_else(|| {
            let keys: Vec<_> = given.keys().cloned().collect();
            (keys.join(", "), crate::spec::write("", given), whole)
        });
        Error::Option { method, option, value, reason }
    })
}

/// The name of the option that draws random numbers. It may be any number.
const SEED: &str = "seed";
/// The largest whole number of an option. No model reads as many tokens.
const LARGEST: i64 = 1 << 26;
/// The largest number with a fraction, and the negative of the smallest one.
const LARGEST_FRACTION: f64 = 1e9;

/// Checks that a number is not out of reach of every model and every score.
fn check_size(key: &str, value: &toml::Value) -> Result<(), Reason> {
    match *value {
        toml::Value::Integer(number) if key != SEED && number > LARGEST => {
            Err(format!("write a whole number of at most {LARGEST}").into())
        }
        toml::Value::Float(number) if !(-LARGEST_FRACTION..=LARGEST_FRACTION).contains(&number) => {
            Err("write a number from -1000000000 to 1000000000".into())
        }
        _ => Ok(()),
    }
}

/// Returns the smallest and the largest number that `accepts`, found by trying, as text such as `1 to 512`;
/// `None` if the option takes no number. `default` is a number that is accepted. Where only odd numbers are
/// accepted, the text says so.
pub(crate) fn range(default: &toml::Value, accepts: impl Fn(toml::Value) -> bool) -> Option<String> {
    match *default {
        toml::Value::Integer(default) => {
            // If a number is refused because it is even, its neighbour is accepted.
            let odd = default % 2 == 1 && default > 1 && !accepts((default - 1).into());
            let accepts_near = |number: i64| accepts(number.into()) || odd && accepts((number - 1).into());
            let [least, most] = [0, i64::MAX].map(|end| last_accepted(default, end, accepts_near));
            let odd = if odd { ", odd" } else { "" };
            Some(match most {
                i64::MAX => format!("any whole number of at least {least}"),
                most => format!("{least} to {most}{odd}"),
            })
        }
        toml::Value::Float(default) => {
            // The order of the bits of positive floats is the order of the numbers.
            let positive = |bits: i64| accepts(f64::from_bits(bits as u64).into());
            let most = last_accepted(default.to_bits() as i64, f64::MAX.to_bits() as i64, positive);
            let negative = |bits: i64| accepts((-f64::from_bits(bits as u64)).into());
            let least = match accepts((-f64::MIN_POSITIVE).into()) {
                true => -f64::from_bits(last_accepted(0, f64::MAX.to_bits() as i64, negative) as u64),
                false => f64::from_bits(last_accepted(default.to_bits() as i64, 0, positive) as u64),
            };
            Some(format!("{least} to {}", f64::from_bits(most as u64)))
        }
        _ => None,
    }
}

/// Returns the number closest to `end` up to which all numbers from `start` on are accepted.
fn last_accepted(start: i64, end: i64, accepts: impl Fn(i64) -> bool) -> i64 {
    if accepts(end) {
        return end;
    }
    let (mut inside, mut outside) = (start, end);
    while inside.abs_diff(outside) > 1 {
        let middle = inside / 2 + outside / 2 + (inside % 2 + outside % 2) / 2;
        if accepts(middle) { inside = middle } else { outside = middle }
    }
    inside
}

/// Formats a value for a message, shortened to 40 characters.
fn shown(value: &toml::Value) -> String {
    const SHOWN: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
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

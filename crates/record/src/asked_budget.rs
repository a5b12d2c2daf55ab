//! The budget of a cell: how much of a cache an experiment asks to keep.

use crate::field::text_field;
use crate::{
    RuleName, ValueError,
    units::{self, UNITS},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How much of a cache to keep. In definitions and rows it is a text such as `0.5`, `64 tokens`, `32 KiB`,
/// `ratio 0.8` or `0.5 by entropy-global`. The reader also accepts a unit without the space before it, and
/// `4x` for a cache that is four times smaller, which is the fraction 0.25.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum AskedBudget {
    /// A fraction of the entries, in (0, 1].
    Fraction(f64),
    /// A fraction of the entries that is removed, in (0, 1): kvpress' compression ratio. A KV head keeps
    /// `int(tokens * (1 - ratio))` tokens on average, in float64 and in this order, and at least one. A press
    /// that rounds something else, such as chunks, rounds it as kvpress does. For every other policy this is
    /// the fraction `1 - ratio`.
    Ratio(f64),
    /// A number of tokens per KV head, on average.
    Tokens(usize),
    /// A number of bytes for the whole cache.
    Bytes(u64),
    /// The number of entries that the named rule keeps of the same context when it is asked for this
    /// fraction. Only this budget makes a fair comparison with a rule that keeps more or less than it is
    /// asked to.
    Realised(f64, RuleName),
}

impl AskedBudget {
    /// The whole cache.
    pub const FULL: Self = Self::Fraction(1.0);

    /// Returns a budget that keeps the fraction `value` of the entries.
    ///
    /// # Errors
    /// Fails if `value` is not in (0, 1].
    pub fn fraction(value: f64) -> Result<Self, ValueError> {
        match value > 0.0 && value <= 1.0 {
            true => Ok(Self::Fraction(value)),
            false => Err(ValueError::NotAFraction { value }),
        }
    }

    /// Returns a budget that removes the fraction `removed` of the entries. A ratio of 0 is
    /// [`AskedBudget::FULL`].
    ///
    /// # Errors
    /// Fails if `removed` is not in [0, 1).
    pub fn ratio(removed: f64) -> Result<Self, ValueError> {
        match (0.0..1.0).contains(&removed) {
            true if removed > 0.0 => Ok(Self::Ratio(removed)),
            true => Ok(Self::FULL),
            false => Err(ValueError::NotARatio { value: removed }),
        }
    }
}

text_field!(AskedBudget);

impl Default for AskedBudget {
    fn default() -> Self {
        Self::FULL
    }
}

impl fmt::Display for AskedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // Debug keeps the point of 1.0 and is otherwise the shortest text that reads back equal.
            Self::Fraction(fraction) => write!(f, "{fraction:?}"),
            Self::Ratio(removed) => write!(f, "ratio {removed:?}"),
            Self::Realised(fraction, rule) => write!(f, "{fraction:?} by {rule}"),
            Self::Tokens(1) => write!(f, "1 token"),
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
            Self::Bytes(bytes) => {
                let (unit, size) =
                    UNITS.into_iter().find(|(_, size)| bytes.is_multiple_of(*size)).unwrap_or(("B", 1));
                write!(f, "{} {unit}", bytes / size)
            }
        }
    }
}

impl FromStr for AskedBudget {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let not_a_budget = || ValueError::NotABudget { text: text.to_owned() };
        let text = text.trim();
        if let Ok(value) = text.parse() {
            return Self::fraction(value);
        }
        if let Some(removed) = text.strip_prefix("ratio ") {
            return Self::ratio(removed.trim().parse().map_err(|_| not_a_budget())?);
        }
        if let Some((fraction, rule)) = text.split_once(" by ") {
            let Self::Fraction(fraction) =
                Self::fraction(fraction.trim().parse().map_err(|_| not_a_budget())?)?
            else {
                return Err(not_a_budget());
            };
            return rule.trim().parse().map(|rule| Self::Realised(fraction, rule));
        }
        if let Some(times) = text.strip_suffix('x') {
            let times =
                times.trim_end().parse().ok().filter(|times: &f64| *times >= 1.0 && times.is_finite());
            return Self::fraction(times.ok_or_else(not_a_budget)?.recip());
        }
        let (number, unit) = units::split(text).ok_or_else(not_a_budget)?;
        if number == 0 {
            return Err(ValueError::KeepsNothing { text: text.to_owned() });
        }
        match unit {
            "token" | "tokens" => usize::try_from(number).map(Self::Tokens).map_err(|_| not_a_budget()),
            unit => units::bytes(number, unit).map(Self::Bytes).ok_or_else(not_a_budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_equal() {
        use AskedBudget::{Bytes, Fraction, Ratio, Realised, Tokens};
        let cases = [
            (Fraction(1.0), "1.0"),
            (Fraction(0.1), "0.1"),
            (Fraction(1.0 / 3.0), "0.3333333333333333"),
            (Ratio(0.8), "ratio 0.8"),
            (Ratio(1.0 / 3.0), "ratio 0.3333333333333333"),
            (Tokens(1), "1 token"),
            (Tokens(64), "64 tokens"),
            (Bytes(1000), "1000 B"),
            (Bytes(32 << 10), "32 KiB"),
            (Bytes(3 << 20), "3 MiB"),
            (Realised(0.2, "entropy-global".parse().unwrap()), "0.2 by entropy-global"),
        ];
        for (budget, text) in cases {
            assert_eq!(budget.to_string(), text);
            assert_eq!(text.parse(), Ok(budget));
        }
        let spellings = [
            ("2048 KiB", "2 MiB"),
            ("64KiB", "64 KiB"),
            ("65536 B", "64 KiB"),
            ("65536B", "64 KiB"),
            ("64tokens", "64 tokens"),
            ("1token", "1 token"),
            (" 64  tokens ", "64 tokens"),
            ("4x", "0.25"),
            ("2.5 x", "0.4"),
            ("1x", "1.0"),
            ("ratio  0.80", "ratio 0.8"),
            ("ratio 0", "1.0"),
            ("ratio -0.0", "1.0"),
        ];
        for (text, written) in spellings {
            assert_eq!(text.parse::<AskedBudget>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn invalid_budgets_are_errors() {
        let cases = [
            ("0", "is not a fraction in (0, 1]"),
            ("1.5", "is not a fraction in (0, 1]"),
            ("NaN", "is not a fraction in (0, 1]"),
            ("0 tokens", "keeps nothing"),
            ("64", "is not a fraction in (0, 1]"),
            ("65536", "is not a fraction in (0, 1]"),
            ("0KiB", "keeps nothing"),
            ("64 tokens each", "is not a budget"),
            ("64 kB", "is not a budget"),
            ("-1 B", "is not a budget"),
            ("99999999999 GiB", "is not a budget"),
            ("half", "is not a budget"),
            ("x", "is not a budget"),
            ("0.5x", "is not a budget"),
            ("infx", "is not a budget"),
            (
                "ratio 1",
                "ratio 1 is outside [0, 1): write the fraction of the cache to remove, such as 'ratio 0.8'",
            ),
            ("ratio -0.1", "ratio -0.1 is outside [0, 1)"),
            ("ratio NaN", "ratio NaN is outside [0, 1)"),
            ("ratio half", "is not a budget"),
            ("ratio", "is not a budget"),
            ("half by entropy-global", "is not a budget"),
            ("2 by entropy-global", "is not a fraction in (0, 1]"),
            ("0.2 by Entropy", "'Entropy' is not the name of a rule"),
        ];
        for (text, expected) in cases {
            let message = text.parse::<AskedBudget>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}

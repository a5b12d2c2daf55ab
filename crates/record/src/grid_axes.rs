//! The axes of a grid whose values are a few fixed names.

use crate::suggestion;
use serde::{Deserialize, Serialize};

/// A set of values that files know by name.
pub trait Named: Copy + Eq + 'static {
    /// What a value is called in errors, for example "metric".
    const WHAT: &'static str;
    /// All values, in the order of documentation.
    const ALL: &'static [Self];

    /// The name in files and tables.
    fn name(self) -> &'static str;

    /// The value with this name.
    ///
    /// # Errors
    /// One clause with the known names, the nearest first, when there is none.
    fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|value| value.name() == name);
        let known: Vec<&str> = Self::ALL.iter().map(|value| value.name()).collect();
        found
            .copied()
            .ok_or_else(|| format!("'{name}' is no {}: {}", Self::WHAT, suggestion::instead(name, &known)))
    }
}

/// Which network the weights of a model are run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// As they were trained.
    True,
    /// As a plain Llama: the mistake of the published verification.
    LlamaSkeleton,
}

/// Where kept keys stand after a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Where they stood in the text.
    Original,
    /// Turned by RoPE to their place in the cut cache.
    Rerotated,
}

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KvFormat {
    /// Half precision.
    F16,
    /// Eight bits with a scale for each token.
    Int8,
    /// Four bits with a scale for each token.
    Int4,
    /// KIVI (Liu and others 2024) at four bits: keys by channel, values by token, a residual window in f16.
    Kivi4,
    /// The same at two bits.
    Kivi2,
}

/// A group of measurements; those that cost much can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// KL divergence, agreement and NLL of tokens predicted through the cut cache.
    Kl,
    /// Attention cosine, as published, and retained attention mass.
    Attention,
    /// Relative error of the attention output.
    OutputError,
    /// First differing token and matching fraction of a greedy continuation.
    FreeRunning,
    /// Seconds to plan and to decode, and peak memory; these are never the same twice.
    Timing,
}

/// What a cell is scored on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Continuation of a text, teacher forced.
    Text,
    /// A key and its value of four words, hidden in filler.
    Passkey,
    /// Eight keys with values in filler, four of them asked for, one by one.
    Needles,
    /// Chains of assignments in filler, followed back from their last names.
    Variables,
    /// The most frequent words of a list.
    CommonWords,
    /// Pairs to remember, asked for one after the other.
    Recall,
    /// Lines of random words, of which one is to be gone on with.
    Copy,
}

/// What is held equal among KV formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Equal {
    /// The tokens kept: a smaller format then has a smaller cache.
    #[default]
    Tokens,
    /// The bytes of the cache, those of f16 at the budget: a smaller format then keeps more tokens.
    Bytes,
}

macro_rules! named {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl Named for $type {
            const WHAT: &'static str = $what;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

named!(Form, "form of a model", True = "true", LlamaSkeleton = "llama-skeleton");
named!(Positions, "kind of positions", Original = "original", Rerotated = "rerotated");
named!(KvFormat, "KV format", F16 = "f16", Int8 = "int8", Int4 = "int4", Kivi4 = "kivi4", Kivi2 = "kivi2");
named!(
    Metric,
    "metric",
    Kl = "kl",
    Attention = "attention",
    OutputError = "output-error",
    FreeRunning = "free-running",
    Timing = "timing"
);
named!(
    TaskKind,
    "task",
    Text = "text",
    Passkey = "passkey",
    Needles = "needles",
    Variables = "variables",
    CommonWords = "common-words",
    Recall = "recall",
    Copy = "copy"
);
named!(Equal, "thing to hold equal", Tokens = "tokens", Bytes = "bytes");

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    fn names_are_those_of_serde<T: Named + Serialize + DeserializeOwned + std::fmt::Debug>() {
        for &value in T::ALL {
            let json = serde_json::to_value(value).unwrap();
            assert_eq!(json, value.name());
            assert_eq!(serde_json::from_value::<T>(json).unwrap(), value);
            assert_eq!(T::from_name(value.name()), Ok(value));
        }
    }

    #[test]
    fn every_name_reads_back() {
        names_are_those_of_serde::<Form>();
        names_are_those_of_serde::<Positions>();
        names_are_those_of_serde::<KvFormat>();
        names_are_those_of_serde::<Metric>();
        names_are_those_of_serde::<TaskKind>();
        names_are_those_of_serde::<Equal>();
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let said = KvFormat::from_name("int3").unwrap_err();
        assert_eq!(
            said,
            "'int3' is no KV format: write 'int8' if that is meant, of f16, int8, int4, kivi4, kivi2"
        );
    }
}

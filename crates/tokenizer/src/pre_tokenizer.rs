//! The ways in which byte-level tokenizers split a text before merging, which GGUF files identify by names.

use serde_json::Value;
use tokenizers::{
    PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use crate::{Error, Result, spelling::steps};

const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same expression as llama.cpp writes it, with both cases spelt out.
const LLAMA_3_SPELT: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";
const NUMBERS: &str = r"\p{N}+";
const NUMBER: &str = r"\p{N}";
const THREE_DIGITS: &str = "[0-9][0-9][0-9]";

/// A way to split a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreTokenizer {
    /// Llama 3: groups of three digits, and contractions in either case.
    Llama3,
    /// GPT-2.
    Gpt2,
    /// Every digit alone, then GPT-2. The suite's own tokenizers use it.
    Digits,
    /// The split of llama.cpp for files with the name `default`, and of bitnet.cpp for files without a name.
    LlamaCppDefault,
}

/// The names of each pre-tokenizer in GGUF files. The first one is written; all of them are read.
const NAMES: [(PreTokenizer, &[&str]); 4] = [
    (PreTokenizer::Llama3, &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "falcon_e"]),
    (PreTokenizer::Gpt2, &["gpt-2", "phi-2", "olmo"]),
    (PreTokenizer::Digits, &["starcoder", "refact", "smollm", "command-r", "codeshell", "exaone"]),
    (PreTokenizer::LlamaCppDefault, &["default"]),
];

impl PreTokenizer {
    /// Returns the pre-tokenizer for a value of `tokenizer.ggml.pre`.
    pub(crate) fn from_name(name: &str, file: &str) -> Result<PreTokenizer> {
        let found = NAMES.iter().find(|(_, names)| names.contains(&name));
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let known = NAMES.map(|(_, names)| names.join(", ")).join(", ");
            Error::unsupported(file, "pre-tokenizer", name, known)
        })
    }

    /// Returns the name that is written to GGUF files.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).expect("every kind has a name").1[0]
    }

    /// Returns whether a piece of text that equals a token becomes that token without merging.
    pub(crate) fn ignores_merges(self) -> bool {
        self == PreTokenizer::Llama3
    }

    /// Returns the steps that split a text in this way.
    pub(crate) fn build(self) -> PreTokenizerWrapper {
        let patterns: &[&str] = match self {
            PreTokenizer::Gpt2 => return ByteLevel::new(false, true, true).into(),
            PreTokenizer::Digits => {
                let steps = [Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
                return Sequence::new(steps.into()).into();
            }
            PreTokenizer::Llama3 => &[LLAMA_3],
            PreTokenizer::LlamaCppDefault => &[PUNCTUATION, GPT_2, NUMBERS, THREE_DIGITS],
        };
        let split = |pattern: &&str| -> PreTokenizerWrapper {
            let pattern = SplitPattern::Regex((*pattern).into());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false).expect("a valid expression").into()
        };
        let bytes = ByteLevel::new(false, true, false).into();
        Sequence::new(patterns.iter().map(split).chain([bytes]).collect()).into()
    }

    /// Returns the pre-tokenizer that splits every text in the same way as the `pre_tokenizer` of a
    /// `tokenizer.json`; `None` if no pre-tokenizer does.
    pub(crate) fn recognise(part: &Value) -> Option<PreTokenizer> {
        let mut steps = steps(part);
        let last = steps.pop().filter(|last| last["type"] == "ByteLevel")?;
        if last["add_prefix_space"] != false {
            return None;
        }
        let mut patterns: Vec<&str> = steps.into_iter().map(pattern).collect::<Option<_>>()?;
        if last["use_regex"] != false {
            patterns.push(GPT_2);
        }
        match patterns[..] {
            [LLAMA_3 | LLAMA_3_SPELT] => Some(PreTokenizer::Llama3),
            [GPT_2] => Some(PreTokenizer::Gpt2),
            [NUMBER, GPT_2] => Some(PreTokenizer::Digits),
            [PUNCTUATION, GPT_2, NUMBERS, THREE_DIGITS] => Some(PreTokenizer::LlamaCppDefault),
            _ => None,
        }
    }
}

/// Returns the expression whose matches a step separates.
fn pattern(step: &Value) -> Option<&str> {
    match step["type"].as_str()? {
        "Digits" if step["individual_digits"] == true => Some(NUMBER),
        "Split" if step["behavior"] == "Isolated" && step["invert"] == false => {
            step["pattern"]["Regex"].as_str()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_recognised() {
        for (name, kind) in
            NAMES.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| (name, kind)))
        {
            assert_eq!(PreTokenizer::from_name(name, "x").unwrap(), kind);
            assert_eq!(PreTokenizer::from_name(kind.name(), "x").unwrap(), kind);
            let json = serde_json::to_value(kind.build()).unwrap();
            assert_eq!(PreTokenizer::recognise(&json), Some(kind), "{name}");
        }
    }

    #[test]
    fn pre_tokenizers_that_split_differently_are_not_recognised() {
        let bytes = |prefix: bool| serde_json::json!({"type": "ByteLevel", "add_prefix_space": prefix, "use_regex": true});
        assert_eq!(PreTokenizer::recognise(&bytes(true)), None);
        assert_eq!(PreTokenizer::recognise(&bytes(false)), Some(PreTokenizer::Gpt2));
        let digits = |alone: bool| {
            let digits = serde_json::json!({"type": "Digits", "individual_digits": alone});
            serde_json::json!({"type": "Sequence", "pretokenizers": [digits, bytes(false)]})
        };
        assert_eq!(PreTokenizer::recognise(&digits(true)), Some(PreTokenizer::Digits));
        assert_eq!(PreTokenizer::recognise(&digits(false)), None);
        assert_eq!(PreTokenizer::recognise(&Value::Null), None);
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let error = PreTokenizer::from_name("qwen2", "model.gguf").unwrap_err().to_string();
        assert!(error.starts_with("model.gguf: the pre-tokenizer `qwen2` is not supported"), "{error}");
        assert!(NAMES.iter().flat_map(|(_, names)| *names).all(|name| error.contains(name)), "{error}");
    }
}

//! The times at which a cache is compressed.

use crate::{ValueError, field::text_field};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// When entries are evicted: once after the prefill, after each chunk of the prefill, while decoding, or both
/// of the latter. In definitions and rows it is a text: `once`, `chunked-128`, `decoding-16` or
/// `chunked-128+decoding-16`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct When {
    /// The number of tokens in each chunk of the prefill. Later chunks see only what is left of earlier ones.
    /// `None` means that the prefill is one pass.
    pub prefill_chunk: Option<usize>,
    /// The number of tokens that are decoded between two evictions down to the budget. `None` means that
    /// nothing is evicted while decoding.
    pub every: Option<usize>,
}

impl When {
    /// Once, after the prefill.
    pub const ONCE: Self = Self { prefill_chunk: None, every: None };
    /// The meaning of "chunked" in a definition.
    pub const CHUNKED: Self = Self { prefill_chunk: Some(128), every: None };
    /// The meaning of "decoding" in a definition.
    pub const DECODING: Self = Self { prefill_chunk: None, every: Some(16) };
}

text_field!(When);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.prefill_chunk, self.every) {
            (None, None) => write!(f, "once"),
            (Some(chunk), None) => write!(f, "chunked-{chunk}"),
            (None, Some(every)) => write!(f, "decoding-{every}"),
            (Some(chunk), Some(every)) => write!(f, "chunked-{chunk}+decoding-{every}"),
        }
    }
}

impl FromStr for When {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let not_a_when = || ValueError::NotAWhen { text: text.to_owned() };
        match text {
            "once" => return Ok(Self::ONCE),
            "chunked" => return Ok(Self::CHUNKED),
            "decoding" => return Ok(Self::DECODING),
            _ => {}
        }
        let mut when = Self::ONCE;
        for part in text.split('+') {
            let (name, tokens) = part.rsplit_once('-').ok_or_else(not_a_when)?;
            let tokens = tokens.parse().ok().filter(|tokens| *tokens > 0).ok_or_else(not_a_when)?;
            let field = match name {
                "chunked" if when == Self::ONCE => &mut when.prefill_chunk,
                "decoding" if when.every.is_none() => &mut when.every,
                _ => return Err(not_a_when()),
            };
            *field = Some(tokens);
        }
        Ok(when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_equal() {
        let both = When { prefill_chunk: Some(64), every: Some(8) };
        let cases = [
            (When::ONCE, "once"),
            (When::CHUNKED, "chunked-128"),
            (When::DECODING, "decoding-16"),
            (both, "chunked-64+decoding-8"),
        ];
        for (when, text) in cases {
            assert_eq!(when.to_string(), text);
            assert_eq!(text.parse(), Ok(when));
        }
        assert_eq!("chunked".parse(), Ok(When::CHUNKED));
        assert_eq!("decoding".parse(), Ok(When::DECODING));
    }

    #[test]
    fn invalid_texts_are_errors() {
        for text in [
            "",
            "twice",
            "chunked-0",
            "chunked-x",
            "decoding-8+chunked-64",
            "chunked-8+chunked-8",
            "once+decoding-8",
        ] {
            let message = text.parse::<When>().unwrap_err().to_string();
            assert!(message.contains("is not a time of eviction"), "{text}: {message}");
        }
    }
}

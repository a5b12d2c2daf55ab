//! The name of a rule in a budget such as `0.5 by entropy-global`.

use crate::ValueError;
use std::fmt;
use std::str::FromStr;

/// The longest name, in characters.
const LONGEST: usize = 40;

/// The name of a rule whose realised size is a budget. Which rules exist is not known here. The name has a
/// fixed maximum length, so that a budget is `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName {
    /// The characters of the name (lower-case letters, digits, hyphens, underscores and colons), padded with
    /// zeros.
    characters: [u8; LONGEST],
}

impl RuleName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        let end = self.characters.iter().position(|c| *c == 0).unwrap_or(LONGEST);
        std::str::from_utf8(&self.characters[..end]).unwrap_or_default()
    }
}

impl FromStr for RuleName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_:".contains(&c);
        let mut characters = [0; LONGEST];
        match text.len() {
            1..=LONGEST if text.bytes().all(is_valid) => {
                characters[..text.len()].copy_from_slice(text.as_bytes());
                Ok(Self { characters })
            }
            _ => Err(ValueError::NotARule { text: text.to_owned(), longest: LONGEST }),
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_equal_and_invalid_ones_are_errors() {
        for name in ["entropy-global", "kvpress:adakv_expected_attention_e2", &"x".repeat(LONGEST)] {
            assert_eq!(name.parse::<RuleName>().unwrap().to_string(), *name);
        }
        for name in ["", "Entropy", "entropy global", &"x".repeat(LONGEST + 1)] {
            let message = name.parse::<RuleName>().unwrap_err().to_string();
            assert!(message.contains("is not the name of a rule"), "{name}");
        }
    }
}

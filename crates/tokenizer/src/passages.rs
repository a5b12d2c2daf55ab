//! Splits a long text into passages whose ids, joined, are those of the whole text. The library needs more
//! than a hundred bytes of memory for each byte that it reads at once.

use serde_json::Value;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use crate::{
    pre_tokenizer::PreTokenizer,
    spelling::{prepends, replaces_spaces, steps},
};

/// The length from which a passage ends at the next possible place, in bytes.
const LENGTH: usize = 64 << 10;
/// The longest passage, in bytes.
pub(crate) const LONGEST: usize = 4 << 20;

/// Where a text may be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Borders {
    /// Nowhere, because not enough is known about the tokenizer.
    Nowhere,
    /// Before a space or a line end between two letters. All known ways to split a text into words end a word
    /// there, and begin the next one with the space.
    BeforeSpace,
    /// Before a space between two letters, for a SentencePiece tokenizer without pieces that have a space
    /// after another character. With `prefix`, a space is put before every text, so that the passage begins
    /// after its own space.
    BeforePiece { prefix: bool },
}

impl Borders {
    /// Returns where texts may be split for a tokenizer with these steps. `tokens` are all tokens of the
    /// model, and `has_spaced_added` says whether an added token holds a space or depends on spaces around
    /// it.
    pub(crate) fn new<'a>(
        normalizer: Option<&NormalizerWrapper>,
        pre_tokenizer: Option<&PreTokenizerWrapper>,
        mut tokens: impl Iterator<Item = &'a str>,
        has_spaced_added: bool,
    ) -> Borders {
        let json = |part: serde_json::Result<Value>| part.unwrap_or_default();
        let (normalizer, splitter) =
            (json(serde_json::to_value(normalizer)), json(serde_json::to_value(pre_tokenizer)));
        if has_spaced_added {
            return Borders::Nowhere;
        }
        if normalizer.is_null() && PreTokenizer::recognise(&splitter).is_some() {
            return Borders::BeforeSpace;
        }
        let (before, after) = (steps(&normalizer), steps(&splitter));
        let replaces = before.iter().any(|step| replaces_spaces(step));
        let is_metaspace = matches!(after[..], [step] if step["type"] == "Metaspace"
            && step["replacement"] == "▁" && step["split"] != true);
        let known = |step: &&Value| replaces_spaces(step) || step["type"] == "Prepend" && prepends(step);
        let is_known =
            before.iter().all(known) && (replaces && after.is_empty() || before.is_empty() && is_metaspace);
        let mut has_space = false;
        let mut crosses = |token: &str| {
            has_space |= token == "▁";
            token.trim_start_matches('▁').contains('▁')
        };
        if !is_known || tokens.any(&mut crosses) || !has_space {
            return Borders::Nowhere;
        }
        Borders::BeforePiece { prefix: before.iter().chain(&after).any(|step| prepends(step)) }
    }

    /// Returns the passages of a text in order. Each is encoded on its own.
    ///
    /// # Errors
    /// Each item is an error if the passage would be longer than [`LONGEST`].
    pub(crate) fn passages(self, text: &str) -> impl Iterator<Item = Result<&str, String>> {
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            let whole = rest.take()?;
            let border = self.border(whole);
            let (passage, after) = whole.split_at(border.unwrap_or(whole.len()));
            if passage.len() > LONGEST {
                return Some(Err(format!(
                    "it has a passage of {} bytes that cannot be split at a space between two words, and at most \
                     {LONGEST} are read at once",
                    passage.len()
                )));
            }
            if border.is_some() {
                let skipped = usize::from(self == Borders::BeforePiece { prefix: true });
                rest = Some(&after[skipped..]);
            }
            Some(Ok(passage))
        })
    }

    /// Returns where the first passage of a text ends; `None` if it is the whole text.
    fn border(self, text: &str) -> Option<usize> {
        if self == Borders::Nowhere || text.len() <= LENGTH {
            return None;
        }
        let start = (LENGTH..).find(|at| text.is_char_boundary(*at))?;
        let mut before = text[..start].chars().next_back()?;
        let mut characters = text[start..].char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map_or(' ', |(_, next)| *next);
            let is_space = c == ' ' || c == '\n' && self == Borders::BeforeSpace;
            if is_space && is_letter(before) && is_letter(next) {
                return Some(start + at);
            }
            before = c;
        }
        None
    }
}

/// Whether a character is a letter in every edition of Unicode that a library may know.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, 'а'..='я' | 'А'..='Я' | 'α'..='ω' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='鿋' | '가'..='힣')
        || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_end_before_a_space_between_letters() {
        let text = "word, 12 \n".repeat(20_000) + "two words" + &" 5".repeat(50_000) + "a b";
        let passages: Vec<&str> = Borders::BeforeSpace.passages(&text).map(Result::unwrap).collect();
        assert_eq!(passages.concat(), text);
        assert_eq!(passages.len(), 3);
        assert!(passages[0].ends_with("two") && passages[1].starts_with(" words"));
        assert_eq!(passages[2], " b");
        let pieces = Borders::BeforePiece { prefix: true };
        let passages: Vec<&str> = pieces.passages(&text).map(Result::unwrap).collect();
        assert_eq!(passages.join(" "), text);
    }

    #[test]
    fn endless_words_are_refused() {
        let word = "a".repeat(LONGEST + 1);
        let reason = Borders::BeforeSpace.passages(&word).next().unwrap().unwrap_err();
        assert!(reason.contains("a passage of 4194305 bytes"), "{reason}");
        assert!(Borders::Nowhere.passages(&"a b ".repeat(LONGEST / 4 + 1)).next().unwrap().is_err());
    }
}

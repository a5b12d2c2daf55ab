//! Bytes of tokens become text as they come.

use crate::{Result, Tokenizer};

/// Turns ids into text piece by piece; a piece ends only where a character does.
///
/// The pieces and [`TextStream::finish`] together equal [`Tokenizer::decode`] of all ids. To go on after a
/// prompt as the model saw it, push the ids of the prompt first and leave their pieces out: a SentencePiece
/// tokenizer drops the space at the very start of what it decodes.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// How many ids have come.
    taken: usize,
    /// The start of a character whose other bytes have not come.
    pending: Vec<u8>,
    /// Whether the space at the start is still to be dropped.
    strip: bool,
}

impl<'a> TextStream<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer) -> Self {
        TextStream { tokenizer, taken: 0, pending: Vec::new(), strip: tokenizer.spelling.strips() }
    }

    /// Takes an id; returns the text that it completes, which may be empty.
    ///
    /// # Errors
    /// When the id is outside the model's vocabulary.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let mut bytes = self.tokenizer.bytes(id, self.taken)?;
        self.taken += 1;
        if let ([first, rest @ ..], true) = (bytes, self.strip) {
            self.strip = false;
            if *first == b' ' {
                bytes = rest;
            }
        }
        self.pending.extend(bytes);
        Ok(take_characters(&mut self.pending))
    }

    /// What is left when no more ids come: an unfinished character, as U+FFFD.
    ///
    /// # Errors
    /// Never so far.
    pub fn finish(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.pending).into_owned())
    }
}

/// Takes all whole characters from the front of `bytes`. What can never become one turns into U+FFFD, just as
/// [`String::from_utf8_lossy`] of everything would have it.
fn take_characters(bytes: &mut Vec<u8>) -> String {
    let (mut text, mut taken) = (String::new(), 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        let unfinished = taken + invalid.len() == bytes.len() && may_go_on(invalid);
        if !invalid.is_empty() && !unfinished {
            text.push('\u{FFFD}');
            taken += invalid.len();
        }
    }
    bytes.drain(..taken);
    text
}

/// Whether more bytes could make a character of an invalid end.
fn may_go_on(invalid: &[u8]) -> bool {
    std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
}

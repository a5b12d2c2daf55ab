//! Decodes tokens to text as they arrive.

use crate::{Result, Tokenizer};

/// Decodes ids to text as they arrive. Every returned piece of text consists of whole characters.
///
/// All pieces, followed by the text of [`TextStream::finish`], equal the result of [`Tokenizer::decode`] for
/// all ids. To decode the text that follows a prompt, push the ids of the prompt first and ignore their
/// pieces: a SentencePiece tokenizer drops the space at the start of a text, which must be the start of the
/// prompt.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The number of ids that were pushed.
    taken: usize,
    /// The first bytes of a character whose other bytes are missing.
    pending: Vec<u8>,
    /// Whether the space at the start of the text must still be dropped.
    strip: bool,
}

impl<'a> TextStream<'a> {
    /// Returns a stream at the start of a text.
    pub(crate) fn new(tokenizer: &'a Tokenizer) -> Self {
        TextStream { tokenizer, taken: 0, pending: Vec::new(), strip: tokenizer.spelling.strips() }
    }

    /// Takes an id and returns the text that it completes, which may be empty.
    ///
    /// # Errors
    /// Returns an error if the id is outside the model's vocabulary.
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

    /// Returns the text that is left after the last id: U+FFFD for an unfinished character, or nothing.
    ///
    /// # Errors
    /// The current implementation never fails.
    pub fn finish(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.pending).into_owned())
    }
}

/// Removes all complete characters from the front of `bytes` and returns them. Bytes that can never become a
/// character become U+FFFD, as [`String::from_utf8_lossy`] of the whole text would write them.
fn take_characters(bytes: &mut Vec<u8>) -> String {
    let (mut text, mut taken) = (String::new(), 0);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        let unfinished = taken + invalid.len() == bytes.len() && can_be_completed(invalid);
        if !invalid.is_empty() && !unfinished {
            text.push('\u{FFFD}');
            taken += invalid.len();
        }
    }
    bytes.drain(..taken);
    text
}

/// Returns whether more bytes could complete a character at an invalid end.
fn can_be_completed(invalid: &[u8]) -> bool {
    std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
}

//! A table of the bytes to which every token decodes.

use crate::spelling::Spelling;

/// The bytes to which tokens decode, by id. It stores only ids that have a token, because there may be gaps
/// between ids, and a damaged file may have very large ones.
pub(crate) struct Pieces {
    /// The ids that have a token, ascending.
    ids: Vec<u32>,
    /// The end of each id's bytes in `bytes`.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// The text that a token decodes to.
pub(crate) enum TokenText {
    /// The text that the token represents in the [`Spelling`] of its family.
    Spelt,
    /// The token exactly as it is written, as for a token that was added to a byte-level vocabulary.
    Literal,
    /// No text, because the token is special.
    Hidden,
}

impl Pieces {
    /// Builds the table from tokens in ascending order of their ids.
    pub(crate) fn new<'a>(
        spelling: Spelling,
        tokens: impl Iterator<Item = (u32, &'a str, TokenText)>,
    ) -> Pieces {
        let mut pieces = Pieces { ids: Vec::new(), ends: Vec::new(), bytes: Vec::new() };
        for (id, token, text) in tokens {
            match text {
                TokenText::Spelt => spelling.write(token, &mut pieces.bytes),
                TokenText::Literal => pieces.bytes.extend(token.as_bytes()),
                TokenText::Hidden => {}
            }
            pieces.ids.push(id);
            pieces.ends.push(pieces.bytes.len());
        }
        pieces
    }

    /// Returns the bytes of a token; empty for special tokens and for ids without a token.
    pub(crate) fn get(&self, id: u32) -> &[u8] {
        let Ok(index) = self.ids.binary_search(&id) else { return &[] };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// Returns all ids that have a token, ascending.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }
}

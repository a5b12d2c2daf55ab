//! The bytes of every token.

use crate::spelling::Spelling;

/// Bytes by token id. Ids may have gaps, and be as large as a hostile file likes.
pub(crate) struct Pieces {
    /// Ascending.
    ids: Vec<u32>,
    /// Where the bytes of each id end.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// How the text of a token is shown.
pub(crate) enum Shown {
    /// Spelt as the family spells.
    Spelt,
    /// As it is written, such as a token added to the vocabulary.
    Literal,
    /// Not at all: special tokens are no text.
    Hidden,
}

impl Pieces {
    /// From tokens in ascending order of their ids.
    pub(crate) fn new<'a>(spelling: Spelling, tokens: impl Iterator<Item = (u32, &'a str, Shown)>) -> Pieces {
        let mut pieces = Pieces { ids: Vec::new(), ends: Vec::new(), bytes: Vec::new() };
        for (id, token, shown) in tokens {
            match shown {
                Shown::Spelt => spelling.write(token, &mut pieces.bytes),
                Shown::Literal => pieces.bytes.extend(token.as_bytes()),
                Shown::Hidden => {}
            }
            pieces.ids.push(id);
            pieces.ends.push(pieces.bytes.len());
        }
        pieces
    }

    /// The bytes of a token; none for special tokens and for ids without a token.
    pub(crate) fn get(&self, id: u32) -> &[u8] {
        let Ok(index) = self.ids.binary_search(&id) else { return &[] };
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// All ids, ascending.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }
}

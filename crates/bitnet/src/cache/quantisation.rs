//! Quantisation of the keys and values in a cache.

use super::codes::CodeLayout;
use crate::{Error, Result};

/// The number of channels that share a scale in an int4 cache.
const INT4_CHANNELS: usize = 32;

/// How a cache stores keys and values.
///
/// Numbers are first rounded to f16, because a deployed cache would hold f16. Then, within a group,
/// `code = round((x - min) / scale)` with `scale = (max - min) / (2^bits - 1)`, clamped to the range of
/// codes. A code is read back as `code * scale + min`. Scale and min are f16 and count towards the bytes. A
/// group of equal values has scale 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Quantisation {
    /// Floats, not quantised.
    #[default]
    None,
    /// 8 bits. A group is one token of a KV head. Tokens are quantised when they are appended.
    Int8,
    /// 4 bits. A group is 32 neighbouring channels (fewer at the end of a row) of one token. Tokens are
    /// quantised when they are appended.
    Int4,
    /// KIVI (arXiv 2402.02750). A group of keys is `group` tokens of one channel, a group of values is
    /// `group` channels of one token, and the newest tokens stay f16.
    ///
    /// A head of `len` tokens holds the newest `residual + (len - residual) % group` of them in f16, or all
    /// of them if there are fewer than `residual + group`. This is the same for keys and values; in the
    /// authors' code, the f16 part of the keys can become empty. The other tokens are quantised at the end of
    /// each forward pass; the pass sees its own tokens in f16. Eviction changes the groups from the first
    /// evicted token on: their tokens are read back and quantised again.
    Kivi {
        /// The bits of one code: 2, 4 or 8.
        bits: usize,
        /// The number of tokens or channels that share a scale.
        group: usize,
        /// At least this many of the newest tokens stay f16.
        residual: usize,
    },
}

impl Quantisation {
    /// Returns KIVI with groups of 32 and a residual of 128 tokens, as its authors use.
    pub const fn kivi(bits: usize) -> Self {
        Quantisation::Kivi { bits, group: 32, residual: 128 }
    }

    /// Checks the options of KIVI.
    ///
    /// # Errors
    /// Fails if `bits` is not 2, 4 or 8, or if `group` is 0.
    pub fn check(self) -> Result<()> {
        let Quantisation::Kivi { bits, group, .. } = self else { return Ok(()) };
        let invalid_option =
            |option, value: usize, reason| Err(Error::Option { option, value: value.to_string(), reason });
        match (bits, group) {
            (_, 0) => invalid_option("group", group, "but a group has at least 1 member"),
            (2 | 4 | 8, _) => Ok(()),
            _ => invalid_option("bits", bits, "but codes have 2, 4 or 8 bits"),
        }
    }

    /// Returns the bytes that the keys and values of `tokens` tokens of one KV head take, including scales,
    /// minima and tokens that stay f16.
    pub fn bytes(self, tokens: usize, head_dim: usize) -> usize {
        match self.layouts(head_dim) {
            None => tokens * head_dim * 2 * size_of::<half::f16>(),
            Some(layouts) => layouts.iter().map(|layout| layout.bytes(tokens, head_dim)).sum(),
        }
    }

    /// Returns the layout of the keys and the layout of the values; `None` if they are floats.
    pub(super) fn layouts(self, head_dim: usize) -> Option<[CodeLayout; 2]> {
        let by_token =
            |bits, channel_group| CodeLayout { bits, token_group: 1, channel_group, step: 1, residual: 0 };
        match self {
            Quantisation::None => None,
            Quantisation::Int8 => Some([by_token(8, head_dim); 2]),
            Quantisation::Int4 => Some([by_token(4, INT4_CHANNELS.min(head_dim)); 2]),
            Quantisation::Kivi { bits, group, residual } => {
                let values = CodeLayout { bits, token_group: 1, channel_group: group, step: group, residual };
                Some([CodeLayout { token_group: group, channel_group: 1, ..values }, values])
            }
        }
    }
}

impl std::fmt::Display for Quantisation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Quantisation::None => f.write_str("none"),
            Quantisation::Int8 => f.write_str("int8"),
            Quantisation::Int4 => f.write_str("int4"),
            Quantisation::Kivi { bits, group, residual } => {
                write!(f, "kivi(bits={bits},group={group},residual={residual})")
            }
        }
    }
}

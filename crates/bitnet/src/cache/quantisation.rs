//! How a cache may hold keys and values in fewer bits.

use super::codes::Layout;
use crate::{Error, Result};

/// Channels that share a scale in an int4 cache.
const INT4_CHANNELS: usize = 32;

/// How keys and values are held. Numbers are first rounded to f16, as a deployed cache would hold them; then, within
/// a group, `code = round((x - min) / scale)` with `scale = (max - min) / (2^bits - 1)`, clamped to the codes there are,
/// and read back as `code * scale + min`. Scale and min are f16 and counted in the bytes; a group of equal numbers
/// has scale 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Quantisation {
    /// Floats.
    #[default]
    None,
    /// 8 bits; a group is one token of a KV head. Tokens are quantised as they come.
    Int8,
    /// 4 bits; a group is 32 neighbouring channels (fewer at a row's end) of one token. Tokens are quantised as they come.
    Int4,
    /// KIVI (arXiv 2402.02750): keys in groups of `group` tokens of one channel, values in groups of `group` channels of
    /// one token, and the newest tokens in f16.
    ///
    /// Of a head's `len` tokens, the newest `residual + (len - residual) % group` are f16 (all while there are fewer than
    /// `residual + group`), for keys and values alike, while the authors' code lets the keys' part run empty; the rest
    /// is quantised behind each forward pass, which itself sees its own tokens in f16. Keeping a part of the tokens
    /// regroups those behind the first gap: they are read back and quantised again.
    Kivi {
        /// Bits of a code: 2, 4 or 8.
        bits: usize,
        /// Tokens or channels that share a scale.
        group: usize,
        /// Tokens that stay f16 at least.
        residual: usize,
    },
}

impl Quantisation {
    /// KIVI with the groups of 32 and the residual of 128 tokens that its authors use.
    pub const fn kivi(bits: usize) -> Self {
        Quantisation::Kivi { bits, group: 32, residual: 128 }
    }

    /// Whether the options make sense.
    ///
    /// # Errors
    /// When KIVI has other bits than 2, 4 and 8, or an empty group.
    pub fn check(self) -> Result<()> {
        let Quantisation::Kivi { bits, group, .. } = self else { return Ok(()) };
        let refuse =
            |option, value: usize, reason| Err(Error::Option { option, value: value.to_string(), reason });
        match (bits, group) {
            (_, 0) => refuse("group", group, "but a group has at least 1 member"),
            (2 | 4 | 8, _) => Ok(()),
            _ => refuse("bits", bits, "but codes have 2, 4 or 8 bits"),
        }
    }

    /// Bytes that the keys and values of one KV head take, scales and minima included, once `tokens` tokens are quantised.
    pub fn bytes(self, tokens: usize, head_dim: usize) -> usize {
        match self.layouts(head_dim) {
            None => tokens * head_dim * 2 * size_of::<half::f16>(),
            Some(layouts) => layouts.iter().map(|layout| layout.bytes(tokens, head_dim)).sum(),
        }
    }

    /// Of keys and of values; `None` for floats.
    pub(super) fn layouts(self, head_dim: usize) -> Option<[Layout; 2]> {
        let by_token =
            |bits, channel_group| Layout { bits, token_group: 1, channel_group, step: 1, residual: 0 };
        match self {
            Quantisation::None => None,
            Quantisation::Int8 => Some([by_token(8, head_dim); 2]),
            Quantisation::Int4 => Some([by_token(4, INT4_CHANNELS.min(head_dim)); 2]),
            Quantisation::Kivi { bits, group, residual } => {
                let values = Layout { bits, token_group: 1, channel_group: group, step: group, residual };
                Some([Layout { token_group: group, channel_group: 1, ..values }, values])
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

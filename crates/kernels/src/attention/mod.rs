//! Causal attention of one KV head and the query heads that share it.
//!
//! Scores exist for a block of 16 query rows at a time, never for a whole sequence. Statistics are
//! taken from each block of probabilities as it is made. Every result of a query row is computed in
//! an order that does not depend on the other rows, so prefill and token-by-token decoding agree bit
//! for bit; keys of probability 0 leave a result unchanged.

mod kernel;
mod packed;
mod statistics;

use half::{f16, slice::HalfFloatSliceExt};

pub use packed::Packed;
pub use statistics::{Rows, Statistics, Wanted};

use crate::{Level, lanes};

/// Keys or values in the type that a cache holds them in.
#[derive(Clone, Copy, Debug)]
pub enum Floats<'a> {
    /// IEEE half floats, as deployed caches hold.
    F16(&'a [f16]),
    /// 32-bit floats: nothing is rounded.
    F32(&'a [f32]),
    /// Codes of a few bits: decoded tile by tile, never as a whole.
    Packed(Packed<'a>),
}

impl Floats<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Floats::F16(values) => values.len(),
            Floats::F32(values) => values.len(),
            Floats::Packed(packed) => packed.rows() * packed.width,
        }
    }

    /// All values as f32.
    pub fn to_f32_vec(&self) -> Vec<f32> {
        match self {
            Floats::F16(values) => values.to_f32_vec(),
            Floats::F32(values) => values.to_vec(),
            Floats::Packed(packed) => {
                let mut out = vec![0.0; self.len()];
                out.chunks_exact_mut(packed.width).enumerate().for_each(|(i, row)| packed.row(i, row));
                out
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What attention reads.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Queries after RoPE, `[tokens, group, head_dim]`.
    pub queries: &'a [f32],
    /// Keys after RoPE, `[keys, head_dim]`, the new tokens' own keys last.
    pub keys: Floats<'a>,
    /// Values, `[keys, head_dim]`.
    pub values: Floats<'a>,
    /// Query heads that share this KV head.
    pub group: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Keys in front of the first query's own: query `i` sees keys `0 ..= offset + i`.
    pub offset: usize,
    /// Which keys may be seen at all, `[keys]`; `None` means all.
    pub mask: Option<&'a [bool]>,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
}

impl Input<'_> {
    /// Number of query tokens.
    pub fn tokens(&self) -> usize {
        self.queries.len() / (self.group * self.head_dim)
    }

    /// Number of keys that the last query sees.
    pub fn visible(&self) -> usize {
        self.offset + self.tokens()
    }

    fn check(&self, out: &[f32]) {
        let width = self.group * self.head_dim;
        assert!(
            width > 0 && self.queries.len().is_multiple_of(width),
            "queries are [tokens, group, head_dim]"
        );
        assert_eq!(out.len(), self.queries.len(), "the output has the shape of the queries");
        for packed in [self.keys, self.values] {
            if let Floats::Packed(packed) = packed {
                assert_eq!(packed.width, self.head_dim, "packed rows have the width of a head");
            }
        }
        let needed = self.visible() * self.head_dim;
        assert!(
            self.keys.len() >= needed && self.values.len() >= needed,
            "every visible key has a key and a value"
        );
        assert!(self.mask.is_none_or(|m| m.len() >= self.visible()), "the mask covers the visible keys");
    }
}

/// Attends: `out [tokens, group, head_dim]`. A query that sees nothing gives zeros.
///
/// # Panics
/// When a slice does not fit the shapes of `input`, or `statistics` were made for other shapes.
pub fn attend(input: &Input<'_>, out: &mut [f32], statistics: Option<&mut Statistics>) {
    attend_at(lanes::lanes_level(), input, out, statistics);
}

/// The level must be present, which the callers in this crate see to.
fn attend_at(level: Level, input: &Input<'_>, out: &mut [f32], statistics: Option<&mut Statistics>) {
    input.check(out);
    if let Some(s) = &statistics {
        assert!(s.fits(input.group, input.tokens(), input.visible()), "statistics are for these shapes");
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512(input: &Input<'_>, out: &mut [f32], statistics: Option<&mut Statistics>) {
            // SAFETY: this function has the features.
            unsafe { kernel::run::<lanes::Avx512>(input, out, statistics) }
        }
        #[target_feature(enable = "avx2,fma,f16c")]
        fn avx2(input: &Input<'_>, out: &mut [f32], statistics: Option<&mut Statistics>) {
            // SAFETY: this function has the features.
            unsafe { kernel::run::<lanes::Avx2>(input, out, statistics) }
        }
        // SAFETY: the level is present.
        match level {
            Level::Avx512 => return unsafe { avx512(input, out, statistics) },
            Level::Avx2 => return unsafe { avx2(input, out, statistics) },
            Level::Portable => {}
        }
    }
    let _ = level;
    // SAFETY: plain code.
    unsafe { kernel::run::<lanes::Portable>(input, out, statistics) }
}

#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod tests;

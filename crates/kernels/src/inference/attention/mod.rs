//! Causal attention of a KV head and the query heads that share it.
//!
//! Scores exist for a block of query rows at a time, never for a whole sequence; every tile of keys or values is
//! converted once for all rows of a block. Statistics are taken from each row of weights as it is made. Every result of
//! a query row is computed in an order that does not depend on the other rows, so prefill and token-by-token decoding
//! agree bit for bit; keys of probability 0 leave a result unchanged.

mod batch;
mod kernel;
mod packed;
mod product;
mod scratch;
mod softmax;
mod statistics;
mod tile;

use std::marker::PhantomData;

use half::{f16, slice::HalfFloatSliceExt};

pub use batch::{Batch, Cached, Sequence, attend_batch};
pub use packed::Packed;
pub use statistics::{Rows, Statistics, Wanted};

use crate::{Level, lanes};
use scratch::Scratch;

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

/// Attends: `out [tokens, group, head_dim]`. A query that sees nothing gives zeros. Runs on this thread alone.
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
    let Input { queries, keys, values, group, head_dim, offset, mask, scale } = *input;
    let (tokens, stride) = (input.tokens(), group * head_dim);
    let part = Part { queries, stride, tokens, keys, values, group, head_dim, offset, mask, scale };
    // SAFETY: `out` has the shape of the queries and is borrowed alone; the level is present.
    unsafe { run_at(level, &part, Output::new(out, stride), statistics) }
}

/// Some queries of one KV head's group, wherever they lie.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// `[tokens, stride]`, of which the first `group * head_dim` count.
    queries: &'a [f32],
    stride: usize,
    tokens: usize,
    keys: Floats<'a>,
    values: Floats<'a>,
    group: usize,
    head_dim: usize,
    offset: usize,
    mask: Option<&'a [bool]>,
    scale: f32,
}

impl Part<'_> {
    /// Keys that the last query sees.
    fn visible(&self) -> usize {
        self.offset + self.tokens
    }
}

/// Where a part's outputs go: rows of tokens, `stride` floats apart.
#[derive(Clone, Copy)]
struct Output<'a> {
    at: *mut f32,
    stride: usize,
    life: PhantomData<&'a mut [f32]>,
}

impl<'a> Output<'a> {
    fn new(out: &'a mut [f32], stride: usize) -> Self {
        Output { at: out.as_mut_ptr(), stride, life: PhantomData }
    }

    /// What begins `floats` further on, inside the slice.
    unsafe fn skip(&self, floats: usize) -> Self {
        // SAFETY: passed on.
        Output { at: unsafe { self.at.add(floats) }, ..*self }
    }

    /// Cells of one query head of a token.
    ///
    /// # Safety
    /// They must be inside the slice that `new` borrowed, and in nobody else's hands.
    unsafe fn row(&self, token: usize, head: usize, head_dim: usize) -> &'a mut [f32] {
        // SAFETY: passed on.
        unsafe {
            std::slice::from_raw_parts_mut(self.at.add(token * self.stride + head * head_dim), head_dim)
        }
    }
}

/// # Safety
/// The level must be present; the part's outputs must be valid and in nobody else's hands.
unsafe fn run_at(level: Level, part: &Part<'_>, out: Output<'_>, statistics: Option<&mut Statistics>) {
    scratch::with_scratch(|scratch| {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn avx512(p: &Part<'_>, o: Output<'_>, s: Option<&mut Statistics>, b: &mut Scratch) {
                // SAFETY: this function has the features; the rest is passed on.
                unsafe { kernel::run::<lanes::Avx512>(p, o, s, b) }
            }
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2(p: &Part<'_>, o: Output<'_>, s: Option<&mut Statistics>, b: &mut Scratch) {
                // SAFETY: this function has the features; the rest is passed on.
                unsafe { kernel::run::<lanes::Avx2>(p, o, s, b) }
            }
            // SAFETY: the level is present; the rest is passed on.
            match level {
                Level::Avx512 => return unsafe { avx512(part, out, statistics, scratch) },
                Level::Avx2 => return unsafe { avx2(part, out, statistics, scratch) },
                Level::Portable => {}
            }
        }
        let _ = level;
        // SAFETY: plain code; the rest is passed on.
        unsafe { kernel::run::<lanes::Portable>(part, out, statistics, scratch) }
    });
}

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod tests;

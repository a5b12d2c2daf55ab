//! The attention kernel: for each block of query rows, it computes scores, softmax weights and outputs.

use super::{
    HeadInput, Output, Statistics,
    product::{Product, strip_rows},
    scratch::Scratch,
    softmax::softmax,
    tile::CacheRows,
};
use crate::lanes::{LANES, Lanes, padded};

/// The largest number of scores in a block. Together with the tiles of the block they fit into a second-level
/// cache of 2 MiB.
const SCORES: usize = 1 << 18;
/// Bounds on the number of query rows of a block. With more rows, the conversion of a tile of keys takes a
/// smaller share of the time.
const ROWS: std::ops::RangeInclusive<usize> = 24..=192;

/// Number of keys in a tile. With 128 channels in f32, a tile fills two thirds of a first-level cache.
const KEYS: usize = 64;
/// Number of keys in a tile if a block has few rows. Writing such a tile takes about as long as reading it,
/// so it is small enough that the next one also fits the cache.
const KEYS_FOR_FEW_ROWS: usize = 32;
/// The largest number of query rows that counts as few.
const FEW_ROWS: usize = 8;

/// Returns the number of tokens in a block. Results do not depend on it.
fn block_tokens(input: &HeadInput<'_>) -> usize {
    let rows = (SCORES / input.visible()).clamp(*ROWS.start(), *ROWS.end());
    (rows / input.group).max(1)
}

/// Computes attention for all tokens of `input`, block by block.
///
/// # Safety
/// The machine must have the instructions of `L`; `out` must be valid for the rows of `input`, and no one
/// else may write them.
#[inline(always)]
pub(super) unsafe fn run<L: Lanes>(
    input: &HeadInput<'_>,
    out: Output<'_>,
    mut statistics: Option<&mut Statistics>,
    scratch: &mut Scratch,
) {
    let step = block_tokens(input);
    for first in (0..input.tokens).step_by(step) {
        let mut block = Block::new(input, first, step.min(input.tokens - first), scratch);
        // SAFETY: the caller upholds the contract.
        unsafe {
            block.compute_scores::<L>();
            block.compute_weights::<L>(statistics.as_deref_mut());
            block.sum_values::<L>();
            block.write(out);
        }
    }
}

/// The buffers for a block, which is the queries of a few tokens. Row `token * group + head` belongs to query
/// head `head` of token `token`.
struct Block<'a> {
    input: &'a HeadInput<'a>,
    /// Index of the first token.
    first: usize,
    /// Number of query rows.
    rows: usize,
    /// Padded number of floats in a row of queries, values or sums.
    width: usize,
    /// Distance between rows of scores, in floats. It is not a power of two: if it were, all rows would
    /// compete for the same few cache sets.
    stride: usize,
    /// Number of keys in a tile.
    keys: usize,
    /// Scaled queries, `[rows, width]`.
    queries: &'a mut [f32],
    /// A tile of keys, `[width, keys]`, or of values, `[keys, width]`.
    tile: &'a mut [f32],
    /// Keys as f32 before they are transposed into the tile, `[LANES, width]`.
    staging: &'a mut [f32],
    /// Scores, which become weights, `[rows, stride]`.
    scores: &'a mut [f32],
    /// Weighted sums of values, `[rows, width]`.
    sums: &'a mut [f32],
    /// The reciprocal of the sum of the weights of each row, `[rows]`.
    reciprocals: &'a mut [f32],
}

impl<'a> Block<'a> {
    fn new(input: &'a HeadInput<'a>, first: usize, tokens: usize, scratch: &'a mut Scratch) -> Self {
        let (rows, width) = (tokens * input.group, padded(input.head_dim));
        let stride = padded(input.visible()) + LANES;
        let keys = if rows > FEW_ROWS { KEYS } else { KEYS_FOR_FEW_ROWS };
        let queries = scratch.queries.floats(rows * width);
        for (row, to) in queries.chunks_exact_mut(width).enumerate() {
            let (token, head) = (first + row / input.group, row % input.group);
            let from = &input.queries[token * input.stride + head * input.head_dim..][..input.head_dim];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from * input.scale);
        }
        Block {
            input,
            first,
            rows,
            width,
            stride,
            keys,
            queries,
            tile: scratch.tile.floats(keys * width),
            staging: scratch.staging.floats(LANES * width),
            scores: scratch.scores.floats(rows * stride),
            sums: scratch.sums.floats(rows * width),
            reciprocals: scratch.reciprocals.floats(rows),
        }
    }

    /// Returns the number of keys that a row may see.
    #[inline(always)]
    fn visible(&self, row: usize) -> usize {
        self.input.offset + self.first + row / self.input.group + 1
    }

    /// Returns the number of keys that the last row may see.
    fn last(&self) -> usize {
        self.visible(self.rows - 1)
    }

    #[inline(always)]
    unsafe fn compute_scores<L: Lanes>(&mut self) {
        for from in (0..self.last()).step_by(self.keys) {
            let rows = CacheRows::new(self.input.keys, self.input, from, self.keys.min(self.last() - from));
            // SAFETY: the tile holds `keys` keys; rows and keys are inside the buffers, and each row of
            // scores has room for whole registers of keys.
            unsafe {
                rows.load_transposed::<L>(self.width, self.staging, self.keys, self.tile);
                self.strips::<L>(from, |block, row, keys| Product {
                    a: block.queries.as_ptr().add(row * block.width),
                    a_stride: block.width,
                    b: block.tile.as_ptr(),
                    b_stride: block.keys,
                    depth: block.input.head_dim,
                    out: block.scores.as_mut_ptr().add(row * block.stride + from),
                    out_stride: block.stride,
                    columns: padded(keys),
                    resume: false,
                });
            }
        }
    }

    /// Runs one product for each strip of rows that sees any key of the tile that starts at key `from`. The
    /// product is `product_of(self, first row, number of keys that it sees)`.
    #[inline(always)]
    unsafe fn strips<L: Lanes>(
        &mut self,
        from: usize,
        product_of: impl Fn(&mut Self, usize, usize) -> Product,
    ) {
        let mut row = 0;
        while row < self.rows {
            let rows = strip_rows::<L>(self.rows - row);
            let visible = self.visible(row + rows - 1);
            if visible > from {
                // SAFETY: the caller upholds the contract.
                unsafe { product_of(self, row, self.keys.min(visible - from)).run::<L>(rows) }
            }
            row += rows;
        }
    }

    /// Replaces scores by softmax weights; keys that a row may not see get weight 0. Also updates the
    /// statistics.
    #[inline(always)]
    unsafe fn compute_weights<L: Lanes>(&mut self, mut statistics: Option<&mut Statistics>) {
        let last = padded(self.last());
        let entropy = statistics.as_ref().is_some_and(|s| s.wants_entropy());
        for row in 0..self.rows {
            let visible = self.visible(row);
            let scores = &mut self.scores[row * self.stride..][..last];
            mask_scores(&mut scores[..padded(visible)], visible, self.input.mask);
            // SAFETY: `padded` gives whole registers; the caller guarantees the instructions.
            let normaliser = unsafe { softmax::<L>(&mut scores[..padded(visible)], entropy) };
            scores[padded(visible)..].fill(0.0);
            self.reciprocals[row] = normaliser.reciprocal;
            if let Some(statistics) = statistics.as_deref_mut() {
                let (token, head) = (self.first + row / self.input.group, row % self.input.group);
                // SAFETY: the caller upholds the contract.
                unsafe { statistics.add_row::<L>(head, token, &scores[..visible], normaliser) };
            }
        }
    }

    /// Computes the weighted sums of values, key by key. Keys with weight 0 do not change the sums.
    ///
    /// This is not a streaming softmax, which rescales its sums whenever it meets a larger score: its results
    /// would depend on which keys are present and on how they are divided into tiles.
    #[inline(always)]
    unsafe fn sum_values<L: Lanes>(&mut self) {
        for from in (0..self.last()).step_by(self.keys) {
            let rows = CacheRows::new(self.input.values, self.input, from, self.keys.min(self.last() - from));
            // SAFETY: as in `compute_scores`.
            unsafe {
                rows.load::<L>(self.width, self.tile);
                self.strips::<L>(from, |block, row, keys| Product {
                    a: block.scores.as_ptr().add(row * block.stride + from),
                    a_stride: block.stride,
                    b: block.tile.as_ptr(),
                    b_stride: block.width,
                    depth: keys,
                    out: block.sums.as_mut_ptr().add(row * block.width),
                    out_stride: block.width,
                    columns: block.width,
                    resume: from > 0,
                });
            }
        }
    }

    /// Normalises the sums of values and writes them to `out`.
    unsafe fn write(&self, out: Output<'_>) {
        let (group, head_dim) = (self.input.group, self.input.head_dim);
        for (row, sums) in self.sums.chunks_exact(self.width).enumerate() {
            // SAFETY: the caller upholds the contract.
            let to = unsafe { out.row(self.first + row / group, row % group, head_dim) };
            let reciprocal = self.reciprocals[row];
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum * reciprocal);
        }
    }
}

/// Sets the scores of keys that a row may not see to minus infinity.
fn mask_scores(scores: &mut [f32], visible: usize, mask: Option<&[bool]>) {
    scores[visible..].fill(f32::NEG_INFINITY);
    if let Some(mask) = mask {
        for (score, seen) in scores[..visible].iter_mut().zip(mask) {
            if !seen {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

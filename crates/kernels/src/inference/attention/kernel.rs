//! One block of query rows after another: scores, weights, outputs.

use super::{
    Output, Part, Statistics,
    product::{Product, strip},
    scratch::Scratch,
    softmax::softmax,
    tile::Rows,
};
use crate::lanes::{LANES, Lanes, padded};

/// Scores that a block may hold: with its tiles they stay in a second-level cache of 2 MiB.
const SCORES: usize = 1 << 18;
/// Query rows of a block. The more there are, the less the conversion of a tile of keys matters.
const ROWS: std::ops::RangeInclusive<usize> = 24..=192;

/// Keys of a tile: 128 wide as f32 they fill two thirds of a first-level cache.
const KEYS: usize = 64;
/// Keys of a tile that few rows use: it is made and read at about the same pace, and leaves room for the next.
const KEYS_OF_FEW: usize = 32;
const FEW: usize = 8;

/// Tokens whose queries are taken together. Results do not depend on it.
fn block_tokens(part: &Part<'_>) -> usize {
    let rows = (SCORES / part.visible()).clamp(*ROWS.start(), *ROWS.end());
    (rows / part.group).max(1)
}

/// # Safety
/// The instructions of `L` must be present, and `out` valid for the part's rows and written by nobody else.
#[inline(always)]
pub(super) unsafe fn run<L: Lanes>(
    part: &Part<'_>,
    out: Output<'_>,
    mut statistics: Option<&mut Statistics>,
    scratch: &mut Scratch,
) {
    let step = block_tokens(part);
    for first in (0..part.tokens).step_by(step) {
        let mut block = Block::new(part, first, step.min(part.tokens - first), scratch);
        // SAFETY: passed on.
        unsafe {
            block.score::<L>();
            block.weigh::<L>(statistics.as_deref_mut());
            block.sum_values::<L>();
            block.write(out);
        }
    }
}

/// The queries of a few tokens: row `token * group + head`.
struct Block<'a> {
    part: &'a Part<'a>,
    first: usize,
    rows: usize,
    /// Floats of a row of queries, values or sums.
    width: usize,
    /// Floats of a row of scores. Not a power of two, whose multiples would share a few lines of the cache.
    stride: usize,
    /// Keys of a tile.
    keys: usize,
    /// Scaled, `[rows, width]`.
    queries: &'a mut [f32],
    /// Keys, `[width, keys]`, or values, `[keys, width]`.
    tile: &'a mut [f32],
    /// Keys on their way into the tile, `[LANES, width]`.
    staging: &'a mut [f32],
    /// Scores, then weights, `[rows, stride]`.
    scores: &'a mut [f32],
    /// Weighted sums of values, `[rows, width]`.
    sums: &'a mut [f32],
    /// One over the sum of weights, `[rows]`.
    reciprocals: &'a mut [f32],
}

impl<'a> Block<'a> {
    fn new(part: &'a Part<'a>, first: usize, tokens: usize, scratch: &'a mut Scratch) -> Self {
        let (rows, width) = (tokens * part.group, padded(part.head_dim));
        let stride = padded(part.visible()) + LANES;
        let keys = if rows > FEW { KEYS } else { KEYS_OF_FEW };
        let queries = scratch.queries.floats(rows * width);
        for (row, to) in queries.chunks_exact_mut(width).enumerate() {
            let (token, head) = (first + row / part.group, row % part.group);
            let from = &part.queries[token * part.stride + head * part.head_dim..][..part.head_dim];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from * part.scale);
        }
        Block {
            part,
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

    /// Keys that a row may see.
    #[inline(always)]
    fn visible(&self, row: usize) -> usize {
        self.part.offset + self.first + row / self.part.group + 1
    }

    /// Keys that the last row may see.
    fn last(&self) -> usize {
        self.visible(self.rows - 1)
    }

    #[inline(always)]
    unsafe fn score<L: Lanes>(&mut self) {
        for from in (0..self.last()).step_by(self.keys) {
            let rows = Rows::new(self.part.keys, self.part, from, self.keys.min(self.last() - from));
            // SAFETY: the tile holds `keys` keys; rows and keys are inside the buffers, and scores have room for whole
            // registers of keys.
            unsafe {
                rows.turn::<L>(self.width, self.staging, self.keys, self.tile);
                self.strips::<L>(from, |block, row, keys| Product {
                    a: block.queries.as_ptr().add(row * block.width),
                    a_stride: block.width,
                    b: block.tile.as_ptr(),
                    b_stride: block.keys,
                    depth: block.part.head_dim,
                    out: block.scores.as_mut_ptr().add(row * block.stride + from),
                    out_stride: block.stride,
                    columns: padded(keys),
                    resume: false,
                });
            }
        }
    }

    /// A product for each strip of rows that sees any key of the tile `from`: `of(self, first row, keys it sees)`.
    #[inline(always)]
    unsafe fn strips<L: Lanes>(&mut self, from: usize, of: impl Fn(&mut Self, usize, usize) -> Product) {
        let mut row = 0;
        while row < self.rows {
            let rows = strip::<L>(self.rows - row);
            let visible = self.visible(row + rows - 1);
            if visible > from {
                // SAFETY: passed on.
                unsafe { of(self, row, self.keys.min(visible - from)).run::<L>(rows) }
            }
            row += rows;
        }
    }

    /// Scores become weights; hidden keys weigh nothing.
    #[inline(always)]
    unsafe fn weigh<L: Lanes>(&mut self, mut statistics: Option<&mut Statistics>) {
        let last = padded(self.last());
        let entropy = statistics.as_ref().is_some_and(|s| s.wants_entropy());
        for row in 0..self.rows {
            let visible = self.visible(row);
            let scores = &mut self.scores[row * self.stride..][..last];
            hide(&mut scores[..padded(visible)], visible, self.part.mask);
            // SAFETY: whole registers.
            let of_row = unsafe { softmax::<L>(&mut scores[..padded(visible)], entropy) };
            scores[padded(visible)..].fill(0.0);
            self.reciprocals[row] = of_row.reciprocal;
            if let Some(statistics) = statistics.as_deref_mut() {
                let (token, head) = (self.first + row / self.part.group, row % self.part.group);
                // SAFETY: passed on.
                unsafe { statistics.see_row::<L>(head, token, &scores[..visible], of_row) };
            }
        }
    }

    /// Values weighted and summed, key after key: keys of weight zero leave the sums as they are. Sums that are
    /// scaled again whenever a larger score comes, as streaming forms of softmax have them, would depend on which keys
    /// are there, and on how they are divided into tiles.
    #[inline(always)]
    unsafe fn sum_values<L: Lanes>(&mut self) {
        for from in (0..self.last()).step_by(self.keys) {
            let rows = Rows::new(self.part.values, self.part, from, self.keys.min(self.last() - from));
            // SAFETY: as in `score`.
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

    unsafe fn write(&self, out: Output<'_>) {
        let (group, head_dim) = (self.part.group, self.part.head_dim);
        for (row, sums) in self.sums.chunks_exact(self.width).enumerate() {
            // SAFETY: passed on.
            let to = unsafe { out.row(self.first + row / group, row % group, head_dim) };
            let reciprocal = self.reciprocals[row];
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum * reciprocal);
        }
    }
}

/// Scores of keys that a row may not see become minus infinity.
fn hide(scores: &mut [f32], visible: usize, mask: Option<&[bool]>) {
    scores[visible..].fill(f32::NEG_INFINITY);
    if let Some(mask) = mask {
        for (score, seen) in scores[..visible].iter_mut().zip(mask) {
            if !seen {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

//! The products with the dot products of AVX-512 BF16.
//!
//! A dot product adds two products to a lane. A result is one chain of them over the columns, whichever
//! operand has a result in each lane. So it does not depend on the number of tokens.

use std::arch::x86_64::*;

use half::bf16;

use super::{DEPTH, SIDE, Task, write_sums};
use crate::transpose::transpose_registers;

/// Number of rows in a task.
pub(super) const TASK_ROWS: usize = 4 * TILE_ROWS;
/// Number of rows in a register tile. With two groups of tokens there are 24 sums in 32 registers.
const TILE_ROWS: usize = 12;
/// With at most this many tokens, the lanes of a register are rows of weights instead of tokens, because most
/// lanes would be empty.
const FEW_TOKENS: usize = 4;

/// The sums of the rows of a task, for a group of tokens.
type Sums = [[f32; SIDE]; TASK_ROWS];

impl<const PARTS: usize> Task<'_, PARTS> {
    /// Multiplies all tokens by the rows of the task.
    ///
    /// # Safety
    /// The machine must have AVX-512 F and BF16, the activations must have one part, and no one else may
    /// write these rows of the output.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply_by_dots(&self) {
        // SAFETY: the caller upholds the contract, and the constants are the number of tokens.
        unsafe {
            match self.packed.tokens {
                1 => self.multiply_few::<1>(),
                2 => self.multiply_few::<2>(),
                3 => self.multiply_few::<3>(),
                FEW_TOKENS => self.multiply_few::<FEW_TOKENS>(),
                _ => self.multiply_many(),
            }
        }
    }

    /// Multiplies `T` tokens, which are all. The lanes of a register are 16 rows of weights.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Task::multiply_by_dots`].
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn multiply_few<const T: usize>(&self) {
        let (count, words) = (self.range.len(), self.packed.group(0).as_ptr().cast::<i32>());
        for row in (0..count).step_by(SIDE) {
            let lanes = SIDE.min(count - row);
            // SAFETY: the rows are inside the operand: missing ones repeat the last, and their sums are not
            // used. The words are those of `T` tokens.
            unsafe {
                let left = self.rows.as_ptr().add(row * self.stride);
                let mut sums = [_mm512_setzero_ps(); T];
                for step in 0..self.packed.steps {
                    let mut pairs = [_mm512_setzero_si512(); SIDE];
                    for (r, pair) in pairs.iter_mut().enumerate() {
                        let at = left.add(r.min(lanes - 1) * self.stride + step * DEPTH);
                        *pair = _mm512_loadu_si512(at.cast());
                    }
                    transpose_registers(&mut pairs);
                    for (k, pair) in pairs.iter().enumerate() {
                        for (t, sum) in sums.iter_mut().enumerate() {
                            let x = _mm512_set1_epi32(*words.add((step * SIDE + k) * T + t));
                            *sum = _mm512_dpbf16_ps(*sum, halves(*pair), halves(x));
                        }
                    }
                }
                for (t, sum) in sums.iter().enumerate() {
                    let mut results = [0.0; SIDE];
                    _mm512_storeu_ps(results.as_mut_ptr(), *sum);
                    self.out.row(t, self.range.start + row, lanes).copy_from_slice(&results[..lanes]);
                }
            }
        }
    }

    /// Multiplies any number of tokens, two groups of 16 at a time. The lanes of a register are tokens.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Task::multiply_by_dots`].
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn multiply_many(&self) {
        let (tokens, mut first) = (self.packed.tokens, 0);
        let mut sums = [[[0.0; SIDE]; TASK_ROWS]; 2];
        while first < tokens {
            let groups = if first + 2 * SIDE <= tokens { 2 } else { 1 };
            // SAFETY: the groups exist; the caller guarantees the rest.
            unsafe {
                match groups {
                    2 => self.sum_rows::<2>(first, &mut sums),
                    _ => self.sum_rows::<1>(first, &mut sums),
                }
                for sums in &mut sums[..groups] {
                    let tokens = SIDE.min(tokens - first);
                    write_sums(&mut sums[..self.range.len()], self.range.start, first, tokens, self.out);
                    first += SIDE;
                }
            }
        }
    }

    /// Computes the sums of all rows for `G` groups of tokens. The first group starts at token `first`. If
    /// there are two groups, both have 16 tokens.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Task::multiply_by_dots`], and the groups must exist.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn sum_rows<const G: usize>(&self, first: usize, sums: &mut [Sums; 2]) {
        let (count, mut row) = (self.range.len(), 0);
        while row < count {
            // SAFETY: the caller upholds the contract, and the rows exist.
            row += unsafe {
                match count - row {
                    TILE_ROWS.. => self.sum_tile::<G, TILE_ROWS>(first, row, sums),
                    4.. => self.sum_tile::<G, 4>(first, row, sums),
                    _ => self.sum_tile::<G, 1>(first, row, sums),
                }
            };
        }
    }

    /// Computes the sums of `R` rows from `row` on, for `G` groups of tokens. Sums after the last token are
    /// unspecified. Returns `R`.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Task::sum_rows`], and the rows must exist.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn sum_tile<const G: usize, const R: usize>(
        &self,
        first: usize,
        row: usize,
        to: &mut [Sums; 2],
    ) -> usize {
        let pairs = self.packed.steps * SIDE;
        let width = SIDE.min(self.packed.tokens - first);
        let right = self.packed.group(first);
        assert!(right.len() >= (G - 1) * pairs * SIDE + pairs * width + SIDE - width);
        // SAFETY: a register of fewer than 16 tokens reads words after its own, which exist. The rows are
        // inside the operand.
        unsafe {
            let left: *const bf16 = self.rows.as_ptr().add(row * self.stride);
            let mut sums = [[_mm512_setzero_ps(); G]; R];
            for k in 0..pairs {
                let mut x = [_mm512_setzero_si512(); G];
                for (g, x) in x.iter_mut().enumerate() {
                    *x = _mm512_loadu_si512(right.as_ptr().add(g * pairs * SIDE + k * width).cast());
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let pair: i32 = left.add(r * self.stride + 2 * k).cast::<i32>().read_unaligned();
                    let pair = halves(_mm512_set1_epi32(pair));
                    for (sum, x) in sums.iter_mut().zip(&x) {
                        *sum = _mm512_dpbf16_ps(*sum, pair, halves(*x));
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (g, sum) in sums.iter().enumerate() {
                    _mm512_storeu_ps(to[g][row + r].as_mut_ptr(), *sum);
                }
            }
        }
        R
    }
}

/// Reinterprets 512 bits as 32 bf16 values.
#[target_feature(enable = "avx512f,avx512bf16")]
fn halves(bits: __m512i) -> __m512bh {
    // SAFETY: both types are 64 plain bytes.
    unsafe { std::mem::transmute(bits) }
}

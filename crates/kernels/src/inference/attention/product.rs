//! Multiplies a few rows by a tile. Queries times transposed keys give scores, and weights times values give
//! outputs.

use crate::lanes::{LANES, Lanes};

/// The operands of `out [rows, columns] = a [rows, depth] * b [depth, columns]`. Strides are the distances
/// between rows, in floats.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) a: *const f32,
    pub(super) a_stride: usize,
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    pub(super) depth: usize,
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// Number of columns, a multiple of 16.
    pub(super) columns: usize,
    /// Whether to add the product to the values in `out`.
    pub(super) resume: bool,
}

/// Returns the number of rows in the next strip if `left` rows remain.
#[inline(always)]
pub(super) fn strip_rows<L: Lanes>(left: usize) -> usize {
    match left {
        6.. if L::TILE[0] >= 6 => 6,
        4.. if L::TILE[0] >= 4 => 4,
        2.. => 2,
        _ => 1,
    }
}

impl Product {
    /// Computes the product for `rows` rows, a number that [`strip_rows`] returned.
    ///
    /// Each result is one chain of fused multiply-adds over the depth, for any number of rows and columns. So
    /// a result does not depend on the other rows and columns.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`, and the operands must be valid.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self, rows: usize) {
        // SAFETY: the caller upholds the contract.
        unsafe {
            match rows {
                6 if L::TILE[0] >= 6 => self.across::<L, 6>(),
                4 if L::TILE[0] >= 4 => self.across::<L, 4>(),
                2 => self.across::<L, 2>(),
                _ => self.across::<L, 1>(),
            }
        }
    }

    /// Computes all columns of `R` rows, in tiles as wide as the registers allow.
    #[inline(always)]
    unsafe fn across<L: Lanes, const R: usize>(self) {
        let mut column = 0;
        // SAFETY: every tile consists of whole registers inside the columns.
        unsafe {
            while L::TILE[1] >= 4 && column + 4 * LANES <= self.columns {
                self.tile::<L, R, 4>(column);
                column += 4 * LANES;
            }
            while L::TILE[1] >= 2 && column + 2 * LANES <= self.columns {
                self.tile::<L, R, 2>(column);
                column += 2 * LANES;
            }
            while column < self.columns {
                self.tile::<L, R, 1>(column);
                column += LANES;
            }
        }
    }

    /// Computes `R` rows of `C` registers, starting at `column`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const C: usize>(self, column: usize) {
        // SAFETY: the rows and registers are inside the operands. This code does not use `from_fn` or `map`
        // on registers. They are not compiled for the wide instructions, so a register that they return
        // passes through memory.
        unsafe {
            let (b, out) = (self.b.add(column), self.out.add(column));
            let mut sums = [[L::splat(0.0); C]; R];
            if self.resume {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = L::load(out.add(r * self.out_stride + c * LANES));
                    }
                }
            }
            for k in 0..self.depth {
                let mut b_registers = [L::splat(0.0); C];
                for (c, register) in b_registers.iter_mut().enumerate() {
                    *register = L::load(b.add(k * self.b_stride + c * LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = L::splat(*self.a.add(r * self.a_stride + k));
                    for (sum, b) in sums.iter_mut().zip(&b_registers) {
                        *sum = sum.fma(a, *b);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (c, sum) in sums.iter().enumerate() {
                    sum.store(out.add(r * self.out_stride + c * LANES));
                }
            }
        }
    }
}

//! The product of a few rows with a tile: scores from queries and turned keys, outputs from weights and values.

use crate::lanes::{LANES, Lanes};

/// `out [rows, columns] (+)= a [rows, depth] * b [depth, columns]`; strides are floats from one row to the next.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) a: *const f32,
    pub(super) a_stride: usize,
    pub(super) b: *const f32,
    pub(super) b_stride: usize,
    pub(super) depth: usize,
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// A multiple of 16.
    pub(super) columns: usize,
    /// Goes on with what `out` holds instead of beginning at zero.
    pub(super) resume: bool,
}

/// How many of `left` rows to take together.
#[inline(always)]
pub(super) fn strip<L: Lanes>(left: usize) -> usize {
    match left {
        6.. if L::TILE[0] >= 6 => 6,
        4.. if L::TILE[0] >= 4 => 4,
        2.. => 2,
        _ => 1,
    }
}

impl Product {
    /// `rows` is what [`strip`] said. Each result is one chain of fused multiply-adds over the depth, whatever the
    /// number of rows and columns, so that it does not depend on its neighbours.
    ///
    /// # Safety
    /// The instructions of `L` must be present and the operands valid.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self, rows: usize) {
        // SAFETY: passed on.
        unsafe {
            match rows {
                6 if L::TILE[0] >= 6 => self.across::<L, 6>(),
                4 if L::TILE[0] >= 4 => self.across::<L, 4>(),
                2 => self.across::<L, 2>(),
                _ => self.across::<L, 1>(),
            }
        }
    }

    #[inline(always)]
    unsafe fn across<L: Lanes, const R: usize>(self) {
        let mut column = 0;
        // SAFETY: whole registers inside the columns.
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

    /// `R` rows and `C` registers from `column` on.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const C: usize>(self, column: usize) {
        // SAFETY: the rows and registers are inside the operands. No `from_fn` or `map` on registers: they are not
        // compiled for the wide instructions, and a register that passes through them goes by way of memory.
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
                let mut of_b = [L::splat(0.0); C];
                for (c, b_c) in of_b.iter_mut().enumerate() {
                    *b_c = L::load(b.add(k * self.b_stride + c * LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = L::splat(*self.a.add(r * self.a_stride + k));
                    for (sum, b) in sums.iter_mut().zip(&of_b) {
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

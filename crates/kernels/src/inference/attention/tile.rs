//! Converts cached keys and values into tiles of f32.

use half::f16;

use super::{Floats, HeadInput};
use crate::{
    dense::convert,
    lanes::{LANES, Lanes},
};

/// `count` rows of a cache, starting at row `from`.
#[derive(Clone, Copy)]
pub(super) struct CacheRows<'a> {
    pub(super) floats: Floats<'a>,
    pub(super) head_dim: usize,
    pub(super) from: usize,
    pub(super) count: usize,
}

impl<'a> CacheRows<'a> {
    pub(super) fn new(floats: Floats<'a>, input: &HeadInput<'a>, from: usize, count: usize) -> Self {
        CacheRows { floats, head_dim: input.head_dim, from, count }
    }

    /// Returns `count` of these rows, starting at the one with index `first`.
    fn slice(self, first: usize, count: usize) -> Self {
        CacheRows { from: self.from + first, count, ..self }
    }

    /// Writes the rows to `tile` as f32, `width` floats apart. The padding at the end of each row is not
    /// written.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn load<L: Lanes>(self, width: usize, tile: &mut [f32]) {
        for (i, to) in tile.chunks_exact_mut(width).take(self.count).enumerate() {
            let row = self.from + i;
            let range = row * self.head_dim..(row + 1) * self.head_dim;
            match self.floats {
                // SAFETY: the caller upholds the contract.
                Floats::F16(halves) => unsafe {
                    convert(to, &halves[range], |at| L::load_f16(at), f16::to_f32)
                },
                Floats::F32(floats) => to[..self.head_dim].copy_from_slice(&floats[range]),
                // SAFETY: the caller upholds the contract.
                Floats::Packed(packed) => unsafe { packed.load::<L>(row, to) },
            }
        }
    }

    /// Writes the rows as columns of an f32 matrix `[width, stride]`. It writes whole registers of 16
    /// columns, so the columns after the last row get unspecified values. `staging` is a buffer of 16 rows of
    /// `width` floats.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn load_transposed<L: Lanes>(
        self,
        width: usize,
        staging: &mut [f32],
        stride: usize,
        columns: &mut [f32],
    ) {
        assert!(self.count <= stride && staging.len() >= LANES * width && columns.len() >= stride * width);
        for first in (0..self.count).step_by(LANES) {
            let rows = self.slice(first, LANES.min(self.count - first));
            let whole = rows.count == LANES && width == self.head_dim;
            // SAFETY: the rows are inside the cache or inside `staging`, the columns inside `columns`.
            unsafe {
                let to = columns.as_mut_ptr().add(first);
                match self.floats {
                    Floats::F16(halves) if whole => {
                        let halves = &halves[rows.from * width..][..LANES * width];
                        transpose_squares::<L>(width, |at| L::load_f16(halves.as_ptr().add(at)), stride, to);
                    }
                    Floats::F32(floats) if whole => {
                        let floats = &floats[rows.from * width..][..LANES * width];
                        transpose_squares::<L>(width, |at| L::load(floats.as_ptr().add(at)), stride, to);
                    }
                    _ => {
                        rows.load::<L>(width, staging);
                        transpose_squares::<L>(width, |at| L::load(staging.as_ptr().add(at)), stride, to);
                    }
                }
            }
        }
    }
}

/// Transposes 16 rows of `width` in squares of 16 x 16. `load` returns the 16 values at an offset in
/// `[16, width]`.
#[inline(always)]
unsafe fn transpose_squares<L: Lanes>(width: usize, load: impl Fn(usize) -> L, stride: usize, to: *mut f32) {
    for channel in (0..width).step_by(LANES) {
        // SAFETY: the caller upholds the contract.
        unsafe {
            let mut rows = [L::splat(0.0); LANES];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = load(i * width + channel);
            }
            for (i, column) in L::transpose(rows).iter().enumerate() {
                column.store(to.add((channel + i) * stride));
            }
        }
    }
}

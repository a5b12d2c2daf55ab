//! Keys and values on their way from a cache into tiles of f32.

use half::f16;

use super::{Floats, Part};
use crate::{
    dense::convert,
    lanes::{LANES, Lanes},
};

/// Some rows of a cache.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) floats: Floats<'a>,
    pub(super) head_dim: usize,
    pub(super) from: usize,
    pub(super) count: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(floats: Floats<'a>, part: &Part<'a>, from: usize, count: usize) -> Self {
        Rows { floats, head_dim: part.head_dim, from, count }
    }

    fn part(self, first: usize, count: usize) -> Self {
        Rows { from: self.from + first, count, ..self }
    }

    /// Converts the rows to f32 rows of `width`; what is behind a row's end stays as it is.
    ///
    /// # Safety
    /// The instructions of `L` must be present.
    #[inline(always)]
    pub(super) unsafe fn load<L: Lanes>(self, width: usize, tile: &mut [f32]) {
        for (i, to) in tile.chunks_exact_mut(width).take(self.count).enumerate() {
            let row = self.from + i;
            let range = row * self.head_dim..(row + 1) * self.head_dim;
            match self.floats {
                // SAFETY: passed on.
                Floats::F16(halves) => unsafe {
                    convert(to, &halves[range], |at| L::load_f16(at), f16::to_f32)
                },
                Floats::F32(floats) => to[..self.head_dim].copy_from_slice(&floats[range]),
                // SAFETY: passed on.
                Floats::Packed(packed) => unsafe { packed.load::<L>(row, to) },
            }
        }
    }

    /// Converts the rows to f32 columns: `[width, stride]`, whole registers of rows, those behind the last of any
    /// value. `staging` holds 16 rows of `width`.
    ///
    /// # Safety
    /// The instructions of `L` must be present.
    #[inline(always)]
    pub(super) unsafe fn turn<L: Lanes>(
        self,
        width: usize,
        staging: &mut [f32],
        stride: usize,
        columns: &mut [f32],
    ) {
        assert!(self.count <= stride && staging.len() >= LANES * width && columns.len() >= stride * width);
        for first in (0..self.count).step_by(LANES) {
            let rows = self.part(first, LANES.min(self.count - first));
            let whole = rows.count == LANES && width == self.head_dim;
            // SAFETY: the rows are inside the cache or the staging, the columns inside theirs.
            unsafe {
                let to = columns.as_mut_ptr().add(first);
                match self.floats {
                    Floats::F16(halves) if whole => {
                        let halves = &halves[rows.from * width..][..LANES * width];
                        squares::<L>(width, |at| L::load_f16(halves.as_ptr().add(at)), stride, to);
                    }
                    Floats::F32(floats) if whole => {
                        let floats = &floats[rows.from * width..][..LANES * width];
                        squares::<L>(width, |at| L::load(floats.as_ptr().add(at)), stride, to);
                    }
                    _ => {
                        rows.load::<L>(width, staging);
                        squares::<L>(width, |at| L::load(staging.as_ptr().add(at)), stride, to);
                    }
                }
            }
        }
    }
}

/// Turns 16 rows of `width` square by square; `load` gives 16 values from a place in `[16, width]` on.
#[inline(always)]
unsafe fn squares<L: Lanes>(width: usize, load: impl Fn(usize) -> L, stride: usize, to: *mut f32) {
    for channel in (0..width).step_by(LANES) {
        // SAFETY: passed on.
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

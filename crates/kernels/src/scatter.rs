//! An output matrix that several threads write. Each writes different cells.

use std::marker::PhantomData;

/// An output `[tokens, rows]` whose columns are written by different threads.
///
/// Each thread writes a range of rows for all tokens. These cells are not contiguous, so the output cannot be
/// split into one slice per thread.
#[derive(Clone, Copy)]
pub(crate) struct Scatter<'a, T> {
    at: *mut T,
    tokens: usize,
    rows: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: `put` is the only access and its callers promise that no cell is written twice.
unsafe impl<T: Send> Send for Scatter<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Scatter<'_, T> {}

impl<'a, T: Copy> Scatter<'a, T> {
    pub(crate) fn new(out: &'a mut [T], tokens: usize, rows: usize) -> Self {
        assert_eq!(out.len(), tokens * rows, "the output holds [tokens, rows]");
        Scatter { at: out.as_mut_ptr(), tokens, rows, life: PhantomData }
    }

    /// Returns the part of the output that begins at row `first`.
    ///
    /// # Safety
    /// The row must exist.
    pub(crate) unsafe fn starting_at(self, first: usize) -> Self {
        debug_assert!(first < self.rows);
        // SAFETY: the caller guarantees that the row is inside the output.
        Scatter { at: unsafe { self.at.add(first) }, ..self }
    }

    /// Writes one cell.
    ///
    /// # Safety
    /// No other thread may write the same cell.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, token: usize, row: usize, value: T) {
        debug_assert!(token < self.tokens && row < self.rows);
        // SAFETY: the cell is inside the slice that `new` borrowed, and only this thread writes it.
        unsafe { self.at.add(token * self.rows + row).write(value) }
    }

    /// Returns the cells of `count` rows of a token, starting at row `first`.
    ///
    /// # Safety
    /// No other thread may use the same cells, and this thread no other slice of them at the same time.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the callers promise disjoint slices")]
    pub(crate) unsafe fn row(&self, token: usize, first: usize, count: usize) -> &mut [T] {
        debug_assert!(token < self.tokens && first + count <= self.rows);
        // SAFETY: the cells are inside the slice that `new` borrowed, and only this thread uses them.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(token * self.rows + first), count) }
    }
}

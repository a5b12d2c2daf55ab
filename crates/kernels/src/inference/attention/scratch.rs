//! Buffers that each thread keeps between calls, so that no call allocates or clears them.

use std::cell::RefCell;

use crate::aligned::Aligned;

/// Floats that are aligned to cache lines, so that no register of a tile crosses a line.
#[derive(Default)]
pub(super) struct Buffer(Aligned);

impl Buffer {
    /// Returns `count` floats. Their values are left over from earlier uses.
    pub(super) fn floats(&mut self, count: usize) -> &mut [f32] {
        self.0.reserve(count * size_of::<f32>());
        // SAFETY: the buffer holds `count` floats, its address is a multiple of 64, and any bytes are valid
        // floats.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}

/// The buffers for a block of query rows.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) queries: Buffer,
    pub(super) tile: Buffer,
    pub(super) staging: Buffer,
    pub(super) scores: Buffer,
    pub(super) sums: Buffer,
    pub(super) reciprocals: Buffer,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Calls `work` with the buffers of this thread. `work` must not call this function.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(work)
}

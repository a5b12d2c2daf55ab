//! Buffers that a thread keeps from one call to the next, so that no call allocates or clears them.

use std::cell::RefCell;

use crate::aligned::Aligned;

/// Aligned floats, so that no register of a tile crosses two lines of the cache.
#[derive(Default)]
pub(super) struct Buffer(Aligned);

impl Buffer {
    /// So many of them; what they hold is left from earlier use.
    pub(super) fn floats(&mut self, count: usize) -> &mut [f32] {
        self.0.reserve(count * size_of::<f32>());
        // SAFETY: there are so many bytes, at a multiple of 64, and any bytes are floats.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}

/// What a block of query rows needs.
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

/// Lends the thread's buffers; `work` must not ask for them again.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(work)
}

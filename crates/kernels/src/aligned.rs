//! Byte buffers that are aligned to cache lines.

use std::{
    alloc::{Layout, alloc_zeroed, handle_alloc_error},
    ops::{Deref, DerefMut},
    slice,
};

/// Size in bytes of a cache line, of a 512-bit register and of a row of an AMX tile.
pub(crate) const LINE: usize = 64;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Bytes whose address is a multiple of 64, so that an aligned load of 64 bytes never crosses a cache line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// Returns `len` zeros. Pages that are never accessed take no memory.
    pub(crate) fn zeroed(len: usize) -> Aligned {
        let count = len.div_ceil(LINE);
        if count == 0 {
            return Aligned::default();
        }
        let layout = Layout::array::<Line>(count).expect("fewer bytes than an address space has");
        // SAFETY: the layout is not empty; zeros are a valid `Line`; `Vec` frees with the same layout.
        let lines = unsafe {
            let at = alloc_zeroed(layout).cast::<Line>();
            if at.is_null() {
                handle_alloc_error(layout);
            }
            Vec::from_raw_parts(at, count, count)
        };
        Aligned { lines, len }
    }

    /// Resizes the buffer to `len` bytes of unspecified value.
    pub(crate) fn reserve(&mut self, len: usize) {
        if self.lines.len() * LINE < len {
            *self = Aligned::zeroed(len);
        }
        self.len = len;
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the lines hold at least `len` bytes, without gaps between them.
        unsafe { slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; any byte is valid.
        unsafe { slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl PartialEq for Aligned {
    fn eq(&self, other: &Aligned) -> bool {
        **self == **other
    }
}

impl Eq for Aligned {}

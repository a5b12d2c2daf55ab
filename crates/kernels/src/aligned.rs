//! Bytes that begin on a cache line.

use std::{
    alloc::{Layout, alloc_zeroed, handle_alloc_error},
    ops::{Deref, DerefMut},
    slice,
};

/// A cache line, a 512-bit register and a row of a tile.
pub(crate) const LINE: usize = 64;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Bytes whose first is at a multiple of 64, so that loads of 64 bytes never straddle two lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// Zeros. Pages that nobody touches stay with the system.
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

    /// Makes room for `len` bytes, of any value.
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
        // SAFETY: the lines are `len` bytes or more, without gaps between them.
        unsafe { slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; any byte is valid.
        unsafe { slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl PartialEq for Aligned {
    fn eq(&self, other: &Aligned) -> bool {
        **self == **other
    }
}

impl Eq for Aligned {}

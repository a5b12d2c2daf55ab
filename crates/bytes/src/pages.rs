//! Bytes in large pages, for what is read from front to back again and again.

use std::{
    io,
    ops::{Deref, DerefMut},
    slice,
    sync::{Arc, Mutex, PoisonError},
};

use memmap2::{MmapMut, MmapOptions};

/// Bytes of a mapping that small pieces share: enough that most of it lies in whole large pages.
const CHUNK: usize = 64 << 20;
/// Pieces begin on a cache line.
const LINE: usize = 64;

/// A piece of a mapping that the system was asked to back with large pages. A decoding step reads every weight once, and
/// with pages of 4 KB a third of its time went into translating addresses. What is never touched takes no memory.
#[derive(Debug)]
pub struct Pages {
    at: *mut u8,
    len: usize,
    _chunk: Arc<MmapMut>,
}

// SAFETY: a piece is the only one of its bytes, like a `Box<[u8]>`.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

/// The mapping that the next piece is cut from.
struct Open {
    chunk: Arc<MmapMut>,
    at: *mut u8,
    left: usize,
}

// SAFETY: `at` points into `chunk`, at bytes that no piece has.
unsafe impl Send for Open {}

static OPEN: Mutex<Option<Open>> = Mutex::new(None);

impl Pages {
    /// Zeros, from a multiple of 64 on.
    ///
    /// # Errors
    /// When the system has no room.
    pub fn zeroed(len: usize) -> io::Result<Pages> {
        let room = len.next_multiple_of(LINE);
        if room > CHUNK / 2 {
            // On its own, so that its memory goes back when it does.
            let Open { chunk, at, .. } = map(room)?;
            return Ok(Pages { at, len, _chunk: chunk });
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|open| open.left < room) {
            *open = Some(map(CHUNK)?);
        }
        let Open { chunk, at, left } = open.as_mut().expect("just opened");
        let piece = Pages { at: *at, len, _chunk: chunk.clone() };
        *at = at.wrapping_add(room);
        *left -= room;
        Ok(piece)
    }
}

fn map(len: usize) -> io::Result<Open> {
    let mut chunk = MmapOptions::new().len(len).map_anon()?;
    // A hint: small pages do as well, slower.
    #[cfg(target_os = "linux")]
    drop(chunk.advise(memmap2::Advice::HugePage));
    Ok(Open { at: chunk.as_mut_ptr(), left: len, chunk: Arc::new(chunk) })
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are inside the mapping, which lives as long as `_chunk`, and no other piece has them.
        unsafe { slice::from_raw_parts(self.at, self.len) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.at, self.len) }
    }
}

impl Clone for Pages {
    fn clone(&self) -> Pages {
        let mut copy = Pages::zeroed(self.len).expect("the system has room for a copy");
        copy.copy_from_slice(self);
        copy
    }
}

impl PartialEq for Pages {
    fn eq(&self, other: &Pages) -> bool {
        **self == **other
    }
}

impl Eq for Pages {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_zero_aligned_and_apart() {
        let mut pieces: Vec<Pages> =
            [1, 64, 0, 100_000, CHUNK + 1, 7].iter().map(|len| Pages::zeroed(*len).unwrap()).collect();
        for (i, piece) in pieces.iter_mut().enumerate() {
            assert!(piece.iter().all(|byte| *byte == 0) && (piece.as_ptr() as usize).is_multiple_of(LINE));
            piece.fill(i as u8 + 1);
        }
        let copy = pieces[3].clone();
        pieces.remove(0);
        for (i, piece) in pieces.iter().enumerate() {
            assert!(piece.iter().all(|byte| *byte == i as u8 + 2));
        }
        assert_eq!(copy, pieces[2]);
    }
}

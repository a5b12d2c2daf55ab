//! Memory in large pages, for data that is read sequentially many times.

use std::{
    io,
    ops::{Deref, DerefMut},
    slice,
    sync::{Arc, Mutex, PoisonError},
};

use memmap2::{MmapMut, MmapOptions};

/// Size in bytes of a mapping that small pieces share. It is large enough that large pages back most of it.
const CHUNK: usize = 64 << 20;
/// Size in bytes of a cache line. Every piece starts at a multiple of it.
const LINE: usize = 64;

/// Bytes in a mapping that the operating system was asked to back with large pages. Pages that are never
/// accessed take no memory.
///
/// A decoding step reads every weight once. With pages of 4 KB, it spent a third of its time on address
/// translation.
#[derive(Debug)]
pub struct Pages {
    at: *mut u8,
    len: usize,
    _chunk: Arc<MmapMut>,
}

// SAFETY: a piece owns its bytes exclusively, like a `Box<[u8]>`.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

/// The mapping from which the next small piece is allocated.
struct OpenChunk {
    chunk: Arc<MmapMut>,
    /// The first unused byte.
    at: *mut u8,
    /// Number of unused bytes.
    left: usize,
}

// SAFETY: `at` points into `chunk`, at bytes that belong to no piece.
unsafe impl Send for OpenChunk {}

static OPEN_CHUNK: Mutex<Option<OpenChunk>> = Mutex::new(None);

impl Pages {
    /// Returns `len` zeros that start at an address that is a multiple of 64.
    ///
    /// # Errors
    /// Returns an error if there is not enough memory.
    pub fn zeroed(len: usize) -> io::Result<Pages> {
        let room = len.next_multiple_of(LINE);
        if room > CHUNK / 2 {
            // A large piece has its own mapping, so that its memory is returned when the piece is dropped.
            let OpenChunk { chunk, at, .. } = map(room)?;
            return Ok(Pages { at, len, _chunk: chunk });
        }
        let mut open = OPEN_CHUNK.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|open| open.left < room) {
            *open = Some(map(CHUNK)?);
        }
        let OpenChunk { chunk, at, left } = open.as_mut().expect("just opened");
        let piece = Pages { at: *at, len, _chunk: chunk.clone() };
        *at = at.wrapping_add(room);
        *left -= room;
        Ok(piece)
    }
}

/// Maps `len` bytes of zeros.
fn map(len: usize) -> io::Result<OpenChunk> {
    let mut chunk = MmapOptions::new().len(len).map_anon()?;
    // This is a hint: small pages also work, but are slower.
    #[cfg(target_os = "linux")]
    drop(chunk.advise(memmap2::Advice::HugePage));
    Ok(OpenChunk { at: chunk.as_mut_ptr(), left: len, chunk: Arc::new(chunk) })
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are inside the mapping, which lives as long as `_chunk`, and belong to no other
        // piece.
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
        let mut copy = Pages::zeroed(self.len).expect("there is enough memory for a copy");
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
    fn pieces_are_zeroed_aligned_and_disjoint() {
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

//! The bytes of a checkpoint file, memory-mapped or in memory. A tensor holds a range of them.

use std::{io, ops::Range, path::Path, sync::Arc};

use bitkv_bytes::{Expected, MappedFile, Pages, map_file, misplaced, open_regular};
use rayon::prelude::*;

use crate::{Error, Result};

/// The bytes of a whole file, by where they are stored.
enum Whole {
    Mapped(MappedFile),
    Owned(Vec<u8>),
    Pages(Pages),
}

/// The number of bytes that are copied, and released from the mapping, at a time.
const SLAB: usize = 32 << 20;

/// A range of a file's bytes. Cloning shares the bytes; a file stays mapped as long as a range of it is held.
#[derive(Clone)]
pub struct Bytes {
    whole: Arc<Whole>,
    range: Range<usize>,
}

impl Bytes {
    /// Maps a file into memory.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened or mapped, or is clearly not what is expected.
    pub(crate) fn map(path: &Path, expected: Expected) -> Result<Bytes> {
        let read = |source| Error::Read { path: path.into(), source };
        let refused = |what: String| read(io::Error::new(io::ErrorKind::InvalidData, what));
        let file = open_regular(path).map_err(read)?;
        // An empty file cannot be mapped.
        if let (0, Some(what)) = (file.metadata().map_err(read)?.len(), misplaced(&[], expected)) {
            return Err(refused(what));
        }
        let map = map_file(&file).map_err(read)?;
        if let Some(what) = misplaced(&map, expected) {
            return Err(refused(what));
        }
        let range = 0..map.len();
        Ok(Bytes { whole: Arc::new(Whole::Mapped(map)), range })
    }

    /// Wraps bytes that are in memory.
    pub(crate) fn owned(bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes { whole: Arc::new(Whole::Owned(bytes)), range }
    }

    /// Wraps bytes in large pages.
    pub(crate) fn pages(pages: Pages) -> Bytes {
        let range = 0..pages.len();
        Bytes { whole: Arc::new(Whole::Pages(pages)), range }
    }

    /// Copies mapped bytes to large pages, which are read faster than a mapped file; the mapped pages are
    /// released as they are copied. Returns the bytes unchanged if they are not mapped or if there is no
    /// memory for the copy.
    #[must_use]
    pub(crate) fn in_large_pages(self) -> Bytes {
        let (true, Ok(mut copy)) = (matches!(&*self.whole, Whole::Mapped(_)), Pages::zeroed(self.len()))
        else {
            return self;
        };
        let slabs = copy.par_chunks_mut(SLAB).enumerate();
        slabs.for_each(|(i, to)| {
            let part = self.part(i * SLAB..i * SLAB + to.len());
            to.copy_from_slice(&part);
            part.release();
        });
        Bytes::pages(copy)
    }

    /// Returns a range of these bytes.
    ///
    /// # Panics
    /// Panics if the range reaches past the end.
    pub(crate) fn part(&self, range: Range<usize>) -> Bytes {
        assert!(range.start <= range.end && range.end <= self.range.len(), "the range is inside the bytes");
        let start = self.range.start;
        Bytes { whole: self.whole.clone(), range: start + range.start..start + range.end }
    }

    /// Removes mapped pages from the resident memory of this process. They are read from the file again when
    /// they are accessed. Does nothing for bytes in memory.
    pub fn release(&self) {
        if let Whole::Mapped(map) = &*self.whole {
            map.release(self.range.clone());
        }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.whole {
            Whole::Mapped(map) => &map[self.range.clone()],
            Whole::Owned(bytes) => &bytes[self.range.clone()],
            Whole::Pages(pages) => &pages[self.range.clone()],
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.range.len())
    }
}

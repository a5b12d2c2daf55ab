//! Files whose bytes are read when they are touched.

use std::{fs::File, io, ops::Range};

/// A file's bytes, read when they are touched.
#[derive(Debug)]
pub struct MappedFile {
    map: memmap2::Mmap,
}

/// Maps a file for reading.
///
/// Nobody may truncate the file while it is mapped, as with every mapped checkpoint: touching what is gone ends
/// the process. Any byte is a valid `u8`, so a file that changes can at worst be read as other numbers.
///
/// # Errors
/// When the system cannot map it, as with an empty file.
pub fn map_file(file: &File) -> io::Result<MappedFile> {
    // SAFETY: the mapping is private and read-only; see above for what another process could do to it.
    Ok(MappedFile { map: unsafe { memmap2::Mmap::map(file) }? })
}

impl std::ops::Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl MappedFile {
    /// Lets the system take back the pages that lie wholly inside `range`: they leave this process' resident memory,
    /// and are read from the file again when touched. A hint: where there is no such call, nothing happens.
    ///
    /// # Panics
    /// When `range` reaches past the end.
    pub fn release(&self, range: Range<usize>) {
        assert!(range.end <= self.map.len(), "the range lies inside the file");
        #[cfg(target_os = "linux")]
        {
            // The system refuses what is not a multiple of its pages; elsewhere they may be larger.
            const PAGE: usize = if cfg!(target_arch = "x86_64") { 1 << 12 } else { 1 << 16 };
            let base = self.map.as_ptr() as usize;
            let start = (base + range.start).next_multiple_of(PAGE) - base;
            let end = ((base + range.end) / PAGE * PAGE).saturating_sub(base);
            if start < end {
                // SAFETY: the mapping is of a file, private and read-only, so that dropped pages come back unchanged.
                let done = unsafe {
                    self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
                };
                // Nothing is lost but memory.
                drop(done);
            }
        }
    }
}

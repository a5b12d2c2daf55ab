//! Memory-mapped files, whose pages are read from the disk on first access.

use std::{fs::File, io, ops::Range};

/// The bytes of a memory-mapped file. It dereferences to `[u8]`.
#[derive(Debug)]
pub struct MappedFile {
    map: memmap2::Mmap,
}

/// Maps a file for reading.
///
/// As with every mapped checkpoint, no process may truncate the file while it is mapped: reading a page that
/// no longer exists ends this process. Any byte is a valid `u8`, so if another process writes to the file,
/// the worst result is other numbers.
///
/// # Errors
/// Returns an error if the operating system cannot map the file, for example because it is empty.
pub fn map_file(file: &File) -> io::Result<MappedFile> {
    // SAFETY: the mapping is private and read-only; the doc comment above says what another process could do
    // to it.
    Ok(MappedFile { map: unsafe { memmap2::Mmap::map(file) }? })
}

impl std::ops::Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl MappedFile {
    /// Releases the memory of all pages that are completely inside `range`. They leave the resident memory of
    /// this process and are read from the file again on the next access.
    ///
    /// This is a hint. It does nothing on systems other than Linux.
    ///
    /// # Panics
    /// Panics if `range` ends after the end of the file.
    pub fn release(&self, range: Range<usize>) {
        assert!(range.end <= self.map.len(), "the range must be inside the file");
        #[cfg(target_os = "linux")]
        {
            // Linux rejects addresses that are not multiples of its page size, which may be larger on other
            // processors.
            const PAGE: usize = if cfg!(target_arch = "x86_64") { 1 << 12 } else { 1 << 16 };
            let base = self.map.as_ptr() as usize;
            let start = (base + range.start).next_multiple_of(PAGE) - base;
            let end = ((base + range.end) / PAGE * PAGE).saturating_sub(base);
            if start < end {
                // SAFETY: this is a private read-only mapping of a file, so dropped pages are read again
                // unchanged.
                let done = unsafe {
                    self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
                };
                // If the call fails, the pages only remain in memory.
                drop(done);
            }
        }
    }
}

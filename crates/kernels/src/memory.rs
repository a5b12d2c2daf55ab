//! What the operating system does for memory: file mappings and the allocator's habits.

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

/// Tells glibc to keep freed memory instead of returning it to the system.
///
/// A training step allocates and frees the same large buffers again and again; by default each of
/// them is mapped and faulted in anew, which took a third of the time. Does nothing elsewhere.
pub fn keep_freed() {
    /// glibc refuses more; larger buffers are mapped and faulted in every time, so keep below it.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    const LARGEST_THRESHOLD: i32 = 32 << 20;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, LARGEST_THRESHOLD),
        (libc::M_TRIM_THRESHOLD, i32::MAX),
        (libc::M_TOP_PAD, 64 << 20),
    ] {
        // SAFETY: `mallopt` takes plain numbers and ignores what it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

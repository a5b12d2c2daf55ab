//! What the operating system does for memory: file mappings and the allocator's habits.

use std::{fs::File, io};

/// A file's bytes, read when they are touched.
pub type MappedFile = memmap2::Mmap;

/// Maps a file for reading.
///
/// Nobody may truncate the file while it is mapped, as with every mapped checkpoint: touching what is gone ends
/// the process. Any byte is a valid `u8`, so a file that changes can at worst be read as other numbers.
///
/// # Errors
/// When the system cannot map it, as with an empty file.
pub fn map_file(file: &File) -> io::Result<MappedFile> {
    // SAFETY: the mapping is private and read-only; see above for what another process could do to it.
    unsafe { memmap2::Mmap::map(file) }
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

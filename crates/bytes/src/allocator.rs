//! Configures how this process allocates memory, and measures its peak memory.

/// Makes glibc keep freed memory instead of returning it to the operating system. Does nothing with other
/// allocators.
///
/// A training step allocates and frees the same large buffers repeatedly. By default glibc gives them back to
/// the system and maps them again at the next step, so that every page faults again. That took a third of the
/// time of a step.
pub fn keep_freed_memory() {
    /// The largest threshold that glibc accepts, in bytes. Larger buffers are still mapped again at every
    /// allocation.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    const LARGEST_THRESHOLD: i32 = 32 << 20;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, LARGEST_THRESHOLD),
        (libc::M_TRIM_THRESHOLD, i32::MAX),
        (libc::M_TOP_PAD, 64 << 20),
    ] {
        // SAFETY: `mallopt` takes plain integers and ignores parameters that it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Returns the peak resident memory of this process in bytes, or `None` if the operating system does not
/// report it (Linux does).
pub fn peak_resident_bytes() -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "the kernel writes this file")]
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

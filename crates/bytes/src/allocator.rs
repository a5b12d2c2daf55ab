//! Configures how this process allocates memory, and measures its peak memory.

/// Makes glibc keep freed memory instead of returning it to the operating system. Does nothing with other
/// allocators.
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
        // SAFETY: `mallopt` takes plain integers and ignores parameters that it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Returns the peak resident memory of this process in bytes, or `None` if the operating system does not
/// report it (Linux does).
pub fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

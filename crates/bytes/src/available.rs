//! How much memory this process can still take, and how much room a disk has.
#![allow(clippy::disallowed_methods, reason = "these files are made by the kernel")]

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Returns the bytes of memory that this process can still take, or `None` if the operating system does not
/// say (Linux does). It is the least of what the machine has available, what every cgroup of this process
/// leaves, and what the limit on its address space leaves.
pub fn available_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| field(&text, "MemAvailable:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = cgroup_folders(&groups).into_iter().filter_map(|folder| left_in_cgroup(&folder));
    groups.chain(machine).chain(left_of_address_space()).min()
}

/// Returns the bytes that may still be written to the disk of `path`, or `None` if the operating system does
/// not say. The path need not exist yet.
pub fn free_disk(path: &Path) -> Option<u64> {
    let whole = std::path::absolute(path).ok()?;
    let existing = whole.ancestors().find(|folder| folder.exists())?;
    free_disk_of(existing)
}

#[cfg(unix)]
fn free_disk_of(path: &Path) -> Option<u64> {
    use std::{ffi::CString, mem::MaybeUninit, os::unix::ffi::OsStrExt};
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in a zero byte, and the pointer is to a value of the type that is written.
    let code = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) };
    if code != 0 {
        return None;
    }
    // SAFETY: `statvfs` returned 0, so it has written the value.
    let found = unsafe { found.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the fields are narrower on some systems")]
    Some((found.f_bavail as u64).saturating_mul(found.f_frsize as u64))
}

#[cfg(not(unix))]
fn free_disk_of(_path: &Path) -> Option<u64> {
    None
}

/// Returns what the limit on the address space leaves, or `None` if there is no limit.
#[cfg(target_os = "linux")]
fn left_of_address_space() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a value of the type that is written.
    let code = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    if code != 0 || limit.rlim_cur == libc::RLIM_INFINITY {
        return None;
    }
    let used = field(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.rlim_cur.saturating_sub(used))
}

#[cfg(not(target_os = "linux"))]
fn left_of_address_space() -> Option<u64> {
    None
}

/// Returns the bytes of a line such as `MemAvailable:   24690000 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the folders of the memory cgroups of a process and of all their parents, from the text of
/// `/proc/self/cgroup`. A line of version 2 begins with `0::`, and one of version 1 names its controllers.
fn cgroup_folders(text: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            _ if controllers.split(',').any(|controller| controller == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        // In a container, the path may be that of the host: the limit is then in the root.
        let inner = Path::new(path.trim_start_matches('/')).to_owned();
        folders.extend(inner.ancestors().map(|folder| Path::new(root).join(folder)));
    }
    folders
}

/// Returns what the limit of a memory cgroup leaves, or `None` if it has none. Files that the system keeps in
/// memory only for speed count as free.
fn left_in_cgroup(folder: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cached =
        |name: &str| statistics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let cached = cached("total_inactive_file ").or_else(|| cached("inactive_file ")).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

/// A limit on the memory of a command: what is available, or what the user allows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryLimit {
    /// The bytes that the user allows, which may be more than what is available.
    allowed: Option<u64>,
}

impl MemoryLimit {
    /// Returns the limit that allows `bytes`; `None` for what is available.
    pub fn new(bytes: Option<u64>) -> MemoryLimit {
        MemoryLimit { allowed: bytes }
    }

    /// Checks before long work that its memory can be had. `what` begins the sentence, and
    /// `needed` an estimate in bytes.
    ///
    /// # Errors
    /// Fails if the work needs more than the limit. The message has both numbers.
    pub fn check(self, what: impl fmt::Display, needed: u64) -> Result<(), TooLarge> {
        let Some(limit) = self.allowed.or_else(available_memory).filter(|limit| needed > *limit) else {
            return Ok(());
        };
        let (what, allowed) = (what.to_string(), self.allowed.is_some());
        Err(TooLarge { what, resource: "memory", needed, limit, allowed })
    }
}

/// Checks before long work that there is room on the disk of `path`. `what` begins the sentence,
/// and `needed` an estimate in bytes.
///
/// # Errors
/// Fails if the disk has less room. The message has both numbers.
pub fn check_disk(path: &Path, what: impl fmt::Display, needed: u64) -> Result<(), TooLarge> {
    let Some(limit) = free_disk(path).filter(|free| needed > *free) else { return Ok(()) };
    Err(TooLarge { what: what.to_string(), resource: "disk", needed, limit, allowed: false })
}

/// Work needs more memory, or more room on a disk, than there is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TooLarge {
    what: String,
    resource: &'static str,
    needed: u64,
    limit: u64,
    /// Whether the user gave the limit.
    allowed: bool,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLarge { what, resource, needed, limit, allowed } = self;
        let (needed, limit) = (shown(*needed), shown(*limit));
        match (*resource, *allowed) {
            (_, true) => write!(
                f,
                "{what} needs about {needed} of memory, but {limit} are allowed: allow more, or ask for less"
            ),
            ("disk", _) => write!(
                f,
                "{what} needs about {needed} of disk, but {limit} are free: make room, or use another disk"
            ),
            _ => write!(
                f,
                "{what} needs about {needed} of memory, but {limit} are available: ask for less, or use a larger machine"
            ),
        }
    }
}

impl std::error::Error for TooLarge {}

impl From<TooLarge> for io::Error {
    fn from(error: TooLarge) -> io::Error {
        let kind =
            if error.resource == "disk" { io::ErrorKind::StorageFull } else { io::ErrorKind::OutOfMemory };
        io::Error::new(kind, error)
    }
}

/// Formats a number of bytes with its largest unit.
fn shown(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut size = bytes as f64 / 1e3;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1e3;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_both_versions_of_cgroups_are_found_with_their_parents() {
        let text = "12:cpu,cpuacct:/a\n4:memory:/job/task\n0::/\n";
        let expected = ["memory/job/task", "memory/job", "memory", ""];
        assert_eq!(cgroup_folders(text), expected.map(|path| Path::new("/sys/fs/cgroup").join(path)));
        assert!(cgroup_folders("nonsense\n1:memory\n").is_empty());
    }

    #[test]
    fn a_cgroup_leaves_its_limit_without_what_is_used() {
        for (limit, used, cached) in [
            ("memory.max", "memory.current", "inactive_file 100"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file 100"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(left_in_cgroup(folder.path()), None);
            fs::write(folder.path().join(limit), "1000\n").unwrap();
            fs::write(folder.path().join(used), "700\n").unwrap();
            fs::write(folder.path().join("memory.stat"), format!("anon 1\n{cached}\n")).unwrap();
            assert_eq!(left_in_cgroup(folder.path()), Some(400));
            fs::write(folder.path().join(limit), "max\n").unwrap();
            assert_eq!(left_in_cgroup(folder.path()), None);
        }
    }

    #[test]
    fn what_is_too_large_is_refused_with_both_numbers() {
        let limit = MemoryLimit::new(Some(4_000_000));
        assert_eq!(limit.check("the run", 4_000_000), Ok(()));
        assert_eq!(
            limit.check("the run", 5_500_000).unwrap_err().to_string(),
            "the run needs about 5.5 MB of memory, but 4.0 MB are allowed: allow more, or ask for less"
        );
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_disk(&folder.path().join("none/yet"), "the run", 1), Ok(()));
        #[cfg(target_os = "linux")]
        {
            let available = available_memory().unwrap();
            assert!(available > 1 << 20, "{available}");
            let message = MemoryLimit::default().check("the run", u64::MAX).unwrap_err().to_string();
            assert!(message.starts_with("the run needs about 18.4 EB of memory, but "), "{message}");
            let message = check_disk(folder.path(), "the run", u64::MAX).unwrap_err().to_string();
            assert!(message.contains("18.4 EB of disk") && message.contains("are free"), "{message}");
        }
    }

    #[test]
    fn sizes_have_the_largest_unit() {
        assert_eq!([0, 1500, 999_999, 24_690_000_000].map(shown), ["0.0 kB", "1.5 kB", "1.0 MB", "24.7 GB"]);
    }
}

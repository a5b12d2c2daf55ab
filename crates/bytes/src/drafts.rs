//! The temporary names under which files and folders are written, and the removal of what killed processes
//! left under them.
#![allow(clippy::disallowed_methods, reason = "a draft is opened to be locked")]

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::disk::{self, DiskFile};

/// The beginning of the part of a draft's name that follows the final name. No other program uses it.
const MARK: &str = ".bitkv-";
/// The end of a draft's name.
const END: &str = ".tmp";

/// Creates a new file with an unused name in the folder of `path`, and locks it, so that other processes do
/// not take it for one that was left.
pub(crate) fn create_draft(path: &Path) -> io::Result<(DiskFile, PathBuf)> {
    loop {
        let name = unused_name(path);
        match DiskFile::create_new(&name) {
            // Another machine has taken the name on a shared disk.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                // Another process may be removing the file, or have removed it, before it was locked. A file
                // system without locks has no other protection than the process id in the name.
                if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && file.is_at(&name) {
                    return Ok((file, name));
                }
            }
        }
    }
}

/// Returns the path of a hidden file or folder beside `path`, for a draft of it. No other process on this
/// machine and no other thread uses this name.
pub fn unused_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Together with the rest, the name must not be too long for the file system.
    let name: String = path.file_name().unwrap_or_default().to_string_lossy().chars().take(50).collect();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}{MARK}{}-{count}{END}", process::id()))
}

/// Removes the drafts in a folder whose processes were killed, once per process and folder. Failures are not
/// reported, because a draft that stays does no harm.
pub fn remove_drafts(folder: &Path) {
    static DONE: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    if !DONE.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.into()) {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    for path in paths.filter(|path| is_draft(path)) {
        // The lock is kept until the draft is gone, so that its owner notices.
        let Some(_lock) = lock_left(&path) else { continue };
        let _ = if path.is_dir() { disk::remove_folder(&path) } else { disk::remove_file(&path) };
    }
}

/// Whether a path is one that [`unused_name`] returns in some process.
fn is_draft(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbers = name.strip_suffix(END).and_then(|name| name.rsplit_once(MARK)?.1.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.starts_with('.') && numbers.is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// Locks a draft that no process writes any longer; returns `None` if it is in use. A link is never a draft.
fn lock_left(path: &Path) -> Option<File> {
    let kind = path.symlink_metadata().ok()?.file_type();
    let file = (kind.is_file() || kind.is_dir()).then(|| File::open(path).ok()).flatten()?;
    file.try_lock().is_ok().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn drafts_of_killed_processes_are_removed_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path_of = |name: &str| folder.path().join(name);
        // The lock of a process that still writes.
        let (open, used) = create_draft(&path_of("a")).unwrap();
        fs::write(path_of(".a.bitkv-4000000-0.tmp"), "left").unwrap();
        fs::create_dir(path_of(".b.bitkv-4000000-1.tmp")).unwrap();
        fs::write(path_of(".b.bitkv-4000000-1.tmp/file"), "left").unwrap();
        for other in [".a.1-2.tmp", ".a.bitkv-x-1.tmp", "a.bitkv-1-1.tmp", ".a.bitkv-1-1.tmp.txt"] {
            fs::write(path_of(other), "of the user").unwrap();
        }
        remove_drafts(folder.path());
        assert!(used.exists() && names(folder.path()).len() == 5, "{:?}", names(folder.path()));
        drop(open);
    }
}

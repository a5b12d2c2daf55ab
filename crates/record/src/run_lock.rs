//! The lock of an unfinished run, which names its owner.

use crate::{RecordError, rfc3339};
use bitkv_bytes::disk::{self, DiskFile};
use std::fmt;
use std::fs::TryLockError;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

/// The lock of a run folder. No other process on any machine can write the run while it exists.
///
/// The file is locked by the operating system, so the lock ends with the process, however it ends. A file
/// system without locks is protected by the owner that the file names; see [`Owner::is_gone`].
#[derive(Debug)]
pub(crate) struct RunLock {
    file: DiskFile,
    /// Whether the file system has no locks, so that the file itself is the lock.
    is_by_name: bool,
}

impl RunLock {
    /// Locks the file at `path`. `folder` is the folder of the run.
    ///
    /// # Errors
    /// Fails if another process has the lock, or the file cannot be written.
    pub(crate) fn take(path: &Path, folder: &Path) -> Result<Self, RecordError> {
        let fail = |source| RecordError::Write { path: path.to_owned(), source };
        let mut file = DiskFile::append(path).map_err(fail)?;
        let found = Owner::read(path);
        let locked = |remedy| {
            let owner = found.as_ref().map_or_else(|| "another process".to_owned(), Owner::to_string);
            RecordError::Locked { path: folder.to_owned(), owner, remedy }
        };
        let is_by_name = match file.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => return Err(locked("wait until it ends")),
            Err(TryLockError::Error(_)) if found.as_ref().is_some_and(|owner| !owner.is_gone()) => {
                return Err(locked(
                    "wait until it ends, or delete .bitkv-journal/lock there if it has ended",
                ));
            }
            Err(TryLockError::Error(_)) => true,
        };
        file.truncate(0).and_then(|()| file.write_all(Owner::this().line().as_bytes())).map_err(fail)?;
        Ok(Self { file, is_by_name })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if self.is_by_name {
            // A file that stays names a process that has ended.
            let _ = disk::remove_file(self.file.path());
        }
    }
}

/// The process that has a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    process: u32,
    host: String,
    /// What the kernel calls the time from one start of the machine to the next; empty if it is unknown.
    boot: String,
    since: String,
}

impl Owner {
    /// Returns this process.
    #[allow(clippy::disallowed_methods, reason = "these files are made by the kernel")]
    fn this() -> Self {
        let kernel = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
            text.map_or_else(|_| String::new(), |text| text.trim().replace('\t', " "))
        };
        Self {
            process: std::process::id(),
            host: kernel("hostname"),
            boot: kernel("random/boot_id"),
            since: rfc3339(SystemTime::now()),
        }
    }

    /// Returns the content of the file.
    fn line(&self) -> String {
        let Self { process, host, boot, since } = self;
        format!("{process}\t{host}\t{boot}\t{since}\n")
    }

    /// Returns the owner that a file names; `None` if it names none.
    fn read(path: &Path) -> Option<Self> {
        let text = String::from_utf8(bitkv_bytes::read_regular_bytes(path).ok()?).ok()?;
        let [process, host, boot, since] = text.strip_suffix('\n')?.split('\t').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let (host, boot, since) = (host.to_owned(), boot.to_owned(), since.to_owned());
        Some(Self { process: process.parse().ok()?, host, boot, since })
    }

    /// Whether the process has certainly ended: this machine has started again since, or has no such process.
    /// Nothing is known about the processes of another machine.
    fn is_gone(&self) -> bool {
        let this = Self::this();
        let is_here = self.host == this.host && !this.boot.is_empty();
        is_here && (self.boot != this.boot || !Path::new("/proc").join(self.process.to_string()).exists())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, host, since, .. } = self;
        match host.as_str() {
            "" => write!(f, "process {process} (since {since})"),
            _ => write!(f, "process {process} on {host} (since {since})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_process_names_the_owner_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = RunLock::take(&path, folder.path()).unwrap();
        let message = RunLock::take(&path, folder.path()).unwrap_err().to_string();
        let owner = Owner::this();
        assert!(message.contains(&format!("process {} on {}", owner.process, owner.host)), "{message}");
        drop(first);
        // The file of a process that has ended locks nothing.
        assert!(path.exists());
        RunLock::take(&path, folder.path()).unwrap();
    }

    #[test]
    fn an_owner_is_read_back_and_known_to_be_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let this = Owner::this();
        std::fs::write(&path, this.line()).unwrap();
        assert_eq!(Owner::read(&path), Some(this.clone()));
        assert!(!this.is_gone());
        if !this.boot.is_empty() {
            let gone = |owner: Owner| owner.is_gone();
            // The largest number of a process is 2^22.
            assert!(gone(Owner { process: u32::MAX, ..this.clone() }));
            assert!(gone(Owner { boot: "an earlier start".into(), ..this.clone() }));
            assert!(!gone(Owner { host: "another host".into(), process: u32::MAX, ..this }));
        }
        for text in ["", "1\thost", "x\thost\tboot\tnow\n", "1\thost\tboot\tnow"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Owner::read(&path), None, "{text:?}");
        }
    }
}

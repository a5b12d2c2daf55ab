//! Locks that let only one process download a file at a time. Python's `huggingface_hub` uses the same locks.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::{Error, Result, link};

/// A lock on one file of the cache. It is held until it is dropped or the process ends.
pub(crate) struct Lock {
    /// The open file holds the lock; `None` if the file system has no locks.
    held: Option<File>,
}

impl Lock {
    /// Locks the file at `path`. If another process holds the lock, calls `waiting` and then waits for the
    /// lock.
    pub(crate) fn take(path: &Path, waiting: impl FnOnce()) -> Result<Lock> {
        let failed = |source| Error::Write { path: path.into(), source };
        link::make_parent(path).map_err(failed)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let taken = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock()
            }
            Err(TryLockError::Error(source)) => Err(source),
        };
        // Some network file systems have no locks. The partial file must then have a unique name.
        Ok(Lock { held: taken.is_ok().then_some(file) })
    }

    /// Whether the lock is held, so that no other process can be downloading the same file.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

//! One download of a file at a time, also among processes and with Python's `huggingface_hub`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::{Error, Result, link};

/// Held until it is dropped, or until the process ends in any way.
pub(crate) struct Lock {
    /// The open file is what holds it; none where the file system has no locks.
    held: Option<File>,
}

impl Lock {
    /// Waits for the lock on the file at `path`; calls `waiting` first if another holds it.
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
        // Some network file systems have no locks; the name of the partial file must then be unique.
        Ok(Lock { held: taken.is_ok().then_some(file) })
    }

    /// Whether no other process can be downloading the same file.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

//! Folders that appear complete or not at all.
#![allow(clippy::disallowed_methods, reason = "a folder is opened to be locked")]

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{
    disk,
    drafts::{remove_drafts, unused_name},
};

/// A folder that is written under a temporary name beside its final path.
///
/// [`DraftFolder::commit`] gives it its final name. If it is dropped before that, it is removed. What a
/// killed process left is removed by the next process that writes beside it.
#[derive(Debug)]
pub struct DraftFolder {
    path: PathBuf,
    /// `None` after the commit.
    draft: Option<PathBuf>,
    /// The open folder, which is locked.
    _lock: File,
}

impl DraftFolder {
    /// Makes the temporary folder for a folder whose final path is `path`.
    ///
    /// # Errors
    /// Returns an error if the path is taken by something other than an empty folder, or if a folder cannot
    /// be made.
    pub fn create(path: &Path) -> io::Result<DraftFolder> {
        check_new_folder(path)?;
        remove_drafts(disk::parent(path));
        disk::create_folders(disk::parent(path))?;
        loop {
            let draft = unused_name(path);
            disk::create_folders(&draft)?;
            // Another process may remove the folder before it is locked, or be removing it.
            let Ok(lock) = File::open(&draft) else { continue };
            if !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) && draft.is_dir() {
                return Ok(DraftFolder { path: path.into(), draft: Some(draft), _lock: lock });
            }
        }
    }

    /// Returns the folder in which the files are written.
    pub fn folder(&self) -> &Path {
        self.draft.as_deref().unwrap_or(&self.path)
    }

    /// Gives the folder its final name.
    ///
    /// # Errors
    /// Returns an error if the name is now taken or cannot be given. The draft is then removed.
    pub fn commit(mut self) -> io::Result<()> {
        disk::sync_folder(self.folder())?;
        check_new_folder(&self.path)?;
        if self.path.is_dir() {
            disk::remove_empty_folder(&self.path)?;
        }
        disk::rename_new(self.folder(), &self.path)?;
        self.draft = None;
        Ok(())
    }
}

impl Drop for DraftFolder {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            // A failure here is not reported: the error that matters was returned earlier.
            let _ = disk::remove_folder(&draft);
        }
    }
}

/// Checks that a folder can be written to `path`.
///
/// # Errors
/// Returns an error unless the path is free or that of an empty folder.
pub fn check_new_folder(path: &Path) -> io::Result<()> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let is_empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if metadata.is_dir() && is_empty() {
        return Ok(());
    }
    let what = match metadata.is_dir() {
        true => "is a folder that is not empty: name another folder, or move it away",
        false => "exists and is not a folder: name another folder",
    };
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("it {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_folder_appears_when_it_is_committed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/a");
        let draft = DraftFolder::create(&path).unwrap();
        fs::write(draft.folder().join("file"), "whole").unwrap();
        assert!(!path.exists());
        draft.commit().unwrap();
        assert_eq!((names(&path), names(path.parent().unwrap())), (vec!["file".into()], vec!["a".into()]));
        assert!(DraftFolder::create(&path).is_err(), "the folder is not empty");
        let dropped = DraftFolder::create(&root.path().join("b")).unwrap();
        drop(dropped);
        assert_eq!(names(root.path()), ["new"]);
        // An empty folder is filled.
        fs::create_dir(root.path().join("c")).unwrap();
        DraftFolder::create(&root.path().join("c")).unwrap().commit().unwrap();
    }
}

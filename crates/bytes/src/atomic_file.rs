//! Atomic file writes: a reader sees the old file or the complete new one, never a part of it.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    disk::{self, DiskFile},
    drafts::{create_draft, remove_drafts},
};

/// The bytes that are written at a time.
const BUFFER: usize = 1 << 18;

/// What happens to a file that exists where a new one is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Existing {
    /// It is kept, and the new file is an error.
    Keep,
    /// The new file takes its place.
    Replace,
}

/// A file that is written under a temporary name in the folder of its final path.
///
/// [`AtomicFile::commit`] writes it to the disk and renames it to the final path. If it is dropped before
/// that, the temporary file is removed and the old file remains. What a killed process left is removed by the
/// next process that writes into the folder.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    existing: Existing,
    temporary: PathBuf,
    /// `None` after the commit.
    file: Option<BufWriter<DiskFile>>,
}

impl AtomicFile {
    /// Creates the temporary file for a file whose final path is `path`.
    ///
    /// # Errors
    /// Returns an error as [`check_target`] does, or if the file cannot be created.
    pub fn create(path: &Path, existing: Existing) -> io::Result<AtomicFile> {
        check_target(path, existing)?;
        remove_drafts(disk::parent(path));
        let (file, temporary) = create_draft(path)?;
        Ok(AtomicFile {
            path: path.into(),
            existing,
            temporary,
            file: Some(BufWriter::with_capacity(BUFFER, file)),
        })
    }

    /// Returns the final path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the buffered bytes to the disk and renames the temporary file to the final path.
    ///
    /// # Errors
    /// Returns an error if writing or renaming fails, or if the name is now taken by a file that is kept. The
    /// temporary file is then removed.
    pub fn commit(mut self) -> io::Result<()> {
        let Some(writer) = &mut self.file else { return Ok(()) };
        writer.flush()?;
        writer.get_ref().sync()?;
        match self.existing {
            Existing::Replace => disk::rename(&self.temporary, &self.path)?,
            Existing::Keep => {
                disk::rename_new(&self.temporary, &self.path).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => taken(),
                    _ => error,
                })?
            }
        }
        self.file = None;
        Ok(())
    }
}

/// Checks that a file can be written to `path`.
///
/// # Errors
/// Returns an error if the path is a folder, a link, a pipe or a device, or a file that is to be kept.
pub fn check_target(path: &Path, existing: Existing) -> io::Result<()> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let kind = metadata.file_type();
    let refuse = |what: &str| Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("it is {what}")));
    if kind.is_dir() {
        refuse("a folder: name a file")
    } else if kind.is_symlink() {
        refuse("a link: name the file itself, or remove the link")
    } else if !kind.is_file() {
        refuse("a pipe, a socket or a device: name a regular file")
    } else if existing == Existing::Keep {
        Err(taken())
    } else {
        Ok(())
    }
}

/// Returns the error about a file that is kept.
fn taken() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "it exists already: name another file, or move it away")
}

/// Writes `bytes` to `path` atomically and replaces any existing file.
///
/// # Errors
/// Returns an error if the file cannot be written. The old file then remains.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, bytes, Existing::Replace)
}

/// Writes `bytes` to `path` atomically.
///
/// # Errors
/// Returns an error if the file cannot be written, or if there is a file that is to be kept. The old file
/// then remains.
pub fn write_with(path: &Path, bytes: &[u8], existing: Existing) -> io::Result<()> {
    let mut file = AtomicFile::create(path, existing)?;
    file.write_all(bytes)?;
    file.commit()
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Dropping the writer itself would write its buffer.
            drop(file.into_parts());
            // A failure here is not reported: the error that matters was returned earlier.
            let _ = disk::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = AtomicFile::create(&path, Existing::Replace).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"whole".to_vec(), vec!["a".to_string()])
        );
    }

    #[test]
    fn dropping_leaves_the_old_file_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "before").unwrap();
        let mut file = AtomicFile::create(&path, Existing::Replace).unwrap();
        file.write_all(&[7; 1 << 16]).unwrap();
        drop(file);
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"before".to_vec(), vec!["a".to_string()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_devices_and_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&link, Path::new("/dev/null"), folder.path()] {
            for existing in [Existing::Keep, Existing::Replace] {
                let message = write_with(path, b"after", existing).unwrap_err().to_string();
                assert!(message.contains(": name "), "{message}");
            }
        }
        // A dangling link is refused too.
        fs::remove_file(&file).unwrap();
        assert!(write(&link, b"after").is_err() && !file.exists());
    }

    #[test]
    fn a_file_that_is_kept_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let first = AtomicFile::create(&path, Existing::Keep).unwrap();
        write_with(&path, b"second", Existing::Keep).unwrap();
        assert_eq!(first.commit().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"second".to_vec(), vec!["a".into()]));
        write(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
    }

    #[test]
    fn a_failed_write_leaves_the_existing_files() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("none/a"), b"new").is_err());
        // A folder exists at the final path, so renaming fails.
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("b"), "before").unwrap();
        assert!(write(&path, b"new").is_err());
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(names(&path), ["b"]);
    }
}

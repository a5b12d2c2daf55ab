//! Files that are there whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// A file under a temporary name beside its place, which it takes when it is committed. Dropped before that, it is
/// removed, and whatever was in its place stays.
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    /// `None` when it is committed.
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Begins a file that is to be at `path`.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create(&temporary).map_err(|source| Error::Write { path: path.into(), source })?;
        Ok(AtomicFile { path: path.into(), temporary, file: Some(BufWriter::new(file)) })
    }

    /// Writes a whole file, in place of the one that is there.
    pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        file.write_all(bytes).map_err(|source| file.error(source))?;
        file.commit()
    }

    /// Writes what is buffered to the disk and puts the file in its place.
    ///
    /// # Errors
    /// When the system does not allow it; the file is removed then.
    pub fn commit(mut self) -> Result<()> {
        self.put().map_err(|source| self.error(source))
    }

    fn put(&mut self) -> io::Result<()> {
        let Some(writer) = &mut self.file else { return Ok(()) };
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.file = None;
        Ok(())
    }

    /// The error for something that went wrong while writing it.
    pub(crate) fn error(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
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
            // Without its destructor, which would write the rest.
            drop(file.into_parts());
            // Best effort: the error that matters is the one before.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn is_there_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"whole".to_vec(), vec!["a".to_string()])
        );
    }

    #[test]
    fn leaves_nothing_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "before").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(&[7; 1 << 16]).unwrap();
        drop(file);
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"before".to_vec(), vec!["a".to_string()])
        );
    }

    #[test]
    fn says_which_file_cannot_be_written() {
        let path = Path::new("/no/such/folder/a");
        let message = AtomicFile::create(path).err().unwrap().to_string();
        assert!(message.starts_with("cannot write /no/such/folder/a: "), "{message}");
    }
}

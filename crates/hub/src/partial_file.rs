//! A file on disk that is still being downloaded, with the checksum of the bytes received so far.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{Error, Result, checksum::Hasher, metadata::Metadata};

/// The number of bytes that are read from disk at once.
const BLOCK: usize = 1 << 18;

/// The result of verifying a file that has all its bytes.
pub(crate) enum Finished {
    /// The checksum is right and the file is on disk.
    Kept,
    /// The checksum is wrong and the file is deleted.
    Deleted {
        /// The checksum of the deleted bytes.
        found: String,
    },
}

/// The received beginning of a file. Its bytes are on disk and hashed. It is never longer than the hub
/// announced.
pub(crate) struct PartialFile {
    file: File,
    path: PathBuf,
    expected: Metadata,
    hasher: Hasher,
    len: u64,
}

impl PartialFile {
    /// Opens the partial file at `path`, with the bytes that an earlier try has left there.
    pub(crate) fn open(path: &Path, expected: &Metadata) -> Result<PartialFile> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|source| Error::Write { path: path.into(), source })?;
        let hasher = expected.checksum.hasher(expected.size);
        let mut part = PartialFile { file, path: path.into(), expected: expected.clone(), hasher, len: 0 };
        part.hash_existing_bytes()?;
        Ok(part)
    }

    /// Reads and hashes the bytes that are already in the file. If there are more than announced, empties the
    /// file.
    fn hash_existing_bytes(&mut self) -> Result<()> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let existing = self.file.metadata().map_err(failed)?.len();
        if existing > self.expected.size {
            return self.restart();
        }
        let mut block = vec![0; BLOCK];
        loop {
            match self.file.read(&mut block).map_err(failed)? {
                0 => return Ok(()),
                n => {
                    self.hasher.update(&block[..n]);
                    self.len += n as u64;
                }
            }
        }
    }

    /// The number of bytes received so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The number of bytes that are still missing.
    pub(crate) fn missing(&self) -> u64 {
        self.expected.size - self.len
    }

    /// Appends the next bytes.
    ///
    /// # Panics
    /// Panics if `bytes` are more than the missing ones.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len() as u64 <= self.missing(), "a file must not be longer than announced");
        self.file.write_all(bytes).map_err(|source| self.unwritable(source))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Empties the file.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|source| self.unwritable(source))?;
        self.hasher = self.expected.checksum.hasher(self.expected.size);
        self.len = 0;
        Ok(())
    }

    /// Deletes the file.
    pub(crate) fn discard(self) -> Result<()> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(|source| Error::Write { path: self.path, source })
    }

    /// Verifies the checksum of a file that has all its bytes. If it is right, the bytes are synced to disk;
    /// otherwise the file is deleted.
    pub(crate) fn finish(self) -> Result<Finished> {
        let PartialFile { file, path, expected, hasher, .. } = self;
        let found = hasher.hex();
        let (done, finished) = if found == expected.checksum.hex() {
            (file.sync_all(), Finished::Kept)
        } else {
            drop(file);
            (fs::remove_file(&path), Finished::Deleted { found })
        };
        done.map(|()| finished).map_err(|source| Error::Write { path, source })
    }

    fn unwritable(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

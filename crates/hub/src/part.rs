//! A file that is still being downloaded.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::{Error, Result, checksum::Hasher, metadata::Metadata};

/// Read from disk at once, in bytes.
const BLOCK: usize = 1 << 18;

/// How a file that is whole ends.
pub(crate) enum Ended {
    /// It is on disk.
    Kept,
    /// Its checksum was wrong, and it is deleted.
    Deleted {
        /// The checksum of what was there.
        found: String,
    },
}

/// The beginning of a file, on disk and hashed so far; never more than the announced length.
pub(crate) struct Part {
    file: File,
    path: PathBuf,
    expected: Metadata,
    hasher: Hasher,
    len: u64,
}

impl Part {
    /// Goes on with what an earlier try has left at `path`, or begins.
    pub(crate) fn open(path: &Path, expected: &Metadata) -> Result<Part> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|source| Error::Write { path: path.into(), source })?;
        let hasher = expected.checksum.hasher(expected.size);
        let mut part = Part { file, path: path.into(), expected: expected.clone(), hasher, len: 0 };
        part.take_up()?;
        Ok(part)
    }

    fn take_up(&mut self) -> Result<()> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let there = self.file.metadata().map_err(failed)?.len();
        if there > self.expected.size {
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

    /// Bytes that are there.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that are still to come.
    pub(crate) fn missing(&self) -> u64 {
        self.expected.size - self.len
    }

    /// Takes the next bytes, of which there must not be more than are missing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len() as u64 <= self.missing(), "a file must not outgrow what was announced");
        self.file.write_all(bytes).map_err(|source| self.unwritable(source))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all bytes.
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

    /// Ends a whole file: makes sure that it is on disk when its checksum is right, otherwise deletes it.
    pub(crate) fn finish(self) -> Result<Ended> {
        let Part { file, path, expected, hasher, .. } = self;
        let found = hasher.hex();
        let (done, ended) = if found == expected.checksum.hex() {
            (file.sync_all(), Ended::Kept)
        } else {
            drop(file);
            (fs::remove_file(&path), Ended::Deleted { found })
        };
        done.map(|()| ended).map_err(|source| Error::Write { path, source })
    }

    fn unwritable(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

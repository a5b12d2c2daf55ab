//! [`RowWriter`] writes lines of rows to a file and hashes them.

use bitkv_bytes::{AtomicFile, Existing};
use bitkv_record::{FileHash, Hasher, RecordError, Row, header};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Result;

/// A file of rows that is written line by line.
pub(crate) struct RowWriter {
    path: PathBuf,
    file: AtomicFile,
    hasher: Hasher,
    bytes: u64,
    rows: u64,
}

impl RowWriter {
    /// Creates the file, and writes the header.
    pub(crate) fn create<R: Row>(path: &Path) -> Result<RowWriter> {
        let fail = |source| RecordError::Write { path: path.to_owned(), source };
        let file = AtomicFile::create(path, Existing::Replace).map_err(fail)?;
        let mut writer =
            RowWriter { path: path.to_owned(), file, hasher: Hasher::default(), bytes: 0, rows: 0 };
        writer.write(&(header::<R>() + "\n"))?;
        Ok(writer)
    }

    /// Writes a line with its line break.
    pub(crate) fn add(&mut self, line: &str) -> Result<()> {
        self.rows += 1;
        self.write(line)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| RecordError::Write { path: self.path.clone(), source })?;
        self.hasher.add(text.as_bytes());
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Writes everything to the disk. Returns the hash of the file, and the number of its rows.
    pub(crate) fn finish(self) -> Result<(FileHash, u64)> {
        let RowWriter { path, file, hasher, bytes, rows } = self;
        file.commit().map_err(|source| RecordError::Write { path: path.clone(), source })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((FileHash { name, sha256: hasher.hex(), bytes }, rows))
    }
}

//! A file to which a run appends its rows after each batch of cells, so that a killed process loses at most
//! the batches in progress.

use crate::{LineError, RecordError, Row, rows};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How many rows are appended between two syncs to disk. A killed process loses nothing that it gave to the
/// operating system, so this only limits the loss in a power failure. A sync after every row would take
/// longer than many rows.
const SYNC_EVERY: usize = 64;

/// An append-only file of rows, with a fingerprint of what they were measured with.
///
/// The first line has the format and the fingerprint, and the second line the columns. Every other line is
/// one row, written in one call. Opening the file reads the rows back, and removes lines that cannot be read,
/// so that their rows are measured again; [`Journal::notes`] names them. No row is in the file twice. See
/// [`crate::ResumableRun::journal`].
#[derive(Debug)]
pub struct Journal<R> {
    path: PathBuf,
    /// The file that [`Journal::finish`] writes.
    finished: PathBuf,
    file: File,
    /// The length of all complete lines in bytes. Anything after them is not a row.
    length: u64,
    rows: Vec<R>,
    /// The index in `rows` of the row with each key.
    indices: HashMap<String, usize>,
    unsynced: usize,
    /// A sentence for each line before the last one that was removed.
    notes: Vec<String>,
}

impl<R: Row> Journal<R> {
    /// Opens the journal at `path`, or begins it. [`Journal::finish`] writes its rows in order to the file
    /// `finished`.
    pub(crate) fn open(path: PathBuf, finished: PathBuf, fingerprint: &str) -> Result<Self, RecordError> {
        let fail = |source| RecordError::Write { path: path.clone(), source };
        if path.exists() {
            // A pipe would wait for ever.
            bitkv_bytes::open_regular(&path).map_err(fail)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(fail)?;
        let bytes =
            std::fs::read(&path).map_err(|source| RecordError::Read { path: path.clone(), source })?;
        let header = header::<R>(fingerprint);
        if !has_a_row(&bytes) {
            file.set_len(0).map_err(fail)?;
            file.write_all(header.as_bytes()).map_err(fail)?;
            file.sync_all().map_err(fail)?;
        } else if !bytes.starts_with(header.as_bytes()) {
            // The journal is in a folder in the folder of the run.
            let folder = path.ancestors().nth(2).unwrap_or(&path).to_owned();
            return Err(RecordError::OtherRun { path: folder });
        }
        let (rows, indices) = (Vec::new(), HashMap::new());
        let length = header.len() as u64;
        let notes = Vec::new();
        let mut journal = Self { path, finished, file, length, rows, indices, unsynced: 0, notes };
        let body = journal.read_back(bytes.get(header.len()..).unwrap_or_default());
        if journal.notes.is_empty() {
            let length = journal.length;
            journal.file.set_len(length).map_err(|source| journal.failed(source))?;
        } else {
            journal.replace(&[header.as_bytes(), &body].concat())?;
        }
        Ok(journal)
    }

    /// Reads the lines after the header, and returns those that can be read. A last line that cannot be read
    /// was interrupted by a crash. Any other is named in the notes.
    fn read_back(&mut self, body: &[u8]) -> Vec<u8> {
        let (mut readable, mut number) = (Vec::new(), 2);
        let mut lines = body.split_inclusive(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            number += 1;
            match self.read_line(line) {
                Ok(row) => {
                    self.take(row, line.len());
                    readable.extend_from_slice(line);
                }
                Err(_) if lines.peek().is_none() => {}
                Err(reason) => self.notes.push(format!(
                    "'{}', line {number}: {reason}; the line is removed, and its row is measured again if it is missing",
                    self.path.display()
                )),
            }
        }
        readable
    }

    /// Replaces the file, all at once, by these bytes.
    fn replace(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        bitkv_bytes::write(&self.path, bytes).map_err(|source| self.failed(source))?;
        let file = OpenOptions::new().read(true).append(true).open(&self.path);
        self.file = file.map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Returns a sentence for each line before the last one that could not be read and was removed.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Reads and checks one line with its line break.
    fn read_line(&self, line: &[u8]) -> Result<R, LineError> {
        let line = line.strip_suffix(b"\n").ok_or(LineError::Torn)?;
        let line = std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
        let row: R = rows::from_line(line)?;
        self.check(&row)?;
        Ok(row)
    }

    /// Checks that the values of a row are possible and that the row is not in the journal.
    fn check(&self, row: &R) -> Result<(), LineError> {
        rows::check_row(row)?;
        match self.contains(&row.key()) {
            true => Err(LineError::Present { key: row.key() }),
            false => Ok(()),
        }
    }

    /// Adds a row whose line has `bytes` bytes.
    fn take(&mut self, row: R, bytes: usize) {
        self.indices.insert(row.key(), self.rows.len());
        self.rows.push(row);
        self.length += bytes as u64;
    }

    /// Returns whether the journal has a row with this [`Row::key`].
    pub fn contains(&self, key: &str) -> bool {
        self.indices.contains_key(key)
    }

    /// Returns all rows in the order in which they were written, those of earlier attempts first.
    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// Appends one row.
    ///
    /// # Errors
    /// Fails if a value is impossible, the row is already in the journal, or the file cannot be written. The
    /// file is then unchanged.
    pub fn append(&mut self, row: R) -> Result<(), RecordError> {
        self.check(&row).map_err(|reason| self.refuse(reason))?;
        let line = rows::to_line(&row).map_err(|reason| self.refuse(reason))?;
        if let Err(source) = self.file.write_all(line.as_bytes()) {
            // An incomplete line would damage the line after it too.
            let _ = self.file.set_len(self.length);
            return Err(self.failed(source));
        }
        self.take(row, line.len());
        self.unsynced += 1;
        if self.unsynced == SYNC_EVERY {
            self.file.sync_data().map_err(|source| self.failed(source))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Writes the rows as CSV in the order of `keys` to the run folder, and returns them. Because of this
    /// order, the bytes of the file depend neither on interruptions nor on the order of threads.
    ///
    /// # Errors
    /// Fails if a key has no row, a row belongs to none of the keys, or the file cannot be written.
    pub fn finish(self, keys: &[String]) -> Result<Vec<R>, RecordError> {
        let missing: Vec<&String> = keys.iter().filter(|key| !self.contains(key)).collect();
        if let Some(first) = missing.first() {
            let (missing, all, first) = (missing.len(), keys.len(), (*first).clone());
            return Err(self.refuse(LineError::Missing { missing, all, first }));
        }
        let ranks: HashMap<&String, usize> = keys.iter().enumerate().map(|(rank, key)| (key, rank)).collect();
        if let Some(key) = self.rows.iter().map(Row::key).find(|key| !ranks.contains_key(key)) {
            return Err(self.refuse(LineError::Foreign { key }));
        }
        let mut rows = self.rows;
        rows.sort_by_key(|row| ranks[&row.key()]);
        rows::write_rows(&self.finished, &rows)?;
        // The journal is removed after this, so the rows must be on disk.
        let synced = File::open(&self.finished).and_then(|file| file.sync_all());
        synced.map_err(|source| RecordError::Write { path: self.finished.clone(), source })?;
        Ok(rows)
    }

    /// Returns the error for a row that cannot be appended, with the number that its line would have.
    fn refuse(&self, reason: LineError) -> RecordError {
        RecordError::Line { path: self.path.clone(), line: self.rows.len() as u64 + 3, reason }
    }

    fn failed(&self, source: std::io::Error) -> RecordError {
        RecordError::Write { path: self.path.clone(), source }
    }
}

/// Returns whether the file has a complete line after the two lines of the header. Otherwise there is no row
/// to lose, and the file can begin again with any fingerprint.
fn has_a_row(bytes: &[u8]) -> bool {
    complete_rows(bytes) > 0
}

/// Returns the number of complete lines after the two lines of the header.
fn complete_rows(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count().saturating_sub(2)
}

/// Returns the number of rows of the journal at `path`; `None` if it cannot be read.
pub(crate) fn count_rows(path: &Path) -> Option<usize> {
    bitkv_bytes::read_regular_bytes(path).ok().map(|bytes| complete_rows(&bytes))
}

/// Returns whether the journal at `path` has rows.
pub(crate) fn has_rows(path: &Path) -> Result<bool, RecordError> {
    let bytes = std::fs::read(path);
    Ok(has_a_row(&bytes.map_err(|source| RecordError::Read { path: path.to_owned(), source })?))
}

/// Returns the first two lines of a journal.
fn header<R: Row>(fingerprint: &str) -> String {
    format!("# journal of {} rows, fingerprint {fingerprint}\n{}\n", R::KIND, rows::header::<R>())
}

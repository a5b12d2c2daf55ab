//! A file to which a run appends its rows after each batch of cells, so that a killed process loses at most
//! the batches in progress.

use crate::{LineError, RecordError, Row, rows};
use bitkv_bytes::disk::{self, DiskFile};
use bitkv_bytes::{AtomicFile, Existing};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// How many rows are appended between two syncs to disk. A killed process loses nothing that it gave to the
/// operating system, so this only limits the loss in a power failure. A sync after every row would take
/// longer than many rows.
const SYNC_EVERY: usize = 64;

/// An append-only file of rows, with a fingerprint of what they were measured with.
///
/// The first line has the format and the fingerprint, and the second line the columns. Every other line is
/// one row, written in one call. Opening the file reads the rows back, and removes lines that cannot be read,
/// so that their rows are measured again; [`Journal::notes`] names them. No row is in the file twice. Rows
/// stay in the file: memory only has where each one is, so that long runs do not grow. See
/// [`crate::ResumableRun::journal`].
#[derive(Debug)]
pub struct Journal<R> {
    path: PathBuf,
    /// The file that [`Journal::finish`] writes.
    finished: PathBuf,
    file: DiskFile,
    /// The length of all complete lines in bytes. Anything after them is not a row.
    length: u64,
    /// Where the line of each row begins, in bytes, by the hash of its key.
    offsets: HashMap<u64, u64>,
    unsynced: usize,
    /// A sentence for each line that was removed.
    notes: Vec<String>,
    rows: PhantomData<R>,
}

impl<R: Row> Journal<R> {
    /// Opens the journal at `path`, or begins it. [`Journal::finish`] writes its rows in order to the file
    /// `finished`.
    pub(crate) fn open(path: PathBuf, finished: PathBuf, fingerprint: &str) -> Result<Self, RecordError> {
        let fail = |source| RecordError::Write { path: path.clone(), source };
        let mut file = DiskFile::append(&path).map_err(fail)?;
        let bytes = bitkv_bytes::read_regular_bytes(&path)
            .map_err(|source| RecordError::Read { path: path.clone(), source })?;
        let header = header::<R>(fingerprint);
        let mut body = bytes.get(header.len()..).unwrap_or_default();
        if !has_a_row(&bytes) {
            // What there is may be a damaged header with a part of a row.
            body = &[];
            file.truncate(0).map_err(fail)?;
            file.write_all(header.as_bytes()).map_err(fail)?;
            file.sync().map_err(fail)?;
            disk::sync_folder(path.parent().unwrap_or(&path)).map_err(fail)?;
        } else if !bytes.starts_with(header.as_bytes()) {
            // The journal is in a folder in the folder of the run.
            let folder = path.ancestors().nth(2).unwrap_or(&path).to_owned();
            return Err(RecordError::OtherRun { path: folder });
        }
        let (offsets, notes, length) = (HashMap::new(), Vec::new(), header.len() as u64);
        let mut journal =
            Self { path, finished, file, length, offsets, unsynced: 0, notes, rows: PhantomData };
        match journal.read_back(body) {
            None => {
                let length = journal.length;
                journal.file.truncate(length).map_err(|source| journal.failed(source))?;
            }
            Some(readable) => journal.replace(&[header.as_bytes(), &readable].concat())?,
        }
        Ok(journal)
    }

    /// Reads the lines after the header, and names in the notes those that cannot be read. Returns the
    /// readable lines if there is one after such a line, and `None` if only the end of the file is wrong.
    fn read_back(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let (mut readable, mut read, mut number) = (None, 0, 2);
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            number += 1;
            match self.read_line(line) {
                Ok(row) => {
                    self.take(&row, line.len());
                    if !self.notes.is_empty() {
                        readable.get_or_insert_with(|| body[..read].to_vec()).extend_from_slice(line);
                    }
                }
                Err(reason) => self.notes.push(format!(
                    "'{}', line {number}: {reason}; the line is removed, and its row is measured again if it is missing",
                    self.path.display()
                )),
            }
            if self.notes.is_empty() {
                read += line.len();
            }
        }
        readable
    }

    /// Replaces the file, all at once, by these bytes.
    fn replace(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        bitkv_bytes::write(&self.path, bytes).map_err(|source| self.failed(source))?;
        self.file = DiskFile::append(&self.path).map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Returns a sentence for each line that could not be read and was removed. The last line may be
    /// incomplete after a crash.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Makes room for the places of this many more rows at once.
    pub fn reserve(&mut self, rows: usize) {
        self.offsets.reserve(rows);
    }

    /// Reads and checks one line with its line break.
    fn read_line(&self, line: &[u8]) -> Result<R, LineError> {
        let row = parse(line)?;
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
    fn take(&mut self, row: &R, bytes: usize) {
        self.offsets.insert(hash(&row.key()), self.length);
        self.length += bytes as u64;
    }

    /// Returns whether the journal has a row with this [`Row::key`].
    pub fn contains(&self, key: &str) -> bool {
        self.offsets.contains_key(&hash(key))
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Returns whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the rows with these keys, in their order, and gives each with its line to `found`. Keys without
    /// a row are skipped.
    ///
    /// # Errors
    /// Fails if the file cannot be read, a line was changed since it was written, or `found` fails.
    pub fn read<E: From<RecordError>>(
        &self,
        keys: &[String],
        mut found: impl FnMut(R, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let fail = |source| RecordError::Read { path: self.path.clone(), source };
        let mut file = BufReader::new(bitkv_bytes::open_regular(&self.path).map_err(fail)?);
        let (mut line, mut at) = (String::new(), 0);
        for offset in keys.iter().filter_map(|key| self.offsets.get(&hash(key))) {
            line.clear();
            // Neighbours are often read one after the other, and then the buffer already has them.
            file.seek_relative(*offset as i64 - at).map_err(fail)?;
            let bytes = file.read_line(&mut line).map_err(fail)?;
            at = *offset as i64 + bytes as i64;
            let row = parse(line.as_bytes())
                .map_err(|reason| RecordError::Changed { path: self.path.clone(), reason })?;
            found(row, &line)?;
        }
        Ok(())
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
            let _ = self.file.truncate(self.length);
            return Err(self.failed(source));
        }
        self.take(&row, line.len());
        self.unsynced += 1;
        if self.unsynced == SYNC_EVERY {
            self.file.sync().map_err(|source| self.failed(source))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Writes the rows as CSV in the order of `keys` to the run folder, and returns them. Because of this
    /// order, the bytes of the file depend neither on interruptions nor on the order of threads.
    ///
    /// # Errors
    /// Fails if a key has no row, a row belongs to none of the keys, or a file cannot be read or written.
    pub fn finish(self, keys: &[String]) -> Result<Vec<R>, RecordError> {
        self.check_keys(keys)?;
        let fail = |source| RecordError::Write { path: self.finished.clone(), source };
        let mut file = AtomicFile::create(&self.finished, Existing::Replace).map_err(fail)?;
        file.write_all(format!("{}\n", rows::header::<R>()).as_bytes()).map_err(fail)?;
        let mut all = Vec::with_capacity(keys.len());
        self.read(keys, |row, line| {
            all.push(row);
            file.write_all(line.as_bytes()).map_err(fail)
        })?;
        file.commit().map_err(fail)?;
        Ok(all)
    }

    /// Checks that there is exactly one row for each of the keys.
    fn check_keys(&self, keys: &[String]) -> Result<(), RecordError> {
        let missing: Vec<&String> = keys.iter().filter(|key| !self.contains(key)).collect();
        if let Some(first) = missing.first() {
            let (missing, all, first) = (missing.len(), keys.len(), (*first).clone());
            return Err(self.refuse(LineError::Missing { missing, all, first }));
        }
        let known: HashSet<&str> = keys.iter().map(String::as_str).collect();
        if known.len() == self.len() {
            return Ok(());
        }
        let bytes = bitkv_bytes::read_regular_bytes(&self.path)
            .map_err(|source| RecordError::Read { path: self.path.clone(), source })?;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(2);
        let mut found = lines.filter_map(|line| parse::<R>(line).ok()).map(|row| row.key());
        let key = found.find(|key| !known.contains(key.as_str())).unwrap_or_default();
        Err(self.refuse(LineError::Foreign { key }))
    }

    /// Returns the error for a row that cannot be appended, with the number that its line would have.
    fn refuse(&self, reason: LineError) -> RecordError {
        RecordError::Line { path: self.path.clone(), line: self.len() as u64 + 3, reason }
    }

    fn failed(&self, source: std::io::Error) -> RecordError {
        RecordError::Write { path: self.path.clone(), source }
    }
}

/// Reads one line with its line break.
fn parse<R: Row>(line: &[u8]) -> Result<R, LineError> {
    let line = line.strip_suffix(b"\n").ok_or(LineError::Torn)?;
    rows::from_line(std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?)
}

/// Returns a hash of a key. The keys of cells are hashes of this length themselves.
fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
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
    let bytes = bitkv_bytes::read_regular_bytes(path);
    Ok(has_a_row(&bytes.map_err(|source| RecordError::Read { path: path.to_owned(), source })?))
}

/// Returns the first two lines of a journal.
fn header<R: Row>(fingerprint: &str) -> String {
    format!("# journal of {} rows, fingerprint {fingerprint}\n{}\n", R::KIND, rows::header::<R>())
}

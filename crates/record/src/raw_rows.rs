//! [`RawRows`] reads a file of rows line by line, without reading the values. A file can be larger than the
//! memory, and its lines can be copied byte for byte.

use crate::rows::{self, Layout};
use crate::{FileHash, HeaderError, LineError, RecordError, Row, hash::Hasher};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The bytes that are read at once. Thousands of files may be read in turn, so the buffer is small.
const BUFFER: usize = 16 << 10;

/// A file of rows of this version that is read line by line. The checksum of every line is checked, and all
/// bytes are hashed.
#[derive(Debug)]
pub struct RawRows {
    path: PathBuf,
    /// `None` while the file is closed; see [`RawRows::close`].
    reader: Option<BufReader<File>>,
    /// The number of bytes that were read.
    offset: u64,
    /// The number of the last line that was read. The header is line 1.
    line: u64,
    hasher: Hasher,
    columns: Vec<&'static str>,
}

impl RawRows {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if its columns are not those that this version writes.
    pub fn open<R: Row>(path: &Path) -> Result<RawRows, RecordError> {
        let mut rows = RawRows {
            path: path.to_owned(),
            reader: None,
            offset: 0,
            line: 0,
            hasher: Hasher::default(),
            columns: rows::column_names::<R>(),
        };
        let mut header = String::new();
        rows.read(&mut header)?;
        if header.trim_end_matches('\n') != rows::header::<R>() {
            let fail = |reason| RecordError::Header { path: path.to_owned(), reason };
            // A missing column says more than that the header differs.
            Layout::<R>::new(header.trim_end_matches(['\r', '\n'])).map_err(fail)?;
            return Err(fail(HeaderError::OtherVersion));
        }
        Ok(rows)
    }

    /// Closes the file until the next read, because a process can have few files open at a time.
    pub fn close(&mut self) {
        self.reader = None;
    }

    /// Returns whether the file is open.
    pub fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Reads the next line, with its line break, into `line`. Returns whether there was one.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if the line was changed after it was written.
    pub fn next_line(&mut self, line: &mut String) -> Result<bool, RecordError> {
        if !self.read(line)? {
            return Ok(false);
        }
        let complete = line.strip_suffix('\n').ok_or(LineError::Torn);
        let checked = complete.and_then(rows::verify_checksum);
        checked.map_err(|reason| self.refuse(reason.in_finished_file()))?;
        Ok(true)
    }

    /// Returns the value of a column in a line of this file; empty if there is no such column.
    ///
    /// # Errors
    /// Fails if the line has another number of values than the header.
    pub fn value<'l>(&self, line: &'l str, column: &str) -> Result<Cow<'l, str>, RecordError> {
        let Some(index) = self.columns.iter().position(|name| *name == column) else {
            return Ok(Cow::Borrowed(""));
        };
        // The first value is the version of the format.
        let found = rows::value_at(line.trim_end_matches('\n'), index + 1);
        found.map_err(|reason| self.refuse(reason.in_finished_file()))
    }

    /// Returns the hash of the file, after its last line was read.
    ///
    /// # Errors
    /// Fails if there are more lines, or if the file cannot be read.
    pub fn finish(mut self) -> Result<FileHash, RecordError> {
        let mut line = String::new();
        if self.read(&mut line)? {
            return Err(self.refuse(LineError::Unlisted.in_finished_file()));
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(FileHash { name, sha256: self.hasher.hex(), bytes: self.offset })
    }

    /// Returns the error for the last line that was read.
    pub fn refuse(&self, reason: LineError) -> RecordError {
        RecordError::Line { path: self.path.clone(), line: self.line, reason }
    }

    /// Reads the next line without checking it. Returns whether there was one.
    fn read(&mut self, line: &mut String) -> Result<bool, RecordError> {
        let fail = |source| RecordError::Read { path: self.path.clone(), source };
        line.clear();
        let reader = match &mut self.reader {
            Some(reader) => reader,
            closed => {
                let mut file = bitkv_bytes::open_regular(&self.path).map_err(fail)?;
                file.seek(SeekFrom::Start(self.offset)).map_err(fail)?;
                closed.insert(BufReader::with_capacity(BUFFER, file))
            }
        };
        let bytes = reader.read_line(line).map_err(fail)?;
        self.offset += bytes as u64;
        self.line += u64::from(bytes > 0);
        self.hasher.add(line.as_bytes());
        Ok(bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContextRow, write_rows};

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("contexts.csv");
        let row = |context, text: &str| ContextRow { context, text: text.into(), ..ContextRow::default() };
        write_rows(&path, &[row(0, "a"), row(1, "b, \"c\""), row(2, "")]).unwrap();
        path
    }

    #[test]
    fn lines_are_read_verbatim_even_if_the_file_is_closed_in_between() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let mut rows = RawRows::open::<ContextRow>(&path).unwrap();
        let (mut line, mut all, mut texts) = (String::new(), String::new(), Vec::new());
        while rows.next_line(&mut line).unwrap() {
            all += &line;
            texts.push(rows.value(&line, "text").unwrap().into_owned());
            assert_eq!(rows.value(&line, "no such column").unwrap(), "");
            rows.close();
            assert!(!rows.is_open());
        }
        assert_eq!(texts, ["a", "b, \"c\"", ""]);
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(all, whole.split_once('\n').unwrap().1);
        assert_eq!(rows.finish().unwrap(), FileHash::from_file(&path).unwrap());
    }

    #[test]
    fn a_changed_line_and_a_line_that_is_left_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let left = RawRows::open::<ContextRow>(&path).unwrap().finish().unwrap_err().to_string();
        assert!(left.contains("line 2") && left.contains("more rows"), "{left}");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen(",a,", ",z,", 1)).unwrap();
        let mut rows = RawRows::open::<ContextRow>(&path).unwrap();
        let changed = rows.next_line(&mut String::new()).unwrap_err().to_string();
        assert!(changed.contains("line 2") && changed.contains("checksum"), "{changed}");
        std::fs::write(&path, text.trim_end()).unwrap();
        let mut rows = RawRows::open::<ContextRow>(&path).unwrap();
        let torn = (0..3).find_map(|_| rows.next_line(&mut String::new()).err()).unwrap().to_string();
        assert!(torn.contains("line 4") && torn.contains("incomplete"), "{torn}");
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let message = RawRows::open::<crate::GridRow>(&path).unwrap_err().to_string();
        assert!(message.contains("no column 'key'"), "{message}");
    }
}

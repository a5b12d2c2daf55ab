//! Reads and writes CSV files of rows.
//!
//! The first line is the header. Each further line is one row: the version of the format, the values, and a
//! checksum of the line. A type of row implements [`Row`]; [`write_rows`] and [`read_rows`] work for all of
//! them. Columns are found by their name, so files of older versions can be read.

use crate::column::Presence;
use crate::{Column, HeaderError, LineError, RecordError, RowError};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The version of the format that is written. Files of version 1 have no column with the version and no
/// checksums.
pub const FORMAT: u32 = 2;
/// The first column: the version of the format.
const FORMAT_COLUMN: &str = "format";
/// The last column: the CRC-32 of the line up to its last comma, 8 hex digits.
const CHECKSUM_COLUMN: &str = "checksum";

/// A type of CSV row.
pub trait Row: Default + Clone + 'static {
    /// The word for these rows in errors, such as "cell".
    const KIND: &'static str;

    /// Returns the columns in the order of the file, without those of the version and the checksum.
    fn columns() -> &'static [Column<Self>];

    /// Columns of older formats. They are read if a file has them, and never written.
    fn old_columns() -> &'static [Column<Self>] {
        &[]
    }

    /// Returns the key of the row. Two rows of a file cannot have the same key.
    fn key(&self) -> String;

    /// Checks the values against each other. Ranges of single values are checked by the columns.
    ///
    /// # Errors
    /// Fails if values contradict each other.
    fn check(&self) -> Result<(), RowError> {
        Ok(())
    }

    /// Fills in the values that a file of an older format does not have.
    fn upgrade(&mut self) {}
}

/// Returns the header of a file of rows, without the line break.
pub fn header<R: Row>() -> String {
    let names = R::columns().iter().map(|column| column.name);
    [FORMAT_COLUMN].into_iter().chain(names).chain([CHECKSUM_COLUMN]).collect::<Vec<_>>().join(",")
}

/// Returns the names of the columns, without those of the version and the checksum.
pub(crate) fn column_names<R: Row>() -> Vec<&'static str> {
    R::columns().iter().map(|column| column.name).collect()
}

/// Checks that every value of a row is possible, and that the values do not contradict each other.
///
/// # Errors
/// Fails for the first value that cannot be written.
pub fn check_row<R: Row>(row: &R) -> Result<(), RowError> {
    R::columns().iter().try_for_each(|column| column.check(row))?;
    row.check()
}

/// Writes the header and the rows, and replaces an existing file.
///
/// # Errors
/// Fails if a value is impossible, a row is repeated, or the file cannot be written.
pub fn write_rows<R: Row>(path: &Path, rows: &[R]) -> Result<(), RecordError> {
    check_all(rows.iter().enumerate().map(|(i, row)| (i as u64 + 2, row)))
        .map_err(|(line, reason)| RecordError::Line { path: path.to_owned(), line, reason })?;
    let mut text = header::<R>() + "\n";
    for (i, row) in rows.iter().enumerate() {
        let refuse = |reason| RecordError::Line { path: path.to_owned(), line: i as u64 + 2, reason };
        text += &to_line(row).map_err(refuse)?;
    }
    bitkv_bytes::write(path, text.as_bytes())
        .map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// Reads rows. If there is no file at `path`, reads the gzip file at the same path with `.gz` appended.
///
/// # Errors
/// Fails as [`read_rows_noting`] does.
pub fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>, RecordError> {
    read_rows_noting(path, &mut Vec::new())
}

/// Reads rows of this format or an older one. Unknown columns are ignored, with a sentence in `notes`;
/// missing optional columns are empty.
///
/// # Errors
/// Fails if the file cannot be read, has a newer format, lacks a required column, has a column or a row
/// twice, or has a line with a wrong checksum or an impossible value.
pub fn read_rows_noting<R: Row>(path: &Path, notes: &mut Vec<String>) -> Result<Vec<R>, RecordError> {
    let fail = |source| RecordError::Read { path: path.to_owned(), source };
    let text = String::from_utf8(read(path).map_err(fail)?)
        .map_err(|_| RecordError::Header { path: path.to_owned(), reason: HeaderError::NotUtf8 })?;
    let (first, body) = text.split_once('\n').unwrap_or((&text, ""));
    let layout = Layout::<R>::new(first.trim_end_matches('\r'))
        .map_err(|reason| RecordError::Header { path: path.to_owned(), reason })?;
    if !layout.unknown.is_empty() {
        let names = layout.unknown.join("', '");
        notes.push(format!(
            "'{}': this version does not know the columns '{names}' and ignores them",
            path.display()
        ));
    }
    let mut rows = Vec::new();
    for (i, line) in body.lines().enumerate() {
        let number = i as u64 + 2;
        let refuse = |reason: LineError| {
            let reason = reason.in_finished_file();
            RecordError::Line { path: path.to_owned(), line: number, reason }
        };
        rows.push((number, layout.row(line).map_err(refuse)?));
    }
    check_all(rows.iter().map(|(line, row)| (*line, row))).map_err(|(line, reason)| RecordError::Line {
        path: path.to_owned(),
        line,
        reason: reason.in_finished_file(),
    })?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The columns of a file, in its order.
pub(crate) struct Layout<R: Row> {
    /// The column at each index of a line; `None` if it is unknown, or is the version or the checksum.
    columns: Vec<Option<&'static Column<R>>>,
    /// The index of the version of the format, if the file has it.
    format: Option<usize>,
    has_checksums: bool,
    unknown: Vec<String>,
}

impl<R: Row> Layout<R> {
    /// Reads the header.
    pub(crate) fn new(header: &str) -> Result<Self, HeaderError> {
        let names: Vec<&str> = header.split(',').collect();
        if let Some(twice) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
            return Err(HeaderError::Twice { column: names[twice].to_owned() });
        }
        let all = || R::columns().iter().chain(R::old_columns());
        let columns: Vec<_> = names.iter().map(|name| all().find(|column| column.name == *name)).collect();
        let required = R::columns().iter().filter(|column| column.presence == Presence::Required);
        if let Some(column) = required.map(|column| column.name).find(|name| !names.contains(name)) {
            return Err(HeaderError::Lacks { column, kind: R::KIND });
        }
        let is_reserved = |name: &&&str| **name == FORMAT_COLUMN || **name == CHECKSUM_COLUMN;
        let is_unknown = |(name, column): &(&&str, &Option<_>)| column.is_none() && !is_reserved(name);
        let unknown =
            names.iter().zip(&columns).filter(is_unknown).map(|(name, _)| (*name).to_owned()).collect();
        let format = names.iter().position(|name| *name == FORMAT_COLUMN);
        Ok(Self { columns, format, has_checksums: names.last() == Some(&CHECKSUM_COLUMN), unknown })
    }

    /// Reads a row from one line without its line break.
    fn row(&self, line: &str) -> Result<R, LineError> {
        let values = values(line)?;
        // A newer format may have more or fewer values, so the version is checked before their number.
        let format = self.format.and_then(|index| values.get(index)).map(|text| text.parse::<u32>());
        match format {
            None if self.format.is_none() => {}
            Some(Ok(format)) if (1..=FORMAT).contains(&format) => {}
            Some(Ok(format)) => return Err(LineError::Newer { format, known: FORMAT }),
            _ => return Err(LineError::NoFormat),
        }
        if values.len() != self.columns.len() {
            return Err(LineError::Count { found: values.len(), named: self.columns.len() });
        }
        if self.has_checksums {
            verify_checksum(line)?;
        }
        let mut row = R::default();
        for (value, column) in values.iter().zip(&self.columns) {
            if let Some(column) = column {
                let read = (column.get_mut)(&mut row).read(value);
                read.map_err(|reason| LineError::Value { column: column.name, reason: Box::new(reason) })?;
            }
        }
        if self.format.is_none() {
            row.upgrade();
        }
        Ok(row)
    }
}

/// Returns a row as a line, with the line break.
pub(crate) fn to_line<R: Row>(row: &R) -> Result<String, LineError> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let values = R::columns().iter().map(|column| (column.get)(row).write());
    let record: Vec<String> = [FORMAT.to_string()].into_iter().chain(values).collect();
    writer.write_record(&record)?;
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    let line = String::from_utf8(bytes).map_err(|_| LineError::NotUtf8)?;
    let line = line.trim_end_matches('\n');
    match line.contains(['\n', '\r']) {
        true => Err(LineError::LineBreak { key: row.key() }),
        false => Ok(format!("{line},{:08x}\n", crc32fast::hash(line.as_bytes()))),
    }
}

/// Reads a row from a line of this version, without the line break.
pub(crate) fn from_line<R: Row>(line: &str) -> Result<R, LineError> {
    Layout::new(&header::<R>())?.row(line)
}

/// Splits a line into its values.
fn values(line: &str) -> Result<Vec<String>, LineError> {
    // Most lines have no quotes, and making a reader takes longer than reading a line.
    if !line.is_empty() && !line.contains(['"', '\r', '\n']) {
        return Ok(line.split(',').map(str::to_owned).collect());
    }
    quoted_values(line)
}

/// Splits a line that may have quotes into its values.
fn quoted_values(line: &str) -> Result<Vec<String>, LineError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let record = reader.records().next().ok_or(LineError::Empty)??;
    Ok(record.iter().map(str::to_owned).collect())
}

/// Returns the value at an index of a line. The values before it are not copied.
pub(crate) fn value_at(line: &str, index: usize) -> Result<Cow<'_, str>, LineError> {
    let missing = |found| LineError::Count { found, named: index + 1 };
    if !line.contains('"') {
        return line.split(',').nth(index).map(Cow::Borrowed).ok_or_else(|| missing(line.split(',').count()));
    }
    let mut values = quoted_values(line)?;
    match index < values.len() {
        true => Ok(Cow::Owned(values.swap_remove(index))),
        false => Err(missing(values.len())),
    }
}

/// Checks the checksum at the end of a line.
pub(crate) fn verify_checksum(line: &str) -> Result<(), LineError> {
    let (before, found) = line.rsplit_once(',').unwrap_or((line, ""));
    let expected = format!("{:08x}", crc32fast::hash(before.as_bytes()));
    match found == expected {
        true => Ok(()),
        false => Err(LineError::Checksum { found: found.to_owned(), expected }),
    }
}

/// Returns whether there is a file of rows at `path`, plain or compressed by gzip; see [`read_rows`].
pub fn has_rows(path: &Path) -> bool {
    path.exists() || compressed(path).exists()
}

/// Returns the bytes of a file. If it does not exist, reads and decompresses the file with `.gz` appended,
/// because large runs are kept compressed.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let compressed = compressed(path);
    if path.exists() || !compressed.exists() {
        return bitkv_bytes::read_regular_bytes(path);
    }
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(bitkv_bytes::open_regular(&compressed)?).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the path of the compressed file.
fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// Checks every row, and that no key is repeated. Each row comes with the number of its line, which the error
/// returns.
fn check_all<'a, R: Row>(rows: impl Iterator<Item = (u64, &'a R)>) -> Result<(), (u64, LineError)> {
    let mut seen = HashMap::new();
    for (line, row) in rows {
        if let Err(reason) = check_row(row) {
            return Err((line, reason.into()));
        }
        if let Some(earlier) = seen.insert(row.key(), line) {
            return Err((line, LineError::Repeats { line: earlier, key: row.key() }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{quoted_values, values};

    #[test]
    fn lines_without_quotes_are_split_as_a_reader_splits_them() {
        for line in
            ["a,b", "a", ",", ",,", "a,,b,", " a , b ", "é,\u{1f}\t,0", "1e-5,-0.0,#x", "'a','b'", ";,\\,\\n"]
        {
            assert_eq!(values(line).unwrap(), quoted_values(line).unwrap(), "{line:?}");
        }
        assert_eq!(values("a,\"b,c\",\"d\"\"e\"").unwrap(), ["a", "b,c", "d\"e"]);
        assert!(values("").is_err(), "an empty line has no values");
    }
}

//! CSV files of rows: one header, one row a line, read back strictly.

use crate::RecordError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// One kind of CSV row.
pub trait Row: Serialize + DeserializeOwned {
    /// What a file of these rows is called in errors.
    const KIND: &'static str;
    /// The header, in the order of the fields.
    const COLUMNS: &'static [&'static str];

    /// What makes a row unique: two rows with one key in a file are an error.
    fn key(&self) -> String;

    /// Says which value is impossible and why, in one clause.
    fn check(&self) -> Result<(), String>;
}

/// Writes a header and the rows (the header even without rows), replacing the file. Refuses what
/// [`read_rows`] would refuse: an impossible value or a repeated row.
pub fn write_rows<R: Row>(path: &Path, rows: &[R]) -> Result<(), RecordError> {
    let numbered = rows.iter().enumerate().map(|(i, row)| (i as u64 + 2, row));
    check_all(path, numbered)?;
    let fail = |error: csv::Error| RecordError::Write { path: path.to_owned(), source: io_error(error) };
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_path(path).map_err(fail)?;
    writer.write_record(R::COLUMNS).map_err(fail)?;
    for row in rows {
        writer.serialize(row).map_err(fail)?;
    }
    writer.flush().map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// Reads rows, of a file packed by gzip where only `path` with `.gz` behind it is there. The header must be exactly the format's; every value must parse, be finite and possible; no
/// row may repeat another.
pub fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>, RecordError> {
    let bytes = read(path).map_err(|source| RecordError::Read { path: path.to_owned(), source })?;
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let line_error = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        RecordError::Line { path: path.to_owned(), line, reason: reason(error) }
    };
    let header = reader.headers().map_err(line_error)?;
    if header.iter().ne(R::COLUMNS.iter().copied()) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        let expected = R::COLUMNS.join(",");
        return Err(RecordError::Columns { path: path.to_owned(), kind: R::KIND, found, expected });
    }
    let header = header.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(line_error)?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, record.deserialize(Some(&header)).map_err(line_error)?));
    }
    check_all(path, rows.iter().map(|(line, row)| (*line, row)))?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// One row as a line with its end.
pub(crate) fn to_line<R: Row>(row: &R) -> Result<String, String> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.serialize(row).map_err(reason)?;
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    let line = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    match line.trim_end_matches('\n').contains(['\n', '\r']) {
        true => Err(format!("a text of {} has a line break", row.key())),
        false => Ok(line),
    }
}

/// The row of a line without its end.
pub(crate) fn from_line<R: Row>(line: &[u8]) -> Result<R, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line);
    let record = reader.records().next().ok_or("the line is empty")?.map_err(reason)?;
    if record.len() != R::COLUMNS.len() {
        return Err(format!("has {} values, expected {}", record.len(), R::COLUMNS.len()));
    }
    record.deserialize(Some(&csv::StringRecord::from(R::COLUMNS))).map_err(reason)
}

/// Whether there are rows at `path`, as they are or packed by gzip; see [`read_rows`].
pub fn has_rows(path: &Path) -> bool {
    path.exists() || packed(path).exists()
}

/// The bytes of a file, or of the same name with `.gz` behind it, unpacked: large runs are kept packed.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let packed = packed(path);
    if path.exists() || !packed.exists() {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(packed)?).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

fn check_all<'a, R: Row + 'a>(
    path: &Path,
    rows: impl Iterator<Item = (u64, &'a R)>,
) -> Result<(), RecordError> {
    let mut seen = HashMap::new();
    for (line, row) in rows {
        let refuse = |reason| Err(RecordError::Line { path: path.to_owned(), line, reason });
        if let Err(reason) = row.check() {
            return refuse(reason);
        }
        if let Some(earlier) = seen.insert(row.key(), line) {
            return refuse(format!("repeats line {earlier} ({})", row.key()));
        }
    }
    Ok(())
}

/// The csv crate's own messages repeat the line; keep only the field and the cause.
fn reason(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Deserialize { err, .. } => match err.field() {
            Some(field) => format!("column {}: {}", field + 1, err.kind()),
            None => err.kind().to_string(),
        },
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} values, expected {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("is not UTF-8: {err}"),
        csv::ErrorKind::Io(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn io_error(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

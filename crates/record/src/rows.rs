//! CSV files of rows: a header that is read by name, one row a line, the version of the format first, a checksum last.

use crate::column::Need;
use crate::{Column, RecordError};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The version of the format that is written. Version 1 had neither versions nor checksums in its files.
pub const FORMAT: u32 = 2;
/// The first column: the version of the format.
const FORMAT_COLUMN: &str = "format";
/// The last column: CRC-32 of the line before its last comma, 8 hex digits.
const CHECKSUM_COLUMN: &str = "checksum";

/// One kind of CSV row.
pub trait Row: Default + Clone + 'static {
    /// What a file of these rows is called in errors.
    const KIND: &'static str;

    /// The columns, in the order of the file; format and checksum are added to them.
    fn columns() -> &'static [Column<Self>];

    /// Columns of older formats, read where a file has them and never written.
    fn old_columns() -> &'static [Column<Self>] {
        &[]
    }

    /// What makes a row unique: two rows with one key in a file are an error.
    fn key(&self) -> String;

    /// Says which values contradict each other, in one clause; ranges are those of the columns.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Fills in what a file of an older format does not have.
    fn upgrade(&mut self) {}
}

/// The header of a file of rows.
pub(crate) fn header<R: Row>() -> String {
    let names = R::columns().iter().map(|column| column.name);
    [FORMAT_COLUMN].into_iter().chain(names).chain([CHECKSUM_COLUMN]).collect::<Vec<_>>().join(",")
}

/// Whether all values are possible, each by itself and together.
pub(crate) fn check<R: Row>(row: &R) -> Result<(), String> {
    R::columns().iter().try_for_each(|column| column.check(row))?;
    row.check()
}

/// Writes a header and the rows (the header even without rows), replacing the file. Refuses what
/// [`read_rows`] would refuse: an impossible value or a repeated row.
pub fn write_rows<R: Row>(path: &Path, rows: &[R]) -> Result<(), RecordError> {
    check_all(path, rows.iter().enumerate().map(|(i, row)| (i as u64 + 2, row)))?;
    let mut text = header::<R>() + "\n";
    for (i, row) in rows.iter().enumerate() {
        let refuse = |reason| RecordError::Line { path: path.to_owned(), line: i as u64 + 2, reason };
        text += &to_line(row).map_err(refuse)?;
    }
    bitkv_bytes::write(path, text.as_bytes())
        .map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// Reads rows, of a file packed by gzip where only `path` with `.gz` after it is there. See [`read_rows_noting`].
pub fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>, RecordError> {
    read_rows_noting(path, &mut Vec::new())
}

/// Reads rows of this format or an older one. Columns are found by name: those that this version does not know are
/// ignored, with a sentence in `notes`; those that the file lacks are empty.
///
/// # Errors
/// When the file is of a newer format, lacks a column without which it is no file of these rows, names one twice, has a
/// line whose checksum is wrong, a value that is impossible, or a row twice.
pub fn read_rows_noting<R: Row>(path: &Path, notes: &mut Vec<String>) -> Result<Vec<R>, RecordError> {
    let fail = |source| RecordError::Read { path: path.to_owned(), source };
    let text = String::from_utf8(read(path).map_err(fail)?).map_err(|_| RecordError::Header {
        path: path.to_owned(),
        reason: "it is not UTF-8 text".to_owned(),
    })?;
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
        let refuse = |reason| RecordError::Line { path: path.to_owned(), line: number, reason };
        rows.push((number, layout.row(line).map_err(refuse)?));
    }
    check_all(path, rows.iter().map(|(line, row)| (*line, row)))?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Where the columns of a file stand.
struct Layout<R: Row> {
    /// For each place in a line, the column that stands there.
    columns: Vec<Option<&'static Column<R>>>,
    format: Option<usize>,
    has_checksums: bool,
    unknown: Vec<String>,
}

impl<R: Row> Layout<R> {
    fn new(header: &str) -> Result<Self, String> {
        let names: Vec<&str> = header.split(',').collect();
        if let Some(twice) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
            return Err(format!(
                "it names the column '{}' twice: it was put together from two files",
                names[twice]
            ));
        }
        let all = || R::columns().iter().chain(R::old_columns());
        let columns: Vec<_> = names.iter().map(|name| all().find(|column| column.name == *name)).collect();
        let required = R::columns().iter().filter(|column| column.need == Need::Required);
        if let Some(lacking) = required.map(|column| column.name).find(|name| !names.contains(name)) {
            return Err(format!(
                "it has no column '{lacking}', which every file of {} rows has: the file is of another kind, or its \
                 first line is damaged",
                R::KIND
            ));
        }
        let own = |name: &&&str| **name == FORMAT_COLUMN || **name == CHECKSUM_COLUMN;
        let is_unknown = |(name, column): &(&&str, &Option<_>)| column.is_none() && !own(name);
        let unknown =
            names.iter().zip(&columns).filter(is_unknown).map(|(name, _)| (*name).to_owned()).collect();
        let format = names.iter().position(|name| *name == FORMAT_COLUMN);
        Ok(Self { columns, format, has_checksums: names.last() == Some(&CHECKSUM_COLUMN), unknown })
    }

    fn row(&self, line: &str) -> Result<R, String> {
        let values = values(line)?;
        // A newer format may have more or fewer values, so that its number comes first.
        let format = self.format.and_then(|place| values.get(place)).map(|text| text.parse::<u32>());
        match format {
            None if self.format.is_none() => {}
            Some(Ok(format)) if (1..=FORMAT).contains(&format) => {}
            Some(Ok(format)) => return Err(newer(format)),
            _ => {
                return Err(
                    "column format: the line does not begin with the version of the format".to_owned()
                );
            }
        }
        if values.len() != self.columns.len() {
            return Err(format!(
                "has {} values, and the first line names {}",
                values.len(),
                self.columns.len()
            ));
        }
        if self.has_checksums {
            check_sum(line)?;
        }
        let mut row = R::default();
        for (value, column) in values.iter().zip(&self.columns) {
            if let Some(column) = column {
                let read = (column.get_mut)(&mut row).read(value);
                read.map_err(|reason| format!("column {}: {reason}", column.name))?;
            }
        }
        if self.format.is_none() {
            row.upgrade();
        }
        Ok(row)
    }
}

/// What is said of a file of a format that is not known yet.
pub(crate) fn newer(format: u32) -> String {
    format!(
        "is of format {format}, and this version of bitkv reads formats up to {FORMAT}: use a newer bitkv"
    )
}

/// One row as a line with its end.
pub(crate) fn to_line<R: Row>(row: &R) -> Result<String, String> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let values = R::columns().iter().map(|column| (column.get)(row).write());
    let record: Vec<String> = [FORMAT.to_string()].into_iter().chain(values).collect();
    writer.write_record(&record).map_err(|error| error.to_string())?;
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    let line = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let line = line.trim_end_matches('\n');
    match line.contains(['\n', '\r']) {
        true => Err(format!("a text of {} has a line break", row.key())),
        false => Ok(format!("{line},{:08x}\n", crc32fast::hash(line.as_bytes()))),
    }
}

/// The row of a line of this version, without its end.
pub(crate) fn from_line<R: Row>(line: &str) -> Result<R, String> {
    Layout::new(&header::<R>())?.row(line)
}

/// The values of a line; one that a crash tore has none that count.
fn values(line: &str) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let record = reader.records().next().ok_or("the line is empty")?.map_err(|error| error.to_string())?;
    Ok(record.iter().map(str::to_owned).collect())
}

fn check_sum(line: &str) -> Result<(), String> {
    let (before, found) = line.rsplit_once(',').unwrap_or((line, ""));
    let due = format!("{:08x}", crc32fast::hash(before.as_bytes()));
    match found == due {
        true => Ok(()),
        false => Err(format!(
            "the checksum is '{found}' and the values give '{due}', so the line was changed after it was written: put \
             the original file back"
        )),
    }
}

/// Whether there are rows at `path`, as they are or packed by gzip; see [`read_rows`].
pub fn has_rows(path: &Path) -> bool {
    path.exists() || packed(path).exists()
}

/// The bytes of a file, or of the same name with `.gz` after it, unpacked: large runs are kept packed.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
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

fn check_all<'a, R: Row>(path: &Path, rows: impl Iterator<Item = (u64, &'a R)>) -> Result<(), RecordError> {
    let mut seen = HashMap::new();
    for (line, row) in rows {
        let refuse = |reason| Err(RecordError::Line { path: path.to_owned(), line, reason });
        if let Err(reason) = check(row) {
            return refuse(reason);
        }
        if let Some(earlier) = seen.insert(row.key(), line) {
            return refuse(format!("repeats line {earlier} ({})", row.key()));
        }
    }
    Ok(())
}

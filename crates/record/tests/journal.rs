//! An interrupted run ends with the same bytes as an uninterrupted one.

use bitkv_record::{Column, Journal, RecordError, ResumableRun, Row, RowError, read_rows};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// A row that is short enough to truncate its file at every byte.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cell {
    key: String,
    value: Option<f64>,
    note: String,
}

impl Row for Cell {
    const KIND: &'static str = "cell";

    fn columns() -> &'static [Column<Self>] {
        static COLUMNS: LazyLock<[Column<Cell>; 3]> = LazyLock::new(|| {
            [
                Column::plain("key", |cell| &cell.key, |cell| &mut cell.key),
                Column::plain("value", |cell| &cell.value, |cell| &mut cell.value),
                Column::plain("note", |cell| &cell.note, |cell| &mut cell.note),
            ]
        });
        &*COLUMNS
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), RowError> {
        match self.value {
            Some(value) if value < 0.0 => {
                Err(RowError::OutOfRange { column: "value", value, low: 0.0, high: f64::MAX })
            }
            _ => Ok(()),
        }
    }
}

fn cells() -> Vec<Cell> {
    let cell = |key: &str, value, note: &str| Cell { key: key.into(), value, note: note.into() };
    vec![
        cell("k1", Some(1.0 / 3.0), "plain"),
        cell("k2", None, "a \"quoted\", é"),
        cell("k3", Some(0.1 + 0.2), ""),
        cell("k4", Some(1e-300), "last"),
    ]
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the file that an uninterrupted run writes. The order of measurement does not matter.
fn uninterrupted(folder: &Path) -> Vec<u8> {
    let run = ResumableRun::open(folder, "f").unwrap();
    let mut journal = run.journal::<Cell>("rows.csv").unwrap();
    cells().into_iter().rev().for_each(|cell| journal.append(cell).unwrap());
    let rows = journal.finish(&keys(&["k1", "k2", "k3", "k4"])).unwrap();
    assert_eq!(rows, cells());
    assert_eq!(run.finish().unwrap(), folder);
    fs::read(folder.join("rows.csv")).unwrap()
}

/// Resumes the run, adds one missing row per attempt, and finishes it. Returns how many rows were there at
/// first.
fn resume(folder: &Path) -> usize {
    let mut first = None;
    // One attempt more than the number of rows. A run that is not finished by then has lost some.
    for _ in 0..=cells().len() {
        let run = ResumableRun::open(folder, "f").unwrap();
        let mut journal = run.journal::<Cell>("rows.csv").unwrap();
        let found = journal.len();
        first.get_or_insert(found);
        let missing: Vec<Cell> = cells().into_iter().filter(|cell| !journal.contains(&cell.key)).collect();
        assert_eq!(missing.len(), cells().len() - found);
        match missing.into_iter().next() {
            Some(cell) => journal.append(cell).unwrap(),
            None => {
                journal.finish(&keys(&["k1", "k2", "k3", "k4"])).unwrap();
                run.finish().unwrap();
                return first.unwrap_or(found);
            }
        }
    }
    panic!("rows are lost between attempts");
}

/// Returns the rows of a journal, in the order of the cells.
fn rows(journal: &Journal<Cell>) -> Vec<Cell> {
    let mut rows = Vec::new();
    let keys = keys(&["k1", "k2", "k3", "k4"]);
    let read = journal.read(&keys, |row, _| {
        rows.push(row);
        Ok::<(), RecordError>(())
    });
    read.unwrap();
    rows
}

fn journal_file(root: &Path) -> std::path::PathBuf {
    root.join(".run.partial/.bitkv-journal/rows.csv.journal")
}

/// Writes these rows in a run that stops before `finish`. Returns the bytes of its journal.
fn begin(root: &Path, cells: Vec<Cell>) -> Vec<u8> {
    let run = ResumableRun::open(&root.join("run"), "f").unwrap();
    let mut journal: Journal<Cell> = run.journal("rows.csv").unwrap();
    cells.into_iter().for_each(|cell| journal.append(cell).unwrap());
    drop((run, journal));
    fs::read(journal_file(root)).unwrap()
}

#[test]
fn a_journal_truncated_at_any_byte_ends_with_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let expected = uninterrupted(&root.path().join("whole"));
    let bytes = begin(root.path(), cells());
    for end in 0..=bytes.len() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(journal_file(root.path()).parent().unwrap()).unwrap();
        fs::write(journal_file(root.path()), &bytes[..end]).unwrap();
        let complete = bytes[..end].iter().filter(|byte| **byte == b'\n').count().saturating_sub(2);
        let folder = root.path().join("run");
        assert_eq!(resume(&folder), complete, "truncated at byte {end}");
        assert_eq!(fs::read(folder.join("rows.csv")).unwrap(), expected, "truncated at byte {end}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only the rows are left");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "no hidden folder is left");
    }
    let rows = read_rows::<Cell>(&root.path().join("whole/rows.csv")).unwrap();
    assert_eq!(rows, cells());
}

#[test]
fn a_damaged_last_line_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let mut bytes = begin(root.path(), cells());
    let last = bytes.iter().rposition(|byte| *byte == b',').unwrap();
    bytes[last - 3..].fill(0);
    bytes.extend_from_slice(b"\n");
    fs::write(journal_file(root.path()), &bytes).unwrap();
    let run = ResumableRun::open(&root.path().join("run"), "f").unwrap();
    let journal = run.journal::<Cell>("rows.csv").unwrap();
    assert_eq!((rows(&journal), journal.notes().len()), (cells()[..3].to_vec(), 1));
}

#[test]
fn earlier_lines_that_cannot_be_read_are_named_and_measured_again() {
    let root = tempfile::tempdir().unwrap();
    let expected = uninterrupted(&root.path().join("whole"));
    let bytes = begin(root.path(), cells());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let checked = |line: &str| format!("{line},{:08x}\n", crc32fast::hash(line.as_bytes())).into_bytes();
    // The third line of the file is the first row.
    let poisons = [
        (checked("2,k1,NaN,plain"), "NaN is not"),
        (checked("2,k1,-1,plain"), "value = -1 is not between 0 and infinity"),
        (b"2,k1,1,plain,00000000\n".to_vec(), "the checksum is '00000000'"),
        (b"2,k1,\xff\n".to_vec(), "not UTF-8"),
        (b"\n".to_vec(), "empty"),
        (lines[3].to_vec(), "already in the journal"),
    ];
    for (poison, reason) in poisons {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run");
        begin(root.path(), Vec::new());
        let poisoned = [lines[0], lines[1], lines[3], &poison, lines[4]].concat();
        fs::write(journal_file(root.path()), poisoned).unwrap();
        let run = ResumableRun::open(&folder, "f").unwrap();
        let journal = run.journal::<Cell>("rows.csv").unwrap();
        assert_eq!(rows(&journal), &cells()[1..3]);
        let [note] = journal.notes() else { panic!("{:?}", journal.notes()) };
        assert!(note.contains("line 4: ") && note.contains(reason), "{note}");
        drop((run, journal));
        // The next attempt finds no damage any more.
        let run = ResumableRun::open(&folder, "f").unwrap();
        assert_eq!(run.journal::<Cell>("rows.csv").unwrap().notes().len(), 0);
        drop(run);
        assert_eq!(resume(&folder), 2);
        assert_eq!(fs::read(folder.join("rows.csv")).unwrap(), expected);
    }
}

#[test]
fn repeated_and_impossible_rows_are_errors() {
    let root = tempfile::tempdir().unwrap();
    let run = ResumableRun::open(&root.path().join("run"), "f").unwrap();
    let mut journal = run.journal::<Cell>("rows.csv").unwrap();
    journal.append(cells().remove(0)).unwrap();
    let before = fs::read(journal_file(root.path())).unwrap();
    let wrong = [
        (cells().remove(0), "already in the journal"),
        (Cell { value: Some(-1.0), ..cells().remove(1) }, "value = -1 is not between 0 and infinity"),
        (Cell { note: "a\nb".into(), ..cells().remove(1) }, "line break"),
        (Cell { note: "a\r".into(), ..cells().remove(1) }, "line break"),
    ];
    for (cell, expected) in wrong {
        let message = journal.append(cell).unwrap_err().to_string();
        assert!(message.contains("line 4") && message.contains(expected), "{message}");
    }
    assert_eq!(fs::read(journal_file(root.path())).unwrap(), before);
    assert_eq!(rows(&journal), &cells()[..1]);
}

#[test]
fn a_run_is_finished_only_with_exactly_the_rows_of_its_cells() {
    let root = tempfile::tempdir().unwrap();
    begin(root.path(), cells());
    let run = ResumableRun::open(&root.path().join("run"), "f").unwrap();
    let finish = |order: &[&str]| {
        let error = run.journal::<Cell>("rows.csv").unwrap().finish(&keys(order)).unwrap_err();
        error.to_string()
    };
    let missing = finish(&["k1", "k5", "k2", "k3", "k4", "k6"]);
    assert!(missing.contains("2 of 6 rows are missing; the first is the row of k5"), "{missing}");
    assert!(finish(&["k1", "k2", "k3"]).contains("the row of k4 belongs to no cell"));
    assert!(!run.path().join("rows.csv").exists());
}

#[test]
fn another_fingerprint_is_an_error_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let bytes = begin(root.path(), cells());
    let error = ResumableRun::open(&root.path().join("run"), "other").unwrap_err();
    assert!(matches!(error, RecordError::OtherRun { .. }), "{error}");
    let partial = root.path().join(".run.partial");
    let start = format!("'{}' is an unfinished run with another definition", partial.display());
    assert!(error.to_string().starts_with(&start), "{error}");
    assert!(error.to_string().ends_with(": give another --out, or delete that folder"), "{error}");
    assert_eq!(fs::read(journal_file(root.path())).unwrap(), bytes);
}

#[test]
fn another_definition_does_not_lose_the_rows_of_another_file() {
    let root = tempfile::tempdir().unwrap();
    begin(root.path(), cells());
    // The other definition has no such file, so it would never open this journal.
    let folder = root.path().join("run");
    let refused = ResumableRun::open(&folder, "other").unwrap_err();
    assert!(
        matches!(&refused, RecordError::OtherRun { path, .. } if path == &root.path().join(".run.partial")),
        "{refused}"
    );
    assert!(ResumableRun::open(&folder, "f").is_ok());
}

#[test]
fn an_unfinished_run_without_rows_is_replaced_by_another() {
    let root = tempfile::tempdir().unwrap();
    begin(root.path(), Vec::new());
    let run = ResumableRun::open(&root.path().join("run"), "other").unwrap();
    run.journal::<Cell>("rows.csv").unwrap().append(cells().remove(0)).unwrap();
    drop(run);
    let text = fs::read_to_string(journal_file(root.path())).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["# journal of cell rows, fingerprint other", "format,key,value,note,checksum"]);
    assert_eq!(lines.len(), 3, "{text}");
}

#[test]
fn two_processes_cannot_write_one_run() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let first = ResumableRun::open(&path, "f").unwrap();
    // A lock belongs to an open file, so one process can test what two processes do.
    let error = ResumableRun::open(&path, "f").unwrap_err();
    assert!(matches!(error, RecordError::Locked { .. }), "{error}");
    drop(first);
    ResumableRun::open(&path, "f").unwrap();
}

#[test]
fn a_finished_run_is_never_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    let bytes = uninterrupted(&path);
    // A process that is killed between the last two steps leaves this folder.
    fs::create_dir(path.join(".bitkv-journal")).unwrap();
    let error = ResumableRun::open(&path, "f").unwrap_err();
    assert!(matches!(error, RecordError::Finished { .. }), "{error}");
    assert_eq!(fs::read(path.join("rows.csv")).unwrap(), bytes);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "the leftover is removed");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn files_of_an_attempt_that_was_killed_before_the_end_are_replaced() {
    let root = tempfile::tempdir().unwrap();
    begin(root.path(), cells());
    let run = ResumableRun::open(&root.path().join("run"), "f").unwrap();
    run.write_text("rows.csv", "key,va").unwrap();
    run.write_json("notes/a.json", &[1]).unwrap();
    drop(run);
    assert_eq!(resume(&root.path().join("run")), 4);
    let expected = uninterrupted(&root.path().join("whole"));
    assert_eq!(fs::read(root.path().join("run/rows.csv")).unwrap(), expected);
    assert_eq!(fs::read_to_string(root.path().join("run/notes/a.json")).unwrap(), "[\n  1\n]\n");
}

#[test]
fn a_finished_run_is_kept_even_if_its_name_was_taken_in_the_meantime() {
    let root = tempfile::tempdir().unwrap();
    begin(root.path(), cells());
    let run = ResumableRun::open(&root.path().join("run"), "f").unwrap();
    fs::write(root.path().join("run"), "somebody else's").unwrap();
    let message = run.finish().unwrap_err().to_string();
    assert!(message.contains(".run.partial") && message.contains("taken in the meantime"), "{message}");
    assert!(journal_file(root.path()).exists(), "the rows are kept");
    assert_eq!(fs::read_to_string(root.path().join("run")).unwrap(), "somebody else's");
}

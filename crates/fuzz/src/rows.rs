//! Files of rows, and journals of unfinished runs.

use bitkv_record::{
    ContextRow, GridRow, HeadRow, MemoryRow, RawRows, RecordError, ResumableRun, Row, TimingRow, read_rows,
};
use std::path::Path;

use crate::{accepted, with_file};

/// Reads a file as rows of every kind.
pub(crate) fn read(bytes: &[u8]) {
    with_file("rows.csv", bytes, |path| {
        accepted(read_rows::<GridRow>(path));
        accepted(read_rows::<HeadRow>(path));
        accepted(read_rows::<MemoryRow>(path));
        accepted(read_rows::<TimingRow>(path));
        accepted(read_rows::<ContextRow>(path));
        accepted(lines(path));
    });
}

/// Reads a file line by line, as `bitkv merge` does.
fn lines(path: &Path) -> Result<(), RecordError> {
    let mut rows = RawRows::open::<GridRow>(path)?;
    let mut line = String::new();
    while rows.next_line(&mut line)? {
        rows.value(&line, "error")?;
    }
    rows.finish().map(drop)
}

/// Resumes a run with this journal. With any journal, the run resumes, or the error says why not;
/// and what is resumed once is resumed again, without further repairs.
pub(crate) fn journal(bytes: &[u8]) {
    with_file("run", b"", |path| {
        std::fs::remove_file(path).expect("a temporary file");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial"));
        let journals = partial.join(".bitkv-journal");
        std::fs::create_dir_all(&journals).expect("a temporary folder");
        std::fs::write(journals.join("fingerprint"), "f").expect("a temporary file");
        std::fs::write(journals.join("memory.csv.journal"), bytes).expect("a temporary file");
        if let Some(first) = accepted(resume(path)) {
            assert_eq!(accepted(resume(path)), Some((first.0, 0)), "the repaired journal is right");
        }
        std::fs::remove_dir_all(&partial).expect("a temporary folder");
    });
}

/// Returns the number of rows of a journal and of its repaired lines.
fn resume(path: &Path) -> Result<(usize, usize), RecordError> {
    let run = ResumableRun::open(path, "f")?;
    let journal = run.journal::<MemoryRow>("memory.csv")?;
    assert!(!journal.contains(&MemoryRow::default().key()) || !journal.is_empty());
    Ok((journal.len(), journal.notes().len()))
}

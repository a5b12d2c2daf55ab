//! Run folders that outlive the process: an interrupted run resumes, and nothing that was measured is lost.

use crate::run_lock::RunLock;
use crate::{Journal, RecordError, Row, folder, json, rows};
use bitkv_bytes::{Existing, disk};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// The file with the fingerprint of a run, in the folder of journals.
const FINGERPRINT: &str = "fingerprint";
/// The folder of journals in a run folder. A finished run no longer has it. No other program uses this name,
/// so removing what a killed process left removes nothing else.
const JOURNALS: &str = ".bitkv-journal";

/// A run folder that is written in several attempts.
///
/// Files are written to a hidden folder beside it, `.<name>.partial`, which stays if the process ends early.
/// [`ResumableRun::open`] with the same name and fingerprint opens it again, and [`ResumableRun::finish`]
/// renames it to `<name>`. A finished run is never overwritten, and two processes cannot write one run.
#[derive(Debug)]
pub struct ResumableRun {
    target: PathBuf,
    partial: PathBuf,
    fingerprint: String,
    _lock: RunLock,
}

impl ResumableRun {
    /// Begins the run at `path`, or resumes it. The fingerprint is one line that identifies everything the
    /// rows depend on, such as [`crate::sha256_of_parts`] of the definition, the hashes of models and texts,
    /// and the code revision.
    ///
    /// # Errors
    /// Fails if the run is finished, another process is writing it, its rows were measured under another
    /// fingerprint, or the folder cannot be written.
    pub fn open(path: &Path, fingerprint: &str) -> Result<Self, RecordError> {
        let (parent, name) = folder::parent_and_name(path)?;
        let target = parent.join(&name);
        let partial = folder::partial(parent, &name);
        refuse_finished(&target)?;
        let journals = partial.join(JOURNALS);
        let fail = |source| RecordError::Write { path: journals.clone(), source };
        disk::create_folders(&journals).map_err(fail)?;
        let path = journals.join("lock");
        let lock = RunLock::take(&path, &partial)?;
        // Another process may have finished the run between the first check and the lock.
        if let Err(finished) = refuse_finished(&target) {
            let _ = disk::remove_file(&path);
            let _ = disk::remove_empty_folder(&journals).and_then(|()| disk::remove_empty_folder(&partial));
            return Err(finished);
        }
        check_fingerprint(&journals, fingerprint)?;
        Ok(Self { target, partial, fingerprint: fingerprint.to_owned(), _lock: lock })
    }

    /// Returns the path of the finished run.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the folder in which files are written until the run is finished.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Opens or begins the journal whose rows will be in the file `name`, such as `rows.csv`.
    ///
    /// # Errors
    /// Fails if the journal was begun with another fingerprint, or cannot be read or written.
    pub fn journal<R: Row>(&self, name: &str) -> Result<Journal<R>, RecordError> {
        let path = self.path().join(JOURNALS).join(format!("{name}.journal"));
        Journal::open(path, self.path().join(name), &self.fingerprint)
    }

    /// Writes a text file and replaces that of an earlier attempt. Folders in `name` are created.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), RecordError> {
        json::write_text(&self.file_path(name)?, text, Existing::Replace)
    }

    /// Writes a value as indented JSON.
    ///
    /// # Errors
    /// Fails if the value cannot be written as JSON or the file cannot be written.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RecordError> {
        self.write_text(name, &json::render(value, name, "JSON document")?)
    }

    /// Writes rows as CSV.
    ///
    /// # Errors
    /// Fails if a value is impossible, a row is repeated or the file cannot be written.
    pub fn write_rows<R: Row>(&self, name: &str, rows: &[R]) -> Result<(), RecordError> {
        rows::write_rows(&self.file_path(name)?, rows)
    }

    /// Moves the folder to its final name, removes the journals, and returns its path.
    ///
    /// # Errors
    /// Fails if the name was taken in the meantime or the folder cannot be moved. The files then stay where
    /// they are, and the error says where.
    pub fn finish(self) -> Result<PathBuf, RecordError> {
        let (target, partial) = (self.target, self.partial);
        let moved = disk::sync_folder(&partial).and_then(|()| disk::rename_new(&partial, &target));
        if let Err(reason) = moved {
            let reason = match reason.kind() {
                io::ErrorKind::AlreadyExists => io::Error::other("the name was taken in the meantime"),
                _ => reason,
            };
            return Err(RecordError::Finish { target, partial, reason });
        }
        // The journals are removed last, so that a process that is killed between the two steps loses
        // nothing. The next attempt to open the run removes them.
        let _ = disk::remove_folder(&target.join(JOURNALS));
        Ok(target)
    }

    /// Removes the folder with everything in it. This is for work that is cheap to repeat.
    pub fn discard(self) {
        // If the folder cannot be removed, the next attempt writes over it.
        let _ = disk::remove_folder(&self.partial);
    }

    /// Returns the path of a file that is to be written, and creates the folders that contain it.
    fn file_path(&self, name: &str) -> Result<PathBuf, RecordError> {
        let path = self.partial.join(name);
        if let Some(parent) = path.parent() {
            disk::create_folders(parent)
                .map_err(|source| RecordError::Write { path: parent.to_owned(), source })?;
        }
        Ok(path)
    }
}

/// Returns the number of rows of every kind, without timings, in the journals of the unfinished run at
/// `path`; `None` if there is no such run.
pub fn unfinished_rows(path: &Path) -> Option<usize> {
    let (parent, name) = folder::parent_and_name(path).ok()?;
    let journals = folder::partial(parent, &name).join(JOURNALS);
    let rows = |name: &str| crate::journal::count_rows(&journals.join(format!("{name}.journal")));
    journals.is_dir().then(|| ["rows.csv", "heads.csv", "memory.csv"].into_iter().filter_map(rows).sum())
}

/// Checks that no journal has rows that were measured under another fingerprint, and records the fingerprint.
/// Journals without rows do not matter.
fn check_fingerprint(journals: &Path, fingerprint: &str) -> Result<(), RecordError> {
    let path = journals.join(FINGERPRINT);
    if bitkv_bytes::read_regular_bytes(&path).is_ok_and(|found| found == fingerprint.as_bytes()) {
        return Ok(());
    }
    let fail = |source| RecordError::Read { path: journals.to_owned(), source };
    for entry in std::fs::read_dir(journals).map_err(fail)? {
        let other = entry.map_err(fail)?.path();
        let is_journal = other.extension().is_some_and(|end| end == "journal");
        if is_journal && path.exists() && crate::journal::has_rows(&other)? {
            return Err(RecordError::OtherRun { path: journals.parent().unwrap_or(journals).to_owned() });
        }
    }
    json::write_text(&path, fingerprint, Existing::Replace)
}

/// Returns an error if the run is already finished.
fn refuse_finished(target: &Path) -> Result<(), RecordError> {
    if !folder::occupied(target) {
        return Ok(());
    }
    // A process that was killed during the last step of `finish` leaves the journals.
    let _ = disk::remove_folder(&target.join(JOURNALS));
    Err(RecordError::Finished { path: target.to_owned() })
}

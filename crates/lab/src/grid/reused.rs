//! Rows of earlier runs that are taken over instead of being measured again.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bitkv_record::{
    ContentError, GridRow, HeadRow, Journal, Manifest, MemoryRow, RecordError, Row, TimingRow, has_rows,
    is_unfinished, read_rows,
};

use super::in_parallel::locked;
use crate::Result;

/// The good rows of earlier runs, by key.
#[derive(Default)]
pub(super) struct Reused {
    pub(super) cells: HashMap<String, GridRow>,
    pub(super) timings: HashMap<String, TimingRow>,
    pub(super) heads: HashMap<String, HeadRow>,
    pub(super) memory: HashMap<String, MemoryRow>,
    /// The number of rows that were taken over.
    taken: AtomicUsize,
}

impl Reused {
    /// Reads the rows of finished runs. The key of a cell's row identifies everything that its numbers depend
    /// on. Rows of heads and of memory have no such keys, so they are read only from shards whose
    /// `fingerprint` is that of this run.
    ///
    /// # Errors
    /// Returns an error if a folder is not a finished run, or if one of its files was changed.
    pub(super) fn read(folders: &[PathBuf], fingerprint: &str) -> Result<Reused> {
        let mut reused = Reused::default();
        for folder in folders {
            reused.add(folder, fingerprint)?;
        }
        Ok(reused)
    }

    fn add(&mut self, folder: &Path, fingerprint: &str) -> Result<(), RecordError> {
        if is_unfinished(folder) {
            return Err(RecordError::Unfinished { path: folder.to_owned() });
        }
        if !folder.join("manifest.json").exists() || !has_rows(&folder.join("rows.csv")) {
            return Err(RecordError::NoRun { path: folder.to_owned() });
        }
        let manifest = Manifest::from_run(folder)?;
        manifest.check_files(folder)?;
        if !manifest.files.iter().any(|file| file.name == "rows.csv") {
            let file = folder.join("manifest.json").display().to_string();
            return Err(RecordError::Content { file, kind: "run manifest", reason: ContentError::NoHashes });
        }
        let good = |row: &GridRow| row.error.is_none();
        add_rows(&folder.join("rows.csv"), &mut self.cells, good)?;
        add_rows(&folder.join("timings.csv"), &mut self.timings, |_| true)?;
        if manifest.shard.is_some_and(|entry| entry.fingerprint == fingerprint) {
            add_rows(&folder.join("heads.csv"), &mut self.heads, |_| true)?;
            add_rows(&folder.join("memory.csv"), &mut self.memory, |_| true)?;
        }
        Ok(())
    }

    /// Appends the timing of a cell that was taken over. Timings are not counted as rows.
    ///
    /// # Errors
    /// Returns an error if the timing cannot be written.
    pub(super) fn take_over_timing(&self, key: &str, journal: &Mutex<Journal<TimingRow>>) -> Result<()> {
        let mut journal = locked(journal);
        match self.timings.get(key) {
            Some(timing) if self.cells.contains_key(key) && !journal.contains(key) => {
                Ok(journal.append(timing.clone())?)
            }
            _ => Ok(()),
        }
    }

    /// Appends the row with a key to a journal that lacks it, if an earlier run measured it.
    ///
    /// # Errors
    /// Returns an error if the row cannot be written.
    pub(super) fn take_over<R: Row>(
        &self,
        rows: &HashMap<String, R>,
        key: &str,
        journal: &Mutex<Journal<R>>,
    ) -> Result<()> {
        let Some(row) = rows.get(key) else { return Ok(()) };
        let mut journal = locked(journal);
        if journal.contains(key) {
            return Ok(());
        }
        journal.append(row.clone())?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the number of rows of every kind, without timings, that were taken over.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Adds the rows of a file that `wanted` returns true for. A missing file has no rows.
fn add_rows<R: Row>(
    path: &Path,
    rows: &mut HashMap<String, R>,
    wanted: impl Fn(&R) -> bool,
) -> Result<(), RecordError> {
    if has_rows(path) {
        let read = read_rows::<R>(path)?.into_iter().filter(wanted);
        rows.extend(read.map(|row| (row.key(), row)));
    }
    Ok(())
}

//! The records of a run: what a report is made from, and reading them from a run folder.

use bitkv_record::{
    Definition, GridRow, HeadRow, Manifest, MemoryRow, RecordError, Row, TimingRow, has_rows, is_unfinished,
    read_rows_noting,
};
use std::path::Path;

/// The source of a built-in model in a manifest.
pub(crate) const BUILT_IN: &str = "built-in";

/// Everything that a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The experiment definition.
    pub definition: &'a Definition,
    /// The manifest: program, machine, models and texts.
    pub manifest: &'a Manifest,
    /// The measured cells, including those that failed.
    pub rows: &'a [GridRow],
    /// The times of the cells; may be empty.
    pub timings: &'a [TimingRow],
    /// The entropies of heads, from the profile studies of the definition; may be empty.
    pub heads: &'a [HeadRow],
    /// Bytes by context length, from the memory studies of the definition; may be empty.
    pub memory: &'a [MemoryRow],
    /// The run folder, if there is one.
    pub folder: Option<&'a str>,
}

/// A finished run that was read from its folder.
#[derive(Debug, Clone)]
pub struct RecordedRun {
    definition: Definition,
    manifest: Manifest,
    rows: Vec<GridRow>,
    timings: Vec<TimingRow>,
    heads: Vec<HeadRow>,
    memory: Vec<MemoryRow>,
    folder: String,
    /// Columns in the files that this version does not know and ignores, with one sentence per file.
    pub notes: Vec<String>,
}

impl RecordedRun {
    /// Reads a finished run from its folder.
    ///
    /// # Errors
    /// Returns an error if the folder is not that of a finished run, or if one of its files cannot be read.
    pub fn read(folder: &Path) -> Result<Self, RecordError> {
        let definition = folder.join("definition.toml");
        let manifest = folder.join("manifest.json");
        if is_unfinished(folder) {
            return Err(RecordError::Unfinished { path: folder.to_owned() });
        }
        if !definition.exists() || !manifest.exists() || !has_rows(&folder.join("rows.csv")) {
            return Err(RecordError::NoRun { path: folder.to_owned() });
        }
        let mut notes = Vec::new();
        // The manifest is read first: if its format is newer, no other file is read.
        let manifest = Manifest::from_run(folder)?;
        let recorded = Self {
            manifest,
            definition: Definition::read(&definition)?,
            rows: read_rows_noting(&folder.join("rows.csv"), &mut notes)?,
            timings: optional(&folder.join("timings.csv"), &mut notes)?,
            heads: optional(&folder.join("heads.csv"), &mut notes)?,
            memory: optional(&folder.join("memory.csv"), &mut notes)?,
            folder: folder.display().to_string(),
            notes,
        };
        // Hashes are checked last, because an error that names a line says more.
        recorded.manifest.check_files(folder)?;
        Ok(recorded)
    }

    /// Returns the borrowed form that reports are made from.
    pub fn run(&self) -> Run<'_> {
        Run {
            definition: &self.definition,
            manifest: &self.manifest,
            rows: &self.rows,
            timings: &self.timings,
            heads: &self.heads,
            memory: &self.memory,
            folder: Some(&self.folder),
        }
    }
}

/// Reads rows. The result is empty if there is no such file.
fn optional<R: Row>(path: &Path, notes: &mut Vec<String>) -> Result<Vec<R>, RecordError> {
    if has_rows(path) { read_rows_noting(path, notes) } else { Ok(Vec::new()) }
}

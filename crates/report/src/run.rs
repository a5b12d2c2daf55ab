//! What a run recorded.

use bitkv_record::{
    Definition, GridRow, HeadRow, Manifest, MemoryRow, RecordError, Row, TimingRow, has_rows,
    read_rows_noting,
};
use std::path::Path;

/// Everything that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What was asked.
    pub definition: &'a Definition,
    /// What was run.
    pub manifest: &'a Manifest,
    /// Cells, failures included.
    pub rows: &'a [GridRow],
    /// What the cells cost; may be empty.
    pub timings: &'a [TimingRow],
    /// Entropies of heads, of the profiles of the definition; may be empty.
    pub heads: &'a [HeadRow],
    /// Bytes by context length, of the memory studies of the definition; may be empty.
    pub memory: &'a [MemoryRow],
    /// The run folder, where there is one.
    pub folder: Option<&'a str>,
}

/// A finished run, read from its folder.
#[derive(Debug, Clone)]
pub struct Recorded {
    definition: Definition,
    manifest: Manifest,
    rows: Vec<GridRow>,
    timings: Vec<TimingRow>,
    heads: Vec<HeadRow>,
    memory: Vec<MemoryRow>,
    folder: String,
    /// What of the files this version does not know and ignores, a sentence each.
    pub notes: Vec<String>,
}

impl Recorded {
    /// Reads a finished run; no model is opened.
    ///
    /// # Errors
    /// When the folder is none, or what it holds cannot be read.
    pub fn read(folder: &Path) -> Result<Self, RecordError> {
        let definition = folder.join("definition.toml");
        if !definition.exists() || !has_rows(&folder.join("rows.csv")) {
            return Err(RecordError::NoRun { path: folder.to_owned() });
        }
        let mut notes = Vec::new();
        // The manifest first: of a newer format nothing else need be looked at.
        let manifest = Manifest::read(&folder.join("manifest.json"))?;
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
        // Last, because what is wrong with a line says more.
        recorded.manifest.check_files(folder)?;
        Ok(recorded)
    }

    /// What its report is made of.
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

fn optional<R: Row>(path: &Path, notes: &mut Vec<String>) -> Result<Vec<R>, RecordError> {
    if has_rows(path) { read_rows_noting(path, notes) } else { Ok(Vec::new()) }
}

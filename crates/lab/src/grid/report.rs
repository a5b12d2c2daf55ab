//! The reports of a run, made again from what it recorded.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bitkv_record::{Definition, GridRow, HeadRow, Manifest, Row, TimingRow, has_rows, read_rows};
use bitkv_report::{GridInput, grid_figures, render_grid_html, render_grid_markdown};

/// What a finished run recorded.
pub struct Recorded {
    definition: Definition,
    manifest: Manifest,
    rows: Vec<GridRow>,
    timings: Vec<TimingRow>,
    heads: Vec<HeadRow>,
    folder: String,
}

impl Recorded {
    /// What its report is made of.
    pub fn input(&self) -> GridInput<'_> {
        GridInput {
            definition: &self.definition,
            manifest: &self.manifest,
            rows: &self.rows,
            timings: &self.timings,
            heads: &self.heads,
            run: Some(&self.folder),
        }
    }
}

/// Reads a finished run of a definition.
///
/// # Errors
/// When the folder is none, or what it holds cannot be read.
pub fn read_run(folder: &Path) -> Result<Recorded> {
    let definition = folder.join("definition.toml");
    ensure!(
        definition.exists() && has_rows(&folder.join("rows.csv")),
        "{} is no finished run of a definition: name a folder of `bitkv run`, with definition.toml and rows.csv",
        folder.display()
    );
    Ok(Recorded {
        definition: Definition::read(&definition)?,
        manifest: Manifest::read(&folder.join("manifest.json"))?,
        rows: read_rows(&folder.join("rows.csv"))?,
        timings: optional(&folder.join("timings.csv"))?,
        heads: optional(&folder.join("heads.csv"))?,
        folder: folder.display().to_string(),
    })
}

fn optional<R: Row>(path: &Path) -> Result<Vec<R>> {
    if has_rows(path) { Ok(read_rows(path)?) } else { Ok(Vec::new()) }
}

/// Writes the reports of a finished run anew; its rows stay as they are.
///
/// # Errors
/// When a file cannot be written.
pub fn render(folder: &Path, run: &Recorded) -> Result<()> {
    for (name, text) in files(&run.input()) {
        let path = folder.join(name);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        written
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("cannot write the report {}", path.display()))?;
    }
    Ok(())
}

/// The files of a report beside the rows, with their contents.
pub(super) fn files(input: &GridInput<'_>) -> Vec<(String, String)> {
    let mut files = grid_figures(input);
    files.push(("report.md".into(), render_grid_markdown(input)));
    files.push(("report.html".into(), render_grid_html(input)));
    files
}

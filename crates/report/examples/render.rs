//! Renders the rows of a finished run again: `cargo run -p bitkv-report --example render RUN_FOLDER [OUT_FOLDER]`.
//!
//! Writes `report.html`, `report.md` and their figures to the second folder, or back to the first, and prints what a
//! terminal shows.

use bitkv_record::{Manifest, Verification, read_rows};
use bitkv_report::{Input, figures, render_html, render_markdown, render_terminal};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let run = arguments.next().ok_or("name the run folder to render")?;
    let out = arguments.next().unwrap_or_else(|| run.clone());
    let manifest = Manifest::read(&run.join("manifest.json"))?;
    let verification = Verification::read(&run.join("verification.json"))?;
    let memory = read_rows(&run.join("memory.csv"))?;
    let heads = read_rows(&run.join("heads.csv"))?;
    let cells = read_rows(&run.join("cells.csv"))?;
    let input = Input {
        manifest: &manifest,
        verification: &verification,
        memory: &memory,
        heads: &heads,
        cells: &cells,
    };
    write(&out.join("report.html"), &render_html(&input))?;
    write(&out.join("report.md"), &render_markdown(&input))?;
    for (path, svg) in figures(&input) {
        write(&out.join(path), &svg)?;
    }
    print!("{}", render_terminal(&input));
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}.", path.display()).into())
}

//! Finds and lists experiment definitions in the folder `experiments`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_record::Definition;
use bitkv_report::Table;
use bitkv_spelling::nearest;
use serde_json::{Value, json};

/// The folder in which definitions are looked up by name, relative to the working directory.
const EXPERIMENTS: &str = "experiments";

/// Returns the path of a definition, which is either a file or a name in the folder of experiments.
///
/// # Errors
/// When there is no such definition. The message names the nearest one.
pub(crate) fn find(definition: &Path) -> Result<PathBuf> {
    let named = Path::new(EXPERIMENTS).join(definition).with_extension("toml");
    if definition.exists() && !definition.is_dir() {
        return Ok(definition.to_owned());
    }
    if definition.extension().is_none() && named.exists() {
        return Ok(named);
    }
    let shown = definition.display();
    if definition.is_dir() {
        bail!(
            "{shown} is a folder: name a definition in it, such as {}",
            definition.join("NAME.toml").display()
        );
    }
    let names = names();
    let stem = definition.file_stem().unwrap_or_default().to_string_lossy();
    match nearest(&stem, names.iter().map(String::as_str)) {
        Some(name) => bail!(
            "there is no definition {shown}: use {name} if that is meant (`bitkv run --list` shows all)"
        ),
        None if names.is_empty() => bail!("there is no definition {shown}: name a TOML file"),
        None => bail!(
            "there is no definition {shown}: use one that `bitkv run --list` shows, or name a TOML file"
        ),
    }
}

/// Returns the names of the definitions in the folder of experiments; empty if it cannot be read.
fn names() -> Vec<String> {
    let paths = paths().unwrap_or_default();
    paths.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

/// Returns the paths of the definitions in the folder of experiments, sorted.
fn paths() -> std::io::Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(EXPERIMENTS)?.map(|file| Ok(file?.path()));
    let mut paths = files.collect::<std::io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    Ok(paths)
}

/// Whether the working directory has a folder of experiments.
pub(crate) fn folder_exists() -> bool {
    Path::new(EXPERIMENTS).is_dir()
}

/// Reads all definitions in the folder, sorted by file name.
pub(crate) fn read() -> Result<Vec<Definition>> {
    ensure!(
        folder_exists(),
        "there is no folder {EXPERIMENTS} here: run bitkv in the repository, or name a definition's file"
    );
    let paths = paths().with_context(|| format!("cannot read {EXPERIMENTS}"))?;
    if paths.is_empty() {
        bail!("the folder {EXPERIMENTS} contains no definition: name a definition's file");
    }
    Ok(paths.iter().map(|path| Definition::read(path)).collect::<Result<_, _>>()?)
}

/// Returns the file of every definition, its question, and the names of its experiments as JSON.
pub(crate) fn document(definitions: &[Definition]) -> Value {
    let entry = |d: &Definition| json!({"file": d.file(), "analysis": d.analysis, "experiments": d.names()});
    definitions.iter().map(entry).collect()
}

/// Returns a table with one row per file, which shows the first sentence of its question.
pub(crate) fn table(definitions: &[Definition]) -> Table {
    let mut table = Table::titled("Definitions", "file|experiments|question");
    for definition in definitions {
        let words: Vec<&str> = definition.analysis.split_whitespace().collect();
        let analysis = words.join(" ");
        let question = analysis.split_inclusive(['?', '.']).next().unwrap_or_default();
        table.push(vec![definition.file().to_owned(), definition.names().join(", "), question.to_owned()]);
    }
    table
}

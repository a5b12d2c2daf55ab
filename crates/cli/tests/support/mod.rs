//! Runs the built program in a temporary folder.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod grid;
pub(crate) mod hub;
pub(crate) mod model;
pub(crate) mod training;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary folder in which commands run. It contains the trained test models, and is deleted when
/// dropped.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for name in model::FROZEN {
            std::os::unix::fs::symlink(model::frozen(name), place.path(name)).unwrap();
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and creates its parent folders.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a JSON file of `count` token ids that are not special.
    pub(crate) fn tokens(&self, name: &str, count: u32) {
        let ids: Vec<u32> = (0..count).map(|i| 100 + (i * i + 7 * i) % 131).collect();
        self.write(name, serde_json::to_string(&ids).unwrap());
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bitkv"));
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its standard output.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with `--json`, which must succeed, and returns its document.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Asserts that a command is refused: with exit code 1, one sentence that contains all of `says` and
    /// repeats nothing, nothing on standard output, and no change of files or folders.
    #[track_caller]
    pub(crate) fn refuses(&self, arguments: &[&str], says: &[&str]) {
        let before = self.entries();
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?} prints before it fails");
        assert!(said.starts_with("error: ") && said.ends_with('\n'), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        for part in says {
            assert!(said.contains(part), "{arguments:?} does not say {part}: {said}");
        }
        let clauses: Vec<&str> = said.trim().split(": ").collect();
        let twice = (1..clauses.len()).find(|&i| clauses[..i].contains(&clauses[i]));
        assert_eq!(twice, None, "{arguments:?} repeats itself: {said}");
        assert_eq!(self.entries(), before, "{arguments:?} leaves or removes a file");
    }

    /// Returns the paths of everything in the folder, at any depth.
    pub(crate) fn entries(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(self.0.path(), &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        }
        found.push(path);
    }
}

/// Returns the keys of an object, sorted.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("not an object: {value}"));
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Returns a JSON number as a count.
#[track_caller]
pub(crate) fn count(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("not a count: {value}")) as usize
}

/// Returns a JSON number.
#[track_caller]
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// Returns the elements of a JSON list.
#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

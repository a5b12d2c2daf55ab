//! The committed results: finds the newest run of a name and reads its files.

use bitkv_record::{Row, read_rows};
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the folder of the newest run of `name` in `results`: that with the highest suffix `-2`, `-3` and
/// so on, or the folder without a suffix if no later run is committed.
pub(crate) fn newest(name: &str) -> PathBuf {
    let results = repository().join("results");
    let entries = fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().file_name());
    let runs = entries.filter_map(|file| Some((number(file.to_str()?, name)?, file)));
    let (_, folder) =
        runs.max().unwrap_or_else(|| panic!("results has no run {name}: make it with regenerate.sh"));
    results.join(folder)
}

/// Returns the newest run of `name`, or of `earlier`, its name at an earlier time, if there is no run of
/// `name`.
pub(crate) fn newest_or(name: &str, earlier: &str) -> PathBuf {
    match repository().join("results").join(name).exists() {
        true => newest(name),
        false => newest(earlier),
    }
}

/// Returns the rows of a file in a run folder.
pub(crate) fn rows<R: Row>(folder: &Path, file: &str) -> Vec<R> {
    read_rows(&folder.join(file)).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the path of a run folder in the repository, such as `results/sinks-2`.
pub(crate) fn name_of(folder: &Path) -> String {
    format!("results/{}", folder.file_name().unwrap().to_str().unwrap())
}

/// Returns the number of the run in a folder's name: 1 for `sinks`, 2 for `sinks-2`, `None` for another name.
fn number(folder: &str, name: &str) -> Option<u32> {
    match folder.strip_prefix(name)? {
        "" => Some(1),
        suffix => suffix.strip_prefix('-')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn later_runs_have_a_number_as_suffix() {
        let numbers = ["sinks", "sinks-2", "sinks-10", "sinks-old", "sinkss", "other"]
            .map(|folder| number(folder, "sinks"));
        assert_eq!(numbers, [Some(1), Some(2), Some(10), None, None, None]);
    }
}

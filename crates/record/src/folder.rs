//! Names of run folders.

use crate::RecordError;
use std::path::{Path, PathBuf};

/// The name at which no finished run is yet: `path` itself, or the same with `-2`, `-3` and so on after it. An
/// unfinished run under that name is there to be resumed.
///
/// # Errors
/// When the path has no name, such as `/` and `..`.
pub fn free_name(path: &Path) -> Result<PathBuf, RecordError> {
    let (_, name) = parent_and_name(path)?;
    let numbered = (2..u32::MAX).map(|number| path.with_file_name(format!("{name}-{number}")));
    let free = [path.to_owned()].into_iter().chain(numbered).find(|path| !occupied(path));
    Ok(free.expect("no folder has billions of entries"))
}

/// The folder a run will be in, and its name there.
pub(crate) fn parent_and_name(path: &Path) -> Result<(&Path, String), RecordError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| RecordError::RunName { path: path.to_owned() })?;
    Ok((path.parent().unwrap_or(Path::new("")), name.to_owned()))
}

/// Whether anything has this name, a dangling link included.
pub(crate) fn occupied(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_without_a_finished_run_is_free() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        assert_eq!(free_name(&path).unwrap(), path);
        std::fs::create_dir(&path).unwrap();
        std::fs::create_dir(root.path().join(".run-2.partial")).unwrap();
        assert_eq!(free_name(&path).unwrap(), root.path().join("run-2"), "an unfinished run is resumed");
        std::fs::create_dir(root.path().join("run-2")).unwrap();
        assert_eq!(free_name(&path).unwrap(), root.path().join("run-3"));
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in ["", "/", ".."] {
            assert!(matches!(free_name(Path::new(path)), Err(RecordError::RunName { .. })), "{path}");
        }
    }
}

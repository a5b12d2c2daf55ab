//! Chooses and checks the names of run folders.

use crate::RecordError;
use std::path::{Path, PathBuf};

/// Returns the first name without a finished run: `path`, or `path` followed by `-2`, `-3` and so on. An
/// unfinished run may have that name, and is then resumed.
///
/// # Errors
/// Fails if the path does not end in a name, like `/` and `..`.
pub fn free_name(path: &Path) -> Result<PathBuf, RecordError> {
    let (_, name) = parent_and_name(path)?;
    let numbered = (2..u32::MAX).map(|number| path.with_file_name(format!("{name}-{number}")));
    let free = [path.to_owned()].into_iter().chain(numbered).find(|path| !occupied(path));
    Ok(free.expect("no folder has billions of entries"))
}

/// Splits the path of a run into the folder that contains it and its name.
pub(crate) fn parent_and_name(path: &Path) -> Result<(&Path, String), RecordError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| RecordError::RunName { path: path.to_owned() })?;
    Ok((path.parent().unwrap_or(Path::new("")), name.to_owned()))
}

/// Returns the folder in which the run `name` is written until it is finished.
pub(crate) fn partial(parent: &Path, name: &str) -> PathBuf {
    parent.join(format!(".{name}.partial"))
}

/// Returns whether `path` names a run that was interrupted: it does not exist, but the hidden folder in which
/// it is written does.
pub fn is_unfinished(path: &Path) -> bool {
    let partial = parent_and_name(path).map(|(parent, name)| partial(parent, &name));
    !occupied(path) && partial.is_ok_and(|partial| partial.is_dir())
}

/// Returns whether anything has this path, even a dangling link.
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
        assert!(!is_unfinished(&path) && !is_unfinished(&root.path().join("run-2")), "both are finished");
        std::fs::create_dir(root.path().join(".run-4.partial")).unwrap();
        assert!(is_unfinished(&root.path().join("run-4")) && !is_unfinished(&root.path().join("run-5")));
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in ["", "/", ".."] {
            assert!(matches!(free_name(Path::new(path)), Err(RecordError::RunName { .. })), "{path}");
        }
    }
}

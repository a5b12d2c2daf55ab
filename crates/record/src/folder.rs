//! Run folders: written beside their place, moved into it when complete, never overwritten.

use crate::{RecordError, Row, json, rows};
use serde::Serialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A run folder being written.
///
/// Files go into a hidden sibling, `.<name>.partial`, which [`RunFolder::finish`] renames to `<name>`. Dropping
/// the value without finishing removes the sibling, so a failed run leaves nothing half-written. A name already in
/// use is left alone: the run becomes `<name>-2`, `<name>-3` and so on.
#[derive(Debug)]
pub struct RunFolder {
    target: PathBuf,
    partial: PathBuf,
    /// Cleared when the files must outlive the value.
    discard: bool,
    /// A parent that was made for this run.
    made: Option<PathBuf>,
}

impl RunFolder {
    /// Begins a run folder at `path`, creating its parents. The final name is fixed here, see
    /// [`RunFolder::target`], so that the run's own files can state it.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let (parent, name) = parent_and_name(path)?;
        let fail = |path: &Path, source| RecordError::Write { path: path.to_owned(), source };
        let made = Some(parent).filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
        if !parent.as_os_str().is_empty() {
            std::fs::create_dir_all(parent).map_err(|source| fail(parent, source))?;
        }
        let mut attempt = 1;
        loop {
            let name = if attempt == 1 { name.clone() } else { format!("{name}-{attempt}") };
            let (target, partial) = (parent.join(&name), parent.join(format!(".{name}.partial")));
            attempt += 1;
            if occupied(&target) {
                continue;
            }
            match std::fs::create_dir(&partial) {
                Ok(()) => {}
                // Another run is writing under this name, or was killed before it could clean up.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(source) => return Err(fail(&partial, source)),
            }
            let made = made.map(Path::to_owned);
            let folder = Self { target, partial, discard: true, made };
            // Another run may have finished between the two steps above; dropping gives the name back.
            if !occupied(&folder.target) {
                return Ok(folder);
            }
        }
    }

    /// A folder that another value takes care of until it is finished.
    pub(crate) fn resumed(target: PathBuf, partial: PathBuf) -> Self {
        Self { target, partial, discard: false, made: None }
    }

    /// Where the run will be when finished.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where files are written until then.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes a text file; `name` may contain folders, which are created.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), RecordError> {
        json::write_text(&self.place(name)?, text)
    }

    /// Writes a value as indented JSON.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), RecordError> {
        let text = json::render(value, name, "JSON document")?;
        self.write_text(name, &text)
    }

    /// Writes rows as CSV.
    pub fn write_rows<R: Row>(&self, name: &str, rows: &[R]) -> Result<(), RecordError> {
        rows::write_rows(&self.place(name)?, rows)
    }

    /// Moves the folder to its name and returns it. Should the name have been taken meanwhile, the files are kept
    /// where they are and the error says where.
    pub fn finish(mut self) -> Result<PathBuf, RecordError> {
        self.discard = false;
        let moved = match occupied(&self.target) {
            true => Err("the name was taken meanwhile".to_owned()),
            false => std::fs::rename(&self.partial, &self.target).map_err(|error| error.to_string()),
        };
        let (target, partial) = (self.target.clone(), self.partial.clone());
        match moved {
            Ok(()) => Ok(target),
            Err(reason) => Err(RecordError::Finish { target, partial, reason }),
        }
    }

    fn place(&self, name: &str) -> Result<PathBuf, RecordError> {
        let path = self.partial.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| RecordError::Write { path: parent.to_owned(), source })?;
        }
        Ok(path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.discard {
            // Nothing can be reported from here, and a leftover does no harm: its name is skipped.
            let _ = std::fs::remove_dir_all(&self.partial);
            // Only while it is empty.
            let _ = self.made.as_ref().map(std::fs::remove_dir);
        }
    }
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

    fn entries(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_finished_run_appears_whole_and_a_dropped_one_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("runs/first");
        let run = RunFolder::create(&path).unwrap();
        run.write_text("figures/a.svg", "<svg/>").unwrap();
        run.write_json("options.json", &[1, 2]).unwrap();
        assert_eq!(entries(&root.path().join("runs")), [".first.partial"]);
        assert_eq!(run.finish().unwrap(), path);
        assert_eq!(entries(&root.path().join("runs")), ["first"]);
        assert_eq!(std::fs::read_to_string(path.join("figures/a.svg")).unwrap(), "<svg/>");

        let run = RunFolder::create(&root.path().join("runs/second")).unwrap();
        run.write_text("half", "written").unwrap();
        drop(run);
        assert_eq!(entries(&root.path().join("runs")), ["first"]);
    }

    #[test]
    fn names_in_use_are_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let write = |content: &str| {
            let run = RunFolder::create(&path).unwrap();
            run.write_text("content", content).unwrap();
            run
        };
        write("one").finish().unwrap();
        let (second, third) = (write("two"), write("three"));
        assert_eq!(third.target(), root.path().join("run-3"));
        third.finish().unwrap();
        second.finish().unwrap();
        assert_eq!(entries(root.path()), ["run", "run-2", "run-3"]);
        assert_eq!(std::fs::read_to_string(path.join("content")).unwrap(), "one");
    }

    #[test]
    fn a_finished_run_is_kept_even_if_its_name_was_taken_meanwhile() {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&root.path().join("run")).unwrap();
        run.write_text("content", "dear").unwrap();
        std::fs::write(root.path().join("run"), "somebody else's").unwrap();
        let message = run.finish().unwrap_err().to_string();
        assert!(message.contains(".run.partial"), "{message}");
        assert_eq!(std::fs::read_to_string(root.path().join(".run.partial/content")).unwrap(), "dear");
        assert_eq!(std::fs::read_to_string(root.path().join("run")).unwrap(), "somebody else's");
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in ["", "/", ".."] {
            assert!(matches!(RunFolder::create(Path::new(path)), Err(RecordError::RunName { .. })), "{path}");
        }
    }
}

//! [`Target`] is a file that an option such as `--out` names. All commands have the same rules for it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bitkv_bytes::Existing;

/// The option that allows files to be replaced.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ForceArgument {
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
}

impl ForceArgument {
    /// Returns what happens to a file that exists.
    pub(crate) fn existing(self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }
}

/// A file that is to be written. It appears complete or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    option: &'a str,
    path: &'a Path,
    existing: Existing,
}

impl<'a> Target<'a> {
    /// Checks before long work that a file can be written where an option says.
    ///
    /// # Errors
    /// When the folder of the file does not exist; when the path is a folder, a link, a pipe or a device; or
    /// when the file exists and `--force` is not given. The message names `option`.
    pub(crate) fn new(option: &'a str, path: &'a Path, force: ForceArgument) -> Result<Target<'a>> {
        let shown = path.display();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(
            folder.is_dir(),
            "{option} {shown}: there is no folder {}: make it first, or name another file",
            folder.display()
        );
        let existing = force.existing();
        ensure!(
            existing == Existing::Replace || !path.is_file() || path.is_symlink(),
            "{option} {shown}: the file exists: name another file, or add --force to replace it"
        );
        bitkv_bytes::check_target(path, existing).with_context(|| format!("{option} {shown}"))?;
        Ok(Target { option, path, existing })
    }

    /// Does the same for an option that may be absent.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub(crate) fn of(
        option: &'a str,
        path: Option<&'a Path>,
        force: ForceArgument,
    ) -> Result<Option<Target<'a>>> {
        path.map(|path| Target::new(option, path, force)).transpose()
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// Returns what happens to a file that exists.
    pub(crate) fn existing(&self) -> Existing {
        self.existing
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written, or when another process wrote it since it was checked.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        let written = bitkv_bytes::write_with(self.path, bytes, self.existing);
        written.with_context(|| format!("{} {}: cannot write the file", self.option, self.path.display()))
    }
}

//! Atomic file writes: a reader sees the old file or the complete new one, never a part of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// A file that is written under a temporary name in the folder of its final path.
///
/// [`AtomicFile::commit`] renames it to the final path. If it is dropped before that, the temporary file is
/// removed and the old file remains. If the path is a symbolic link, the file that it points to is replaced.
/// A pipe or a device is written directly, because it cannot be replaced by renaming.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    /// The temporary path; `None` if `path` itself is written.
    temporary: Option<PathBuf>,
    /// `None` after the commit.
    file: Option<BufWriter<File>>,
}

impl AtomicFile {
    /// Creates the temporary file for a file whose final path is `path`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create(path: &Path) -> io::Result<AtomicFile> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let is_special = fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let (file, temporary) = match is_special {
            true => (OpenOptions::new().write(true).open(&path)?, None),
            false => create_temporary(&path).map(|(file, name)| (file, Some(name)))?,
        };
        Ok(AtomicFile { path, temporary, file: Some(BufWriter::new(file)) })
    }

    /// Returns the final path, with symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the buffered bytes to the disk and renames the temporary file to the final path.
    ///
    /// # Errors
    /// Returns an error if writing or renaming fails. The temporary file is then removed.
    pub fn commit(mut self) -> io::Result<()> {
        let Some(writer) = &mut self.file else { return Ok(()) };
        writer.flush()?;
        if let Some(temporary) = &self.temporary {
            writer.get_ref().sync_all()?;
            fs::rename(temporary, &self.path)?;
            sync_folder_of(&self.path);
        }
        self.file = None;
        Ok(())
    }
}

/// Writes `bytes` to `path` atomically and replaces any existing file.
///
/// # Errors
/// Returns an error if the file cannot be written. The old file then remains.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Creates a new file with an unused name in the folder of `path`. If another machine has taken the name on a
/// shared disk, tries the next one.
fn create_temporary(path: &Path) -> io::Result<(File, PathBuf)> {
    loop {
        let name = unused_name(path);
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (file, name)),
        }
    }
}

/// Writes the new name of a file to the disk, so that a crash of the machine does not bring the old file
/// back.
pub(crate) fn sync_folder_of(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Some file systems cannot sync a folder. The file itself is complete in any case.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
}

/// Removes what earlier processes left when they were killed while they wrote `path`: the names of
/// [`unused_name`] whose process has ended on this machine. A file that cannot be removed stays.
pub fn remove_abandoned(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = path.file_name().unwrap_or_default().to_string_lossy();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(writer) = name.to_str().and_then(|name| writer_of(name, &target)) else { continue };
        if writer != process::id() && !Path::new("/proc").join(writer.to_string()).exists() {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

/// Returns the process that made a name with [`unused_name`] for the file `target`, or `None` if the name is
/// another one.
fn writer_of(name: &str, target: &str) -> Option<u32> {
    let numbers = name.strip_prefix('.')?.strip_prefix(target)?.strip_prefix('.')?.strip_suffix(".tmp")?;
    let (process, count) = numbers.split_once('-')?;
    count.parse::<u32>().ok().and_then(|_| process.parse().ok())
}

/// Returns the path of a hidden file in the folder of `path`. No other process on this machine and no other
/// thread uses this name.
pub fn unused_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{count}.tmp", process::id()))
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Dropping the writer itself would write its buffer.
            drop(file.into_parts());
            // A failure here is not reported: the error that matters was returned earlier.
            if let Some(temporary) = &self.temporary {
                let _ = fs::remove_file(temporary);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"whole".to_vec(), vec!["a".to_string()])
        );
    }

    #[test]
    fn dropping_leaves_the_old_file_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "before").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(&[7; 1 << 16]).unwrap();
        drop(file);
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"before".to_vec(), vec!["a".to_string()])
        );
    }

    #[test]
    fn files_of_killed_processes_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // No process has such a number on Linux.
        let (left, left_folder) = (path(".a.4294967295-0.tmp"), path(".a.4294967294-3.tmp"));
        let kept = [unused_name(&path("a")), path("a.tmp"), path(".a.x-0.tmp"), path(".b.4294967295-0.tmp")];
        fs::create_dir(&left_folder).unwrap();
        kept.iter().chain([&left]).for_each(|path| fs::write(path, "").unwrap());
        remove_abandoned(&path("a"));
        assert!(!left.exists() && !left_folder.exists());
        assert!(kept.iter().all(|path| path.exists()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_are_written_directly() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"after").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"after");
        write(Path::new("/dev/null"), b"nothing").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_failed_write_leaves_the_existing_files() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("none/a"), b"new").is_err());
        // A folder exists at the final path, so renaming fails.
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("b"), "before").unwrap();
        assert!(write(&path, b"new").is_err());
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(names(&path), ["b"]);
    }
}

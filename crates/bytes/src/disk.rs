//! Every change that bitkv makes to the disk: files are created, written and synced, and files and folders
//! are renamed and removed. Tests can let any of these changes fail; see the module `fault`.
#![allow(clippy::disallowed_methods, reason = "a folder is opened to be synced")]

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::fault::{self, Change, Outcome};

/// Lets a write beyond the largest allowed size of a file, as `ulimit -f` sets it, return an error. Otherwise
/// a signal would end the process without a word.
pub fn report_size_limit() {
    #[cfg(unix)]
    // SAFETY: ignoring a signal runs no code of this process.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// A file that is open for writing.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
}

impl DiskFile {
    /// Creates a file.
    ///
    /// # Errors
    /// Returns an error if anything has this path, or if the file cannot be created.
    pub fn create_new(path: &Path) -> io::Result<DiskFile> {
        DiskFile::open(path, OpenOptions::new().write(true).create_new(true))
    }

    /// Opens a file for appending; creates it if it does not exist.
    ///
    /// # Errors
    /// Returns an error if it is not a regular file or cannot be opened.
    pub fn append(path: &Path) -> io::Result<DiskFile> {
        if path.symlink_metadata().is_ok() {
            crate::open_regular(path)?;
        }
        DiskFile::open(path, OpenOptions::new().append(true).create(true))
    }

    fn open(path: &Path, options: &OpenOptions) -> io::Result<DiskFile> {
        fault::before(Change::Open, path)?;
        Ok(DiskFile { file: options.open(path)?, path: path.into() })
    }

    /// Returns the path with which the file was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Locks the file until it is closed. Another process then cannot lock it. The lock also ends with the
    /// process.
    ///
    /// # Errors
    /// Returns an error if another process has locked the file, or the file system has no locks.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.file.try_lock()
    }

    /// Truncates the file to `length` bytes.
    ///
    /// # Errors
    /// Returns an error if the file cannot be truncated.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        fault::before(Change::Truncate, &self.path)?;
        self.file.set_len(length)
    }

    /// Waits until the content is on the disk.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn sync(&self) -> io::Result<()> {
        fault::before(Change::Sync, &self.path)?;
        self.file.sync_all()
    }

    /// Whether `path` still names this file, which another process may have removed.
    #[cfg(unix)]
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let (own, there) = (self.file.metadata(), fs::symlink_metadata(path));
        own.is_ok_and(|own| there.is_ok_and(|there| same(&own, &there)))
    }

    /// Whether `path` still names a file.
    #[cfg(not(unix))]
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        path.exists()
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let half = &bytes[..bytes.len() / 2];
        match fault::before(Change::Write, &self.path)? {
            Outcome::Normal => self.file.write(bytes),
            Outcome::Half(None) if half.is_empty() => self.file.write(bytes),
            Outcome::Half(None) => self.file.write(half),
            Outcome::Half(Some(error)) => self.file.write_all(half).and(Err(error)),
            Outcome::HalfAndKill => {
                let _ = self.file.write_all(half);
                fault::kill()
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a file or a folder another name, and waits until both folders are on the disk. What has the new name
/// is replaced.
///
/// # Errors
/// Returns an error if the name cannot be given.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault::before(Change::Rename, to)?;
    fs::rename(from, to)?;
    sync_parents(from, to)
}

/// Gives a file or a folder another name, which must be free, and waits until both folders are on the disk.
///
/// # Errors
/// Returns an error of the kind `AlreadyExists` if anything has the new name, and another error if the name
/// cannot be given.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    fault::before(Change::Rename, to)?;
    match rename_unless_taken(from, to) {
        // Some file systems cannot rename in this way. A name that is taken between the two steps is lost.
        Err(error) if cannot(&error) && to.symlink_metadata().is_ok() => {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        Err(error) if cannot(&error) => fs::rename(from, to)?,
        renamed => renamed?,
    }
    sync_parents(from, to)
}

/// Whether the error says that the system lacks a call, or the file system an option.
fn cannot(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
        || error.kind() == io::ErrorKind::Unsupported
}

#[cfg(target_os = "linux")]
fn rename_unless_taken(from: &Path, to: &Path) -> io::Result<()> {
    use std::{ffi::CString, os::unix::ffi::OsStrExt as _};
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (from, to) = (text(from)?, text(to)?);
    // SAFETY: both strings end in a zero byte and live until the call returns.
    let code = unsafe {
        libc::renameat2(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn rename_unless_taken(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn sync_parents(from: &Path, to: &Path) -> io::Result<()> {
    sync_folder(parent(to))?;
    if parent(from) == parent(to) { Ok(()) } else { sync_folder(parent(from)) }
}

/// Returns the folder that contains a path.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Waits until the names in a folder are on the disk.
///
/// # Errors
/// Returns an error if the device fails.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    fault::before(Change::Sync, path)?;
    // Some file systems cannot sync folders. Others need no sync then.
    match File::open(path).and_then(|folder| folder.sync_all()) {
        Err(error) if cannot(&error) => Ok(()),
        synced => synced,
    }
}

/// Makes a folder and the folders that contain it, unless they exist.
///
/// # Errors
/// Returns an error if a folder cannot be made.
pub fn create_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fault::before(Change::MakeFolder, path)?;
    let made: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    fs::create_dir_all(path)?;
    // The first folder was made last, and the name of each is in its parent.
    made.iter().rev().try_for_each(|folder| sync_folder(parent(folder)))
}

/// Copies a regular file to a new file, and waits until it is on the disk.
///
/// # Errors
/// Returns an error if `from` is not a regular file, anything has the path `to`, or a file cannot be read or
/// written.
pub fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = crate::open_regular(from)?;
    let mut file = DiskFile::create_new(to)?;
    io::copy(&mut source, &mut file)?;
    file.sync()
}

/// Removes a file.
///
/// # Errors
/// Returns an error if it cannot be removed.
pub fn remove_file(path: &Path) -> io::Result<()> {
    fault::before(Change::Remove, path)?;
    fs::remove_file(path)
}

/// Removes a folder that is empty.
///
/// # Errors
/// Returns an error if it is not empty or cannot be removed.
pub fn remove_empty_folder(path: &Path) -> io::Result<()> {
    fault::before(Change::Remove, path)?;
    fs::remove_dir(path)
}

/// Removes a folder with everything in it.
///
/// # Errors
/// Returns an error if it cannot be removed.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    fault::before(Change::Remove, path)?;
    fs::remove_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        assert_eq!(rename_new(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&a).unwrap(), fs::read(&b).unwrap()), (b"a".to_vec(), b"b".to_vec()));
        rename_new(&a, &c).unwrap();
        rename(&c, &b).unwrap();
        assert_eq!(fs::read(&b).unwrap(), b"a");
        assert!(!a.exists() && !c.exists());
        // An empty folder counts as taken, although a plain rename would replace it.
        let [d, e] = ["d", "e"].map(|name| folder.path().join(name));
        fs::create_dir(&d).unwrap();
        fs::create_dir(&e).unwrap();
        assert_eq!(rename_new(&d, &e).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn files_are_appended_to_and_never_created_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        DiskFile::create_new(&path).unwrap().write_all(b"one").unwrap();
        assert_eq!(DiskFile::create_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let mut file = DiskFile::append(&path).unwrap();
        file.write_all(b" two").unwrap();
        file.truncate(5).unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one t");
        assert!(file.is_at(&path));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        assert!(!file.is_at(&path));
        assert!(DiskFile::append(folder.path()).is_err(), "a folder is no file");
    }
}

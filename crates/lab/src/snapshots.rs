//! [`Snapshots`] is a folder in which processes share what is expensive to compute and always the same:
//! prefilled contexts and entropies of heads.
//!
//! The name of a file is a hash of everything that its content depends on, so a file never changes and any
//! number of processes, on any number of machines, may use the folder at once. A file is written under
//! another name and renamed, which is atomic on network file systems too. There are no locks: if two
//! processes compute the same file at the same time, the second replaces it with the same bytes. A file
//! begins with the SHA-256 of the rest. A damaged file is computed again and replaced.

mod rows;

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use bitkv_bytes::disk;
use bitkv_progress::Progress;
use bitkv_record::sha256;

use crate::{Error, Result, error::Refuse as _};

pub(crate) use rows::{numbers, rows_from_tensor, rows_to_bytes};

/// The hex digits of the checksum at the beginning of a file, and a line break.
const HEADER: usize = 65;

/// A folder of snapshots. See the documentation of the module.
#[derive(Debug)]
pub struct Snapshots {
    folder: PathBuf,
    /// Whether it was reported that the folder cannot be written.
    reported: AtomicBool,
}

impl Snapshots {
    /// Opens a folder, and creates it if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist and cannot be created, or is a file.
    pub fn open(folder: &Path) -> Result<Snapshots> {
        if !folder.is_dir() {
            disk::create_folders(folder).refuse(
                Error::File,
                format!("--snapshots: the folder {} cannot be created", folder.display()),
            )?;
        }
        Ok(Snapshots { folder: folder.to_owned(), reported: AtomicBool::new(false) })
    }

    /// Returns the path of a snapshot. Folders stay small, because file systems are slow with many entries in
    /// one of them.
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(&key[..2]).join(format!("{key}.snapshot"))
    }

    /// Returns the content of a snapshot, or `None` if it is not there or damaged.
    pub(crate) fn read(&self, key: &str, progress: &dyn Progress) -> Option<Vec<u8>> {
        let path = self.path(key);
        let mut bytes = match bitkv_bytes::read_regular_bytes(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                progress.note(&format!(
                    "the snapshot {} cannot be read, so it is not used: {error}",
                    path.display()
                ));
                return None;
            }
        };
        let whole = bytes.len() > HEADER && sha256(&bytes[HEADER..]).as_bytes() == &bytes[..HEADER - 1];
        if !whole {
            self.damaged(key, progress);
            return None;
        }
        Some(bytes.split_off(HEADER))
    }

    /// Reports that a snapshot is not what it should be.
    pub(crate) fn damaged(&self, key: &str, progress: &dyn Progress) {
        let path = self.path(key);
        progress.note(&format!("the snapshot {} is damaged, so it is computed again", path.display()));
    }

    /// Writes a snapshot. If that fails, the work continues without it, and a note says so once.
    pub(crate) fn write(&self, key: &str, content: &[u8], progress: &dyn Progress) {
        let path = self.path(key);
        let mut bytes = format!("{}\n", sha256(content)).into_bytes();
        bytes.extend_from_slice(content);
        let created = path.parent().map_or(Ok(()), disk::create_folders);
        if let Err(error) = created.and_then(|()| bitkv_bytes::write(&path, &bytes))
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            progress.note(&format!(
                "snapshots cannot be written to {}, so this run continues without new ones: {error}",
                self.folder.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Mutex};

    use super::*;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Progress for Notes {
        fn note(&self, sentence: &str) {
            self.0.lock().unwrap().push(sentence.to_owned());
        }
    }

    const KEY: &str = "ab0123";

    #[test]
    fn a_snapshot_reads_back_equal_and_a_damaged_one_is_written_again() {
        let (folder, notes) = (tempfile::tempdir().unwrap(), Notes::default());
        let snapshots = Snapshots::open(&folder.path().join("new/folder")).unwrap();
        assert_eq!(snapshots.read(KEY, &notes), None);
        snapshots.write(KEY, b"some content", &notes);
        assert_eq!(snapshots.read(KEY, &notes).unwrap(), b"some content");
        let path = snapshots.path(KEY);
        for spoil in [b"".as_slice(), b"short", &fs::read(&path).unwrap()[..70]] {
            fs::write(&path, spoil).unwrap();
            assert_eq!(snapshots.read(KEY, &notes), None);
        }
        assert_eq!(notes.0.lock().unwrap().len(), 3);
        snapshots.write(KEY, b"some content", &notes);
        assert_eq!(snapshots.read(KEY, &notes).unwrap(), b"some content");
        let mut bytes = fs::read(&path).unwrap();
        bytes[70] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(snapshots.read(KEY, &notes), None, "a flipped bit is noticed");
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no temporary file is left");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_reported_once_and_stops_nothing() {
        let (folder, notes) = (tempfile::tempdir().unwrap(), Notes::default());
        let snapshots = Snapshots::open(folder.path()).unwrap();
        // A file where a folder is needed cannot be written to by anyone, the superuser included.
        fs::write(folder.path().join("ab"), "").unwrap();
        snapshots.write(KEY, b"some content", &notes);
        snapshots.write(KEY, b"some content", &notes);
        let notes = notes.0.lock().unwrap();
        assert!(notes.len() == 1 && notes[0].contains("continues without"), "{notes:?}");
    }

    #[test]
    fn a_file_is_not_a_folder_of_snapshots() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = Snapshots::open(file.path()).unwrap_err().to_string();
        assert!(message.contains("--snapshots") && message.contains("cannot be created"), "{message}");
    }
}

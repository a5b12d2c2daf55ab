//! The cache on disk. Its layout is that of Python's `huggingface_hub`, so both programs find each other's
//! files.
//!
//! ```text
//! CACHE/.locks/models--ORG--NAME/ETAG.lock
//! CACHE/models--ORG--NAME/blobs/ETAG                  the content of a file
//! CACHE/models--ORG--NAME/blobs/ETAG.incomplete       the part of a file that was downloaded so far
//! CACHE/models--ORG--NAME/refs/REVISION               the commit of a branch or tag
//! CACHE/models--ORG--NAME/snapshots/COMMIT/FILE       a link to a blob
//! CACHE/models--ORG--NAME/.no_exist/COMMIT/FILE       a note: the commit does not have the file
//! ```

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use hf_hub::{CacheRepo, Repo, RepoType};

use crate::{
    Error, ModelId, RepositoryFault, Result, Settings, link,
    model_id::is_commit,
    wanted::{self, Wanted},
};

/// The number of nested folders in which the files of a snapshot are listed.
const DEPTH: usize = 4;

/// The part of the cache that belongs to one repository.
pub(crate) struct Cache<'a> {
    id: &'a ModelId,
    layout: CacheRepo,
    folder: PathBuf,
    locks: PathBuf,
}

/// A cached model that is complete enough to run without the network.
pub(crate) struct Cached {
    /// The folder of the snapshot, or the GGUF file in it.
    pub(crate) path: PathBuf,
    /// The name of the GGUF file; `None` for a checkpoint in safetensors.
    pub(crate) gguf: Option<String>,
    /// Whether asking the hub about the same commit cannot change the result, because the cache has every
    /// file of the commit that would be chosen.
    pub(crate) certain: bool,
}

impl<'a> Cache<'a> {
    pub(crate) fn new(settings: &Settings, id: &'a ModelId) -> Cache<'a> {
        let repo = Repo::with_revision(id.repository().into(), RepoType::Model, id.revision().into());
        let name = repo.folder_name();
        Cache {
            id,
            folder: settings.cache.join(&name),
            locks: settings.cache.join(".locks").join(name),
            layout: hf_hub::Cache::new(settings.cache.clone()).repo(repo),
        }
    }

    /// Returns the folder of the snapshot at a commit.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.layout.pointer_path(commit)
    }

    /// Returns the path of the file that holds the content with this etag.
    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.layout.blob_path(etag)
    }

    /// Returns the path of the file that is locked while the content with this etag is downloaded.
    pub(crate) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Returns the path of the empty file by which the cache notes that a commit does not have `file`.
    fn marker(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    /// Returns the path of the file that holds the commit of the revision.
    fn reference(&self) -> PathBuf {
        self.folder.join("refs").join(self.id.revision())
    }

    /// Returns the commit of the revision when it was last fetched; `None` if it was never fetched.
    fn commit(&self) -> Option<String> {
        if self.id.is_pinned() {
            return Some(self.id.revision().into());
        }
        let text = bitkv_bytes::read_written_document(&self.reference(), bitkv_bytes::limit::LINE).ok()?;
        Some(text.trim().to_string()).filter(|commit| is_commit(commit))
    }

    /// Returns the cached model; `None` if the cache has no snapshot of the revision. The error consists of
    /// the folder of the snapshot and the reason why it cannot be used.
    pub(crate) fn cached(&self) -> Option<Result<Cached, (PathBuf, RepositoryFault)>> {
        let commit = self.commit()?;
        let snapshot = self.snapshot(&commit);
        snapshot.is_dir().then(|| self.complete(&commit, &snapshot).map_err(|fault| (snapshot, fault)))
    }

    /// Returns the model of a snapshot, after checking that it has every file that it needs.
    fn complete(&self, commit: &str, snapshot: &Path) -> Result<Cached, RepositoryFault> {
        let mut names = BTreeSet::new();
        list(snapshot, "", DEPTH, &mut names);
        let wanted = Wanted::new(self.id, &names)?;
        let certain = wanted.is_certain(self.id, &names, |name| self.marker(commit, name).exists());
        let (path, gguf) = match wanted {
            // The model opens by its first part.
            Wanted::Gguf(mut files) => {
                let file = files.swap_remove(0);
                (snapshot.join(&file), Some(file))
            }
            Wanted::Checkpoint { needed, .. } => {
                if needed.iter().any(|name| name == wanted::INDEX) {
                    // An index that cannot be read counts as missing.
                    let shards = wanted::shards(self.id, &snapshot.join(wanted::INDEX));
                    let shards = shards.map_err(|_| RepositoryFault::File(wanted::INDEX.into()))?;
                    let missing = shards.into_iter().find(|shard| !names.contains(shard));
                    missing.map_or(Ok(()), |shard| Err(RepositoryFault::File(shard)))?;
                }
                (snapshot.to_path_buf(), None)
            }
        };
        Ok(Cached { path, gguf, certain })
    }

    /// Records the commit of the revision and the files that the commit does not have, for later calls and
    /// for Python.
    ///
    /// These notes only save requests later. A failure to write them is ignored, because a cache may be
    /// shared and read-only.
    pub(crate) fn remember(&self, commit: &str, absent: impl Iterator<Item = &'static str>) {
        for name in absent {
            let marker = self.marker(commit, name);
            if !marker.exists() {
                let _ = link::make_parent(&marker).and_then(|()| fs::write(&marker, []));
            }
        }
        let reference = self.reference();
        let known = bitkv_bytes::read_written_document(&reference, bitkv_bytes::limit::LINE)
            .is_ok_and(|text| text == commit);
        if !self.id.is_pinned() && !known {
            let _ = link::make_parent(&reference)
                .and_then(|()| bitkv_bytes::write(&reference, commit.as_bytes()));
        }
    }

    /// Returns the error of a call that may not use the network and finds no usable copy. `found` is the
    /// incomplete snapshot, if there is one.
    pub(crate) fn offline_error(
        &self,
        settings: &Settings,
        found: Option<(PathBuf, RepositoryFault)>,
    ) -> Error {
        let model = self.id.to_string();
        match found {
            Some((snapshot, fault)) => Error::CachedInPart { model, snapshot, fault },
            None => Error::NotCached { model, cache: settings.cache.clone() },
        }
    }
}

/// Adds the paths of the files in `folder` to `names`, with `/` between folders. A link whose blob does not
/// exist is left out.
fn list(folder: &Path, prefix: &str, depth: usize, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if path.is_file() {
            names.insert(format!("{prefix}{name}"));
        } else if depth > 0 && path.is_dir() {
            list(&path, &format!("{prefix}{name}/"), depth - 1, names);
        }
    }
}

//! Finds a model in the cache, or downloads it from the hub into the cache.

use std::{collections::BTreeSet, fs, path::PathBuf};

use bitkv_progress::Progress;

use crate::{
    Error, ModelId, RepositoryFault, Result, Settings,
    cache::{Cache, Cached},
    client::Client,
    link,
    lock::Lock,
    metadata::{Metadata, metadata},
    transfer::RemoteFile,
    wanted::{self, Wanted},
};

/// Makes a model available on disk and returns its path: the folder of the snapshot for a checkpoint in
/// safetensors, or the GGUF file.
///
/// If `id` names a commit and all its files are cached, no request is sent. For a branch or a tag, the hub is
/// asked for the current commit. If the hub cannot be reached or does not answer as it should, the cached
/// copy is used and `progress` receives a note. With [`Settings::offline`], no request is sent. Every file is
/// verified against the checksum that the hub announces before it becomes visible in the cache.
///
/// # Errors
/// Returns an error if the model is not cached and the hub cannot be reached, denies access or does not have
/// the model. Also returns an error if the repository does not have the files of a BitNet checkpoint, if a
/// transfer keeps breaking off or delivers other bytes than announced, or if the cache cannot be written.
pub fn fetch(id: &ModelId, settings: &Settings, progress: &dyn Progress) -> Result<PathBuf> {
    let cache = Cache::new(settings, id);
    let cached = cache.cached();
    if settings.offline {
        return match cached {
            Some(Ok(cached)) => Ok(use_cached(id, cached, "HF_HUB_OFFLINE is set", progress)),
            found => Err(cache.offline_error(settings, found.and_then(Result::err))),
        };
    }
    let cached = cached.and_then(Result::ok);
    if let Some(cached) = cached.as_ref().filter(|cached| id.is_pinned() && cached.certain) {
        return Ok(cached.path.clone());
    }
    let client = Client::new(settings, id)?;
    let info = match (client.info(cached.is_some()), cached) {
        (Ok(info), _) => info,
        (Err(error), Some(cached)) if id.is_pinned() || is_about_the_hub(&error) => {
            progress.note(&format!("using the cached copy of {id}: {error}"));
            return Ok(use_cached(id, cached, "the hub did not list the files", progress));
        }
        (Err(error), _) => return Err(error),
    };
    let names: BTreeSet<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    let download = Download { id, client: &client, cache: &cache, commit: &info.sha };
    let path = download.all(&names, progress)?;
    cache.remember(&info.sha, Wanted::absent(&names));
    Ok(path)
}

/// Whether an error is about the hub or the connection to it, and not about the model. If so, a cached copy
/// of the model can be used.
fn is_about_the_hub(error: &Error) -> bool {
    use Error::*;
    matches!(error, Unreachable { .. } | Status { .. } | Answer { .. } | Denied { .. })
}

/// Returns the path of a cached model. Adds a note to `progress` if the repository may have other weights
/// that would be preferred.
fn use_cached(id: &ModelId, cached: Cached, why: &str, progress: &dyn Progress) -> PathBuf {
    if let Some(file) = cached.gguf.filter(|_| id.file().is_none()) {
        // The repository may have other weights as well. Only the hub's listing would show them.
        progress.note(&format!("{why}; using {file}, the only GGUF file in the cached copy of {id}"));
    }
    cached.path
}

/// Downloads the files of one commit into the cache.
struct Download<'a> {
    id: &'a ModelId,
    client: &'a Client<'a>,
    cache: &'a Cache<'a>,
    commit: &'a str,
}

impl Download<'_> {
    /// Downloads every file that the model needs and returns the model's path. Small files come first, so
    /// that most errors appear before gigabytes of weights are downloaded.
    fn all(&self, names: &BTreeSet<String>, progress: &dyn Progress) -> Result<PathBuf> {
        match Wanted::new(self.id, names).map_err(|fault| self.fault(fault))? {
            Wanted::Gguf(files) => {
                let paths = files.iter().map(|file| self.needed(file, progress));
                let mut paths = paths.collect::<Result<Vec<_>>>()?;
                Ok(paths.swap_remove(0))
            }
            Wanted::Checkpoint { needed, optional } => {
                for name in &optional {
                    self.file(name, progress)?;
                }
                for name in &needed {
                    let path = self.needed(name, progress)?;
                    if name == wanted::INDEX {
                        let shards = wanted::shards(self.id, &path)?;
                        shards.iter().try_for_each(|shard| self.needed(shard, progress).map(drop))?;
                    }
                }
                Ok(self.cache.snapshot(self.commit))
            }
        }
    }

    /// Returns the path of a file in the cache, after downloading it if necessary. Returns an error if the
    /// hub does not have the file.
    fn needed(&self, file: &str, progress: &dyn Progress) -> Result<PathBuf> {
        self.file(file, progress)?.ok_or_else(|| self.fault(RepositoryFault::File(file.into())))
    }

    fn fault(&self, fault: RepositoryFault) -> Error {
        Error::Repository { model: self.id.to_string(), fault }
    }

    /// Returns the path of a file in the cache, after downloading it if necessary; `None` if the hub does not
    /// have the file.
    fn file(&self, file: &str, progress: &dyn Progress) -> Result<Option<PathBuf>> {
        let pointer = self.cache.snapshot(self.commit).join(file);
        if pointer.exists() {
            return Ok(Some(pointer));
        }
        let Some(metadata) = metadata(self.client, self.commit, file)? else { return Ok(None) };
        let blob = self.blob(file, metadata, progress)?;
        link::link_blob(&blob, &pointer, file)
            .map_err(|source| Error::Write { path: pointer.clone(), source })?;
        Ok(Some(pointer))
    }

    /// Returns the path of the blob that holds the content of a file, after downloading it if necessary.
    fn blob(&self, file: &str, metadata: Metadata, progress: &dyn Progress) -> Result<PathBuf> {
        let etag = metadata.checksum.hex();
        let blob = self.cache.blob(etag);
        let unwritable = |source| Error::Write { path: blob.clone(), source };
        link::make_parent(&blob).map_err(unwritable)?;
        let lock = Lock::take(&self.cache.lock(etag), || {
            progress.note(&format!("another process is downloading {file}; waiting for it"));
        })?;
        // A blob of another length was left by a crash, so it is downloaded again.
        if fs::metadata(&blob).is_ok_and(|existing| existing.len() == metadata.size) {
            return Ok(blob);
        }
        let shared = self.cache.blob(&format!("{etag}.incomplete"));
        let part = if lock.is_held() { shared } else { bitkv_bytes::unused_name(&blob) };
        let address = self.client.file(self.commit, file)?;
        let model = self.id.to_string();
        let source = RemoteFile { client: self.client, model: &model, file, address, metadata };
        let work = source.transfer(&part, progress).inspect_err(|_| {
            // The name of this partial file is unique, so no later call could resume from it.
            if !lock.is_held() {
                let _ = fs::remove_file(&part);
            }
        })?;
        fs::rename(&part, &blob).map_err(unwritable)?;
        work.finish();
        Ok(blob)
    }
}

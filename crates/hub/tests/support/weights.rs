//! A checkpoint whose weights are transferred with faults.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Reply, Repository, Request, Server};

/// The size of the weights, in bytes.
pub(crate) const SIZE: usize = 700_000;
/// The number of bytes after which a transfer breaks off.
pub(crate) const BREAK: usize = 300_000;
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Returns a checkpoint and its server. `spoil` changes the answers that contain weights; its first argument
/// counts them from zero.
pub(crate) fn spoilt(
    spoil: impl Fn(usize, &Request, Reply) -> Reply + Send + Sync + 'static,
) -> (Repository, Server) {
    let repository = Repository::checkpoint(SIZE);
    let (served, count) = (repository.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let reply = served.answer(request);
        match request.method == "GET" && request.path.starts_with("/storage/") {
            true => spoil(count.fetch_add(1, Ordering::SeqCst), request, reply),
            false => reply,
        }
    });
    (repository, server)
}

pub(crate) fn blobs(cache: &Path) -> PathBuf {
    cache.join("models--org--name/blobs")
}

/// Returns the path of the file that holds the weights while they are incomplete.
pub(crate) fn partial_file(cache: &Path, repository: &Repository) -> PathBuf {
    blobs(cache).join(format!("{}.incomplete", repository.etag(WEIGHTS)))
}

/// Returns the requested ranges of the weights; `None` for a request without a range.
pub(crate) fn ranges(server: &Server) -> Vec<Option<String>> {
    let weights = server.requests().into_iter();
    let weights = weights.filter(|r| r.method == "GET" && r.path.starts_with("/storage/"));
    weights.map(|request| request.header("range").map(str::to_string)).collect()
}

pub(crate) fn assert_whole(folder: &Path, cache: &Path, repository: &Repository) {
    assert!(fs::read(folder.join(WEIGHTS)).expect("weights") == repository.content(WEIGHTS));
    assert!(!partial_file(cache, repository).exists());
}

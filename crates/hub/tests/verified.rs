//! Tests that only content with the announced checksum and length gets into the cache.

mod support;

use std::fs;

use bitkv_hub::Error;
use support::{
    Repository, Server, fetch, names, settings,
    weights::{BREAK, SIZE, WEIGHTS, assert_whole, blobs, partial_file, spoilt},
};
use tempfile::tempdir;

#[test]
fn a_wrong_checksum_is_refused_and_leaves_nothing() {
    let (repository, server) = spoilt(|_, _, mut reply| {
        reply.body[SIZE / 2] ^= 1;
        reply
    });
    let cache = tempdir().expect("a folder");
    let error = fetch("org/name", &settings(&server, cache.path())).0.expect_err("refused");
    let message = error.to_string();
    let Error::Checksum { file, expected, found, .. } = error else { panic!("{message}") };
    assert_eq!((file.as_str(), expected), (WEIGHTS, repository.etag(WEIGHTS)));
    assert!(found.len() == 64 && message.contains(&found) && message.contains("run again"), "{message}");
    let left = names(&blobs(cache.path()));
    assert!(left.iter().all(|name| !name.starts_with(&repository.etag(WEIGHTS))), "{left:?}");
    assert!(!cache.path().join("models--org--name/refs").exists(), "the commit is not recorded");
}

#[test]
fn small_files_are_verified_with_git_checksums() {
    let repository = Repository::checkpoint(9);
    let etag = repository.etag("config.json");
    let server = Server::start(move |request| {
        let mut reply = repository.answer(request);
        if request.is("GET", "/config.json") {
            reply.body = br#"{"model": 2}"#.to_vec();
        }
        reply
    });
    let cache = tempdir().expect("a folder");
    let error = fetch("org/name", &settings(&server, cache.path())).0.expect_err("refused");
    assert!(error.to_string().contains(&format!("announced {etag}")), "{error}");
    assert!(matches!(error, Error::Checksum { kind: "git blob SHA-1", .. }));
}

#[test]
fn a_damaged_partial_file_is_deleted_and_the_next_call_succeeds() {
    let (repository, server) = spoilt(|_, _, reply| reply);
    let cache = tempdir().expect("a folder");
    fs::create_dir_all(blobs(cache.path())).expect("a folder");
    fs::write(partial_file(cache.path(), &repository), vec![0; BREAK]).expect("written");
    let settings = settings(&server, cache.path());
    let error = fetch("org/name", &settings).0.expect_err("refused");
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    let fetched = fetch("org/name", &settings).0.expect("fetched");
    assert_whole(&fetched, cache.path(), &repository);
}

#[test]
fn a_length_that_was_not_announced_is_refused() {
    // The answer has a wrong length, a length that no file can have, or no length.
    for length in [Some(SIZE as u64 + 1000), Some(1000), Some(u64::MAX - 1), None] {
        let (repository, server) = spoilt(move |_, _, mut reply| {
            reply.body.extend([7; 1000]);
            reply.sized = false;
            match length {
                Some(length) => reply.with("Content-Length", length.to_string()),
                None => reply,
            }
        });
        let cache = tempdir().expect("a folder");
        let (fetched, listener) = fetch("org/name", &settings(&server, cache.path()));
        let error = fetched.expect_err("refused");
        assert!(matches!(error, Error::Length { announced, .. } if announced == SIZE as u64), "{error}");
        let weights = listener.reached.iter().filter(|&&bytes| bytes > 100);
        assert!(weights.clone().all(|&bytes| bytes <= SIZE as u64));
        assert!(length.is_none() || weights.count() == 0, "a wrong length is seen before the content");
        let left = names(&blobs(cache.path()));
        assert!(left.iter().all(|name| !name.starts_with(&repository.etag(WEIGHTS))), "{left:?}");
    }
}

#[test]
fn an_answer_without_a_length_is_accepted() {
    let (repository, server) = spoilt(|_, _, mut reply| {
        reply.sized = false;
        reply
    });
    let cache = tempdir().expect("a folder");
    let fetched = fetch("org/name", &settings(&server, cache.path())).0.expect("fetched");
    assert_whole(&fetched, cache.path(), &repository);
}

//! Tests of when the cache is used instead of the network.

mod support;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use bitkv_hub::Error;
use support::{Reply, Repository, Server, fetch, names, settings};
use tempfile::{TempDir, tempdir};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn filled(model: &str) -> (TempDir, Server) {
    let repository = Repository::checkpoint(1000);
    let server = Server::start(move |request| repository.answer(request));
    let cache = tempdir().expect("a folder");
    fetch(model, &settings(&server, cache.path())).0.expect("fetched");
    (cache, server)
}

/// A server that has stopped.
fn stopped() -> Server {
    let mut server = Server::start(|_| Reply::new(200, ""));
    server.close();
    server
}

/// Removes the notes that a commit does not have certain files. Python does not write them for a snapshot.
fn remove_notes_of_absent_files(cache: &Path) {
    fs::remove_dir_all(cache.join("models--org--name/.no_exist")).expect("removed");
}

#[test]
fn offline_uses_the_cache_and_sends_no_request() {
    let (cache, _) = filled("org/name");
    let server = Server::start(|_| Reply::new(500, ""));
    let mut settings = settings(&server, cache.path());
    settings.offline = true;
    for model in ["org/name".to_string(), format!("org/name@{COMMIT}")] {
        let (fetched, listener) = fetch(&model, &settings);
        assert_eq!(names(&fetched.expect("cached")).len(), 4);
        assert!(listener.notes.is_empty());
    }
    for model in ["org/other", "org/name@dev", &format!("org/name@{}", COMMIT.replace('0', "f"))] {
        let error = fetch(model, &settings).0.expect_err("not cached");
        assert!(matches!(error, Error::NotCached { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("HF_HUB_OFFLINE") && message.contains(model), "{message}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn offline_an_incomplete_copy_is_an_error() {
    let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("config.json", ""), ("tokenizer.json", "")], "neither model.safetensors"),
        (&[("model.safetensors", ""), ("tokenizer.json", "")], "no file `config.json`"),
        (&[("model.safetensors", ""), ("config.json", "")], "neither tokenizer.json"),
        (
            &[
                ("model.safetensors.index.json", index),
                ("config.json", ""),
                ("tokenizer.model", ""),
                ("model-1.safetensors", ""),
            ],
            "no file `model-2.safetensors`",
        ),
    ];
    for (files, part) in cases {
        let cache = tempdir().expect("a folder");
        let snapshot = cache.path().join("models--org--name/snapshots").join(COMMIT);
        fs::create_dir_all(&snapshot).expect("a folder");
        for (name, content) in files {
            fs::write(snapshot.join(name), content).expect("written");
        }
        let mut settings = bitkv_hub::Settings::new(cache.path());
        settings.offline = true;
        let message = fetch(&format!("org/name@{COMMIT}"), &settings).0.expect_err(part).to_string();
        assert!(message.contains(part) && message.contains("HF_HUB_OFFLINE"), "{message}");
    }
}

#[test]
fn a_complete_pinned_commit_needs_no_network() {
    let model = format!("org/name@{COMMIT}");
    let (cache, server) = filled(&model);
    let before = server.requests().len();
    let (fetched, listener) = fetch(&model, &settings(&server, cache.path()));
    assert_eq!(names(&fetched.expect("cached")).len(), 4);
    assert_eq!(server.requests().len(), before);
    assert!(listener.notes.is_empty());
    assert!(!cache.path().join("models--org--name/refs").exists(), "a commit has no ref");
}

#[test]
fn a_pinned_commit_that_may_have_more_files_is_looked_up_once() {
    let model = format!("org/name@{COMMIT}");
    let (cache, server) = filled(&model);
    remove_notes_of_absent_files(cache.path());
    let snapshot = cache.path().join("models--org--name/snapshots").join(COMMIT);
    fs::remove_file(snapshot.join("generation_config.json")).expect("removed");
    let before = server.requests().len();
    for _ in 0..2 {
        let fetched = fetch(&model, &settings(&server, cache.path())).0.expect("fetched");
        assert_eq!(names(&fetched).len(), 4, "the optional file is back");
    }
    assert_eq!(server.requests().len(), before + 2, "the listing and the metadata; the content is cached");

    remove_notes_of_absent_files(cache.path());
    let (fetched, listener) = fetch(&model, &settings(&stopped(), cache.path()));
    assert_eq!(fetched.expect("cached"), snapshot);
    assert!(listener.notes[0].contains("using the cached copy"), "{:?}", listener.notes);
}

#[test]
fn an_unchanged_branch_costs_one_request() {
    let (cache, server) = filled("org/name");
    let before = server.requests().len();
    fetch("org/name", &settings(&server, cache.path())).0.expect("cached");
    let new = server.requests().split_off(before);
    assert_eq!(new.len(), 1);
    assert!(new[0].is("GET", "/api/models/org/name/revision/main"));
}

#[test]
fn only_changed_files_of_a_moved_branch_are_downloaded() {
    let served = Arc::new(Mutex::new(Repository::checkpoint(1000)));
    let shared = served.clone();
    let server = Server::start(move |request| shared.lock().expect("the repository").answer(request));
    let cache = tempdir().expect("a folder");
    let settings = settings(&server, cache.path());
    let old = fetch("org/name", &settings).0.expect("fetched");

    let moved = COMMIT.replace('0', "f");
    let changed = Repository::checkpoint(1000).without("config.json").small("config.json", "{}");
    *served.lock().expect("the repository") = changed.at(&moved);
    let (fetched, listener) = fetch("org/name", &settings);
    let new = fetched.expect("fetched");
    assert_eq!(new, cache.path().join("models--org--name/snapshots").join(&moved));
    // `{}` is also the content of generation_config.json, so even this blob is cached already.
    assert_eq!(listener.started, []);
    assert_eq!(fs::read_to_string(new.join("config.json")).expect("content"), "{}");
    assert!(fs::read_to_string(old.join("config.json")).expect("content").contains("model"));
    assert_eq!(fs::read_to_string(cache.path().join("models--org--name/refs/main")).expect("a ref"), moved);
}

#[test]
fn the_cached_copy_is_used_with_a_note_when_the_hub_is_down() {
    let (cache, _) = filled("org/name");
    let broken: [fn(&support::Request) -> Reply; 4] = [
        |_| Reply::new(503, ""),
        |_| Reply::new(401, ""),
        |_| Reply::new(200, "<html>Please log in to this network</html>"),
        |_| Reply::new(200, r#"{"sha": "main", "siblings": []}"#),
    ];
    let servers = broken.into_iter().map(Server::start).chain([stopped()]);
    for server in servers {
        let (fetched, listener) = fetch("org/name", &settings(&server, cache.path()));
        assert_eq!(names(&fetched.expect("cached")).len(), 4);
        assert_eq!(listener.notes.len(), 1);
        assert!(listener.notes[0].starts_with("using the cached copy of org/name@main: "));
        assert!(server.requests().len() <= 1, "one try");
        let error = fetch("org/other", &settings(&server, cache.path())).0.expect_err("not cached");
        assert!(listener.notes[0].len() > 40 && !error.to_string().contains("cached copy"), "{error}");
    }
}

#[test]
fn a_deleted_revision_is_an_error_even_if_it_is_cached() {
    let (cache, _) = filled("org/name");
    let gone = Server::start(|_| Reply::new(404, ""));
    let error = fetch("org/name", &settings(&gone, cache.path())).0.expect_err("gone");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    // The content of a commit cannot have changed, even if the hub no longer has it.
    remove_notes_of_absent_files(cache.path());
    let (fetched, listener) = fetch(&format!("org/name@{COMMIT}"), &settings(&gone, cache.path()));
    assert!(fetched.is_ok() && listener.notes.len() == 1);
}

#[test]
fn a_listing_of_another_commit_is_refused() {
    let other = Repository::checkpoint(9).at(&COMMIT.replace('0', "f"));
    let server = Server::start(move |request| other.answer(request));
    let cache = tempdir().expect("a folder");
    let error =
        fetch(&format!("org/name@{COMMIT}"), &settings(&server, cache.path())).0.expect_err("refused");
    assert!(error.to_string().contains("lists another commit"), "{error}");
    assert!(names(cache.path()).is_empty());
}

#[test]
fn an_unreachable_hub_without_a_cached_copy_is_an_error() {
    let cache = tempdir().expect("a folder");
    let server = stopped();
    let error = fetch("org/name", &settings(&server, cache.path())).0.expect_err("nobody there");
    let message = error.to_string();
    assert!(matches!(error, Error::Unreachable { .. }), "{message}");
    assert!(message.contains(server.endpoint().trim_start_matches("http://")), "{message}");
    assert!(names(cache.path()).is_empty());
}

#[test]
fn a_link_without_a_blob_does_not_count() {
    let (cache, server) = filled("org/name");
    let blobs = cache.path().join("models--org--name/blobs");
    let weights = blobs.join(Repository::checkpoint(1000).etag("model.safetensors"));
    fs::remove_file(&weights).expect("removed");
    let mut settings = settings(&server, cache.path());
    settings.offline = true;
    let error = fetch("org/name", &settings).0.expect_err("incomplete");
    assert!(matches!(error, Error::CachedInPart { .. }), "{error}");
    settings.offline = false;
    let folder = fetch("org/name", &settings).0.expect("mended");
    assert_eq!(fs::metadata(folder.join("model.safetensors")).expect("there").len(), 1000);
}

#[test]
fn a_gguf_file_that_was_not_named_is_looked_up_or_noted() {
    let repository = Repository::empty().large("a.gguf", "GGUF");
    let server = Server::start(move |request| repository.answer(request));
    let cache = tempdir().expect("a folder");
    let (named, unnamed) = (format!("org/name/a.gguf@{COMMIT}"), format!("org/name@{COMMIT}"));
    let mut settings = settings(&server, cache.path());
    fetch(&named, &settings).0.expect("fetched");
    let before = server.requests().len();
    fetch(&named, &settings).0.expect("cached");
    assert_eq!(server.requests().len(), before);
    fetch(&unnamed, &settings).0.expect("cached");
    assert_eq!(server.requests().len(), before + 1, "there might be others");
    settings.offline = true;
    let (fetched, listener) = fetch(&unnamed, &settings);
    assert!(fetched.expect("cached").ends_with("a.gguf"));
    assert!(listener.notes[0].contains("a.gguf"), "{:?}", listener.notes);
}

#[cfg(unix)]
#[test]
fn an_unwritable_cache_is_an_error() {
    let cache = tempdir().expect("a folder");
    let file = cache.path().join("file");
    fs::write(&file, "").expect("written");
    let repository = Repository::checkpoint(9);
    let server = Server::start(move |request| repository.answer(request));
    let error = fetch("org/name", &settings(&server, &file)).0.expect_err("no folder");
    assert!(matches!(error, Error::Write { .. }), "{error}");
    assert!(error.to_string().contains("HF_HUB_CACHE"), "{error}");
}

//! Tests of access: which server gets the token, which requests are denied, and where redirects lead.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use bitkv_hub::{Error, Token};
use support::{Reply, Repository, Server, fetch, settings};
use tempfile::tempdir;

fn token() -> Option<Token> {
    Token::read("hf_secret", "the test").expect("valid")
}

#[test]
fn only_the_hub_gets_the_token() {
    let stored = Repository::checkpoint(1000);
    let storage = Server::start(move |request| stored.answer(request));
    let repository = Repository::checkpoint(1000).stored_at(&storage);
    let hub = Server::start(move |request| match request.header("authorization") {
        Some("Bearer hf_secret") => repository.answer(request),
        _ => Reply::new(401, ""),
    });
    let cache = tempdir().expect("a folder");
    let mut settings = settings(&hub, cache.path());
    settings.token = token();
    fetch("org/name", &settings).0.expect("fetched");
    let elsewhere = storage.requests();
    assert_eq!(elsewhere.len(), 1, "only the content of the large file");
    assert!(elsewhere[0].is("GET", &Repository::checkpoint(1000).etag("model.safetensors")));
    assert_eq!(elsewhere[0].header("authorization"), None);
}

#[test]
fn no_request_asks_for_compression() {
    let repository = Repository::checkpoint(9);
    let hub = Server::start(move |request| repository.answer(request));
    let cache = tempdir().expect("a folder");
    fetch("org/name", &settings(&hub, cache.path())).0.expect("fetched");
    assert!(hub.requests().iter().all(|r| r.header("accept-encoding") == Some("identity")));
    assert!(hub.requests().iter().all(|r| r.header("authorization").is_none()), "there is no token");
}

#[test]
fn an_access_error_says_what_to_do() {
    let cache = tempdir().expect("a folder");
    for status in [401, 403] {
        let hub = Server::start(move |_| Reply::new(status, ""));
        let mut settings = settings(&hub, cache.path());
        for (token, help) in [(None, "set HF_TOKEN"), (token(), "check that the token")] {
            settings.token = token;
            let error = fetch("org/name@v1", &settings).0.expect_err("refused");
            let message = error.to_string();
            assert!(matches!(error, Error::Denied { status: s, .. } if s == status), "{message}");
            let page = format!("{}/org/name and", hub.endpoint());
            for part in ["gated", "org/name@v1", help, &page] {
                assert!(message.contains(part), "{message}");
            }
            assert!(!message.contains("hf_secret"));
        }
        assert_eq!(hub.requests().len(), 2, "a denial is permanent");
    }
}

#[test]
fn an_unknown_model_is_not_found() {
    let hub = Server::start(|_| Reply::new(404, ""));
    let cache = tempdir().expect("a folder");
    let error = fetch("org/name@v1", &settings(&hub, cache.path())).0.expect_err("unknown");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("has no org/name@v1"), "{error}");
}

#[test]
fn a_new_address_is_requested_when_one_has_expired() {
    let (stored, count) = (Repository::checkpoint(1000), AtomicUsize::new(0));
    let storage = Server::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(403, "expired"),
        _ => stored.answer(request),
    });
    let repository = Repository::checkpoint(1000).stored_at(&storage);
    let hub = Server::start(move |request| repository.answer(request));
    let cache = tempdir().expect("a folder");
    fetch("org/name", &settings(&hub, cache.path())).0.expect("fetched");
    assert_eq!(hub.asked("GET", "/model.safetensors").len(), 2, "a new address each time");
}

/// Renamed repositories redirect within the hub. Small files do so too, since the hub has a separate cache
/// for them.
#[test]
fn redirects_within_the_hub_are_followed() {
    let repository = Repository::checkpoint(1000);
    let hub = Server::start(move |request| match request.path.split_once("/old/name") {
        Some((before, after)) => {
            let target = format!("{before}/org/name{after}");
            Reply::new(307, "").with("Location", target)
        }
        None => repository.answer(request),
    });
    let cache = tempdir().expect("a folder");
    let mut settings = settings(&hub, cache.path());
    settings.token = token();
    let folder = fetch("old/name", &settings).0.expect("fetched");
    assert!(folder.starts_with(cache.path().join("models--old--name")), "under the requested name");
    assert!(hub.requests().iter().all(|r| r.header("authorization") == Some("Bearer hf_secret")));
}

#[test]
fn weak_etags_and_metadata_on_the_redirect_are_read() {
    let repository = Repository::checkpoint(1000);
    let hub = Server::start(move |request| {
        let mut reply = repository.answer(request);
        for (name, value) in &mut reply.headers {
            if name == "X-Linked-Etag" || (name == "ETag" && value.len() == 42) {
                *value = format!("W/{value}");
            }
        }
        reply
    });
    let cache = tempdir().expect("a folder");
    fetch("org/name", &settings(&hub, cache.path())).0.expect("fetched");
    let blob = Repository::checkpoint(1000).etag("config.json");
    assert!(cache.path().join("models--org--name/blobs").join(blob).exists());
    assert!(hub.requests().iter().all(|r| !(r.method == "HEAD" && r.path.starts_with("/storage"))));
}

#[test]
fn the_checksum_is_the_hubs_and_not_the_storages() {
    let repository = Repository::checkpoint(1000);
    let hub = Server::start(move |request| {
        let mut reply = repository.answer(request);
        reply.headers.retain(|(name, _)| name != "X-Linked-Size");
        for (_, value) in reply.headers.iter_mut().filter(|(name, _)| name == "ETag") {
            // As long as a checksum, because the ETag of some storages is an MD5 or SHA-1 of another kind.
            *value = if value.contains("storage") { "0".repeat(40) } else { value.clone() };
        }
        reply
    });
    let cache = tempdir().expect("a folder");
    fetch("org/name", &settings(&hub, cache.path())).0.expect("fetched");
    let weights = Repository::checkpoint(1000).etag("model.safetensors");
    assert_eq!(hub.asked("HEAD", &weights).len(), 1, "for the length");
    assert!(cache.path().join("models--org--name/blobs").join(weights).exists());
}

#[test]
fn redirects_that_lead_nowhere_are_refused() {
    for location in ["file:///etc/passwd", "/api/models/org/name/revision/main", "gopher://x", ""] {
        let hub = Server::start(move |_| Reply::new(302, "").with("Location", location));
        let cache = tempdir().expect("a folder");
        let error = fetch("org/name", &settings(&hub, cache.path())).0.expect_err(location);
        assert!(matches!(error, Error::Answer { .. }), "{location}: {error}");
        assert!(hub.requests().len() <= 11);
    }
}

#[test]
fn an_endpoint_that_is_not_an_address_is_refused() {
    let cache = tempdir().expect("a folder");
    let mut settings = bitkv_hub::Settings::new(cache.path());
    for endpoint in ["huggingface.co", "ftp://hub", "https://user:secret@hub", "http://", "a b"] {
        settings.endpoint = endpoint.into();
        let error = fetch("org/name", &settings).0.expect_err(endpoint);
        assert!(matches!(error, Error::Endpoint { .. }), "{endpoint}: {error}");
    }
}

#[test]
fn a_file_of_another_commit_is_refused() {
    let repository = Repository::checkpoint(9);
    let hub = Server::start(move |request| {
        let mut reply = repository.answer(request);
        for (_, value) in reply.headers.iter_mut().filter(|(name, _)| name == "X-Repo-Commit") {
            *value = "f".repeat(40);
        }
        reply
    });
    let cache = tempdir().expect("a folder");
    let error = fetch("org/name", &settings(&hub, cache.path())).0.expect_err("refused");
    assert!(error.to_string().contains("a file of commit"), "{error}");
}

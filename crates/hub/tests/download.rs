//! Tests that the right files are downloaded to the right places in the cache.

mod support;

use std::fs;

use bitkv_hub::Error;
use support::{Repository, Server, fetch, names, settings};
use tempfile::tempdir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn a_checkpoint_is_where_python_looks_for_it() {
    let repository = Repository::checkpoint(300_000);
    let served = repository.clone();
    let server = Server::start(move |request| served.answer(request));
    let cache = tempdir().expect("a folder");
    let (fetched, listener) = fetch("org/name", &settings(&server, cache.path()));
    let folder = fetched.expect("fetched");

    let root = cache.path().join("models--org--name");
    assert_eq!(folder, root.join("snapshots").join(COMMIT));
    let taken = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(names(&folder), taken);
    for name in taken {
        assert!(fs::read(folder.join(name)).expect(name) == repository.content(name), "{name}");
        let link = fs::read_link(folder.join(name)).expect(name);
        assert_eq!(link.to_str().expect("text"), format!("../../blobs/{}", repository.etag(name)));
    }
    assert_eq!(names(&root.join("blobs")).len(), 4, "only blobs");
    assert_eq!(fs::read_to_string(root.join("refs/main")).expect("a ref"), COMMIT);
    let absent = names(&root.join(".no_exist").join(COMMIT));
    assert!(absent.contains(&"chat_template.jinja".to_string()) && !absent.contains(&"config.json".into()));

    assert_eq!(listener.finished, 4);
    assert_eq!(listener.started.last(), Some(&("model.safetensors".into(), 300_000, 0)));
    assert_eq!(listener.reached.last(), Some(&300_000));
    assert!(listener.notes.is_empty(), "{:?}", listener.notes);
}

#[test]
fn the_shards_of_an_index_are_downloaded() {
    let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let repository = Repository::checkpoint(1)
        .without("model.safetensors")
        .without("tokenizer.json")
        .small("tokenizer.model", "pieces")
        .small("model.safetensors.index.json", index)
        .large("model-1.safetensors", "one")
        .large("model-2.safetensors", "two")
        .large("model-3.safetensors", "not in the index");
    let server = Server::start(move |request| repository.answer(request));
    let cache = tempdir().expect("a folder");
    let folder = fetch("org/name@v1", &settings(&server, cache.path())).0.expect("fetched");
    let expected = [
        "config.json",
        "generation_config.json",
        "model-1.safetensors",
        "model-2.safetensors",
        "model.safetensors.index.json",
        "tokenizer.model",
    ];
    assert_eq!(names(&folder), expected);
    assert!(cache.path().join("models--org--name/refs/v1").exists());
}

#[test]
fn all_parts_of_a_split_gguf_file_are_downloaded() {
    let parts = ["q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"];
    let only = Repository::empty().large(parts[0], "GGUF 1").large(parts[1], "GGUF 2");
    let more = only.clone().large("other.gguf", "GGUF 3");
    for (repository, asked) in [(&only, "org/name".to_string()), (&more, format!("org/name/{}", parts[1]))] {
        let served = repository.clone();
        let server = Server::start(move |request| served.answer(request));
        let cache = tempdir().expect("a folder");
        let path = fetch(&asked, &settings(&server, cache.path())).0.expect("fetched");
        assert!(path.ends_with(parts[0]), "{path:?}");
        for part in parts {
            let file = path.with_file_name(part.rsplit('/').next().expect("a name"));
            assert!(fs::read(file).expect(part) == repository.content(part), "{part}");
        }
        assert!(!path.parent().and_then(|q| q.parent()).expect("a folder").join("other.gguf").exists());
    }
    let half = Repository::empty().large(parts[0], "GGUF 1");
    let server = Server::start(move |request| half.answer(request));
    let cache = tempdir().expect("a folder");
    let message = fetch("org/name", &settings(&server, cache.path())).0.expect_err("half").to_string();
    assert!(message.contains("has no file `q/m-00002-of-00002.gguf`"), "{message}");
}

#[test]
fn a_gguf_file_is_downloaded_alone() {
    let one = Repository::empty().small("README.md", "").large("sub/only.gguf", "GGUF one");
    let two = one.clone().large("other.gguf", "GGUF two").small("model.safetensors", "weights");
    for (repository, model, file) in [
        (&one, "org/name", "sub/only.gguf"),
        (&two, "org/name/sub/only.gguf@main", "sub/only.gguf"),
        (&two, "org/name/other.gguf", "other.gguf"),
    ] {
        let served = repository.clone();
        let server = Server::start(move |request| served.answer(request));
        let cache = tempdir().expect("a folder");
        let path = fetch(model, &settings(&server, cache.path())).0.expect(model);
        assert_eq!(path, cache.path().join("models--org--name/snapshots").join(COMMIT).join(file));
        assert_eq!(fs::read(&path).expect("content"), repository.content(file));
        assert_eq!(names(&cache.path().join("models--org--name/blobs")).len(), 1);
    }
}

#[test]
fn an_unusable_repository_is_an_error_that_names_the_fault() {
    let index = r#"{"weight_map": {"a": "model-1.safetensors"}}"#;
    let ggufs = Repository::empty().large("a.gguf", "1").large("b.gguf", "2");
    let cases = [
        (Repository::checkpoint(9).without("config.json"), "org/name", "has no file `config.json`"),
        (Repository::checkpoint(9).without("tokenizer.json"), "org/name", "neither tokenizer.json nor"),
        (Repository::checkpoint(9).without("model.safetensors"), "org/name", "neither model.safetensors,"),
        (Repository::checkpoint(9), "org/name/a.gguf", "has no file `a.gguf`"),
        (ggufs, "org/name@v2", "(a.gguf, b.gguf), so one must be named, as in `org/name/a.gguf@v2`"),
        (
            Repository::checkpoint(9)
                .without("model.safetensors")
                .small("model.safetensors.index.json", index),
            "org/name",
            "has no file `model-1.safetensors`",
        ),
    ];
    for (repository, model, part) in cases {
        let server = Server::start(move |request| repository.answer(request));
        let cache = tempdir().expect("a folder");
        let message = fetch(model, &settings(&server, cache.path())).0.expect_err(part).to_string();
        assert!(message.contains(part) && message.starts_with(model), "{message}");
    }
}

#[test]
fn a_listed_file_that_is_missing_is_an_error_only_if_it_is_needed() {
    for (file, fine) in [("generation_config.json", true), ("config.json", false)] {
        let repository = Repository::checkpoint(9);
        let server = Server::start(move |request| match request.path.ends_with(file) {
            true => support::Reply::new(404, ""),
            false => repository.answer(request),
        });
        let cache = tempdir().expect("a folder");
        let (fetched, _) = fetch("org/name", &settings(&server, cache.path()));
        match fetched {
            Ok(folder) => assert!(fine && !names(&folder).contains(&file.to_string())),
            Err(error) => {
                assert!(!fine && matches!(error, Error::Repository { .. }), "{error}");
                assert!(error.to_string().contains("org/name@main has no file `config.json`"), "{error}");
            }
        }
    }
}

#[test]
fn names_outside_the_cache_are_refused() {
    let evil = |name: &str| {
        let map = format!(r#"{{"weight_map": {{"a": "{name}"}}}}"#);
        Repository::checkpoint(9).without("model.safetensors").small("model.safetensors.index.json", map)
    };
    let cases = [
        Repository::empty().large("../../../evil.gguf", "GGUF"),
        Repository::empty().large("/tmp/evil.gguf", "GGUF"),
        Repository::empty().large("a\\\\..\\\\evil.gguf", "GGUF"),
        evil("../../../evil.safetensors"),
        evil("/evil.safetensors"),
        evil("a/../../evil.safetensors"),
    ];
    for repository in cases {
        let server = Server::start(move |request| repository.answer(request));
        let outer = tempdir().expect("a folder");
        let cache = outer.path().join("a/b");
        let message = fetch("org/name", &settings(&server, &cache)).0.expect_err("refused").to_string();
        assert!(message.contains("names its weights `"), "{message}");
        assert_eq!(
            names(outer.path()).len() + names(&outer.path().join("a")).len(),
            if cache.exists() { 2 } else { 0 }
        );
        assert!(server.requests().iter().all(|request| !request.path.contains("evil")));
    }
}

#[test]
fn invalid_commits_and_etags_are_refused() {
    let repository = Repository::checkpoint(9).at(&format!("{}evil", "../".repeat(12)));
    let server = Server::start(move |request| repository.answer(request));
    let cache = tempdir().expect("a folder");
    let error = fetch("org/name", &settings(&server, cache.path())).0.expect_err("refused");
    assert!(error.to_string().contains("names no commit"), "{error}");

    let etag = format!("{}evil", "../".repeat(20));
    assert_eq!(etag.len(), 64, "as long as a SHA-256");
    let repository = Repository::checkpoint(9);
    let server = Server::start(move |request| {
        let mut reply = repository.answer(request);
        for (_, value) in reply.headers.iter_mut().filter(|(name, _)| name.ends_with("tag") || name == "ETag")
        {
            *value = format!("\"{etag}\"");
        }
        reply
    });
    let error = fetch("org/name", &settings(&server, cache.path())).0.expect_err("refused");
    assert!(error.to_string().contains("neither a SHA-256 nor a git SHA-1"), "{error}");
    assert!(names(cache.path()).is_empty());
}

//! A test repository `org/name` that answers requests as the hub does.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Reply, Request};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A repository at one commit, to which every requested revision resolves.
#[derive(Clone)]
pub(crate) struct Repository {
    commit: String,
    files: Vec<File>,
    /// The address of the server with the large files; empty for the hub.
    storage: String,
}

#[derive(Clone)]
struct File {
    name: String,
    content: Vec<u8>,
    large: bool,
}

impl Repository {
    pub(crate) fn empty() -> Repository {
        Repository { commit: COMMIT.into(), files: vec![], storage: String::new() }
    }

    /// A checkpoint with `weights` bytes of weights in large file storage.
    pub(crate) fn checkpoint(weights: usize) -> Repository {
        Repository::empty()
            .small("README.md", "not needed")
            .small("config.json", r#"{"model": 1}"#)
            .small("generation_config.json", "{}")
            .small("tokenizer.json", r#"{"tokens": 2}"#)
            .large("model.safetensors", super::noise(weights))
    }

    /// Adds a file that is stored in git.
    pub(crate) fn small(mut self, name: &str, content: impl Into<Vec<u8>>) -> Repository {
        self.files.push(File { name: name.into(), content: content.into(), large: false });
        self
    }

    /// Adds a file that is stored in large file storage.
    pub(crate) fn large(mut self, name: &str, content: impl Into<Vec<u8>>) -> Repository {
        self.files.push(File { name: name.into(), content: content.into(), large: true });
        self
    }

    /// Moves the large files to another server.
    pub(crate) fn stored_at(mut self, storage: &super::Server) -> Repository {
        self.storage = storage.endpoint();
        self
    }

    /// Changes the commit.
    pub(crate) fn at(mut self, commit: &str) -> Repository {
        self.commit = commit.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Repository {
        self.files.retain(|file| file.name != name);
        self
    }

    pub(crate) fn content(&self, name: &str) -> &[u8] {
        &self.file(name).expect(name).content
    }

    /// The name of a file's blob in the cache.
    pub(crate) fn etag(&self, name: &str) -> String {
        self.file(name).expect(name).etag()
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let path = request.path.as_str();
        if path.starts_with("/api/models/org/name/revision/") {
            return self.listing();
        }
        if let Some(etag) = path.strip_prefix("/storage/") {
            let file = self.files.iter().find(|file| file.large && file.etag() == etag);
            // The ETag of the storage is not the checksum.
            let serve = |file: &File| ranged(request, &file.content).with("ETag", "\"of-the-storage\"");
            return file.map_or(Reply::new(404, "no such blob"), serve);
        }
        let file = path.strip_prefix("/org/name/resolve/").and_then(|rest| rest.split_once('/'));
        match file.and_then(|(_, name)| self.file(name)) {
            None => Reply::new(404, "not found"),
            Some(file) if file.large => {
                let target = format!("{}/storage/{}", self.storage, file.etag());
                let size = file.content.len().to_string();
                self.named(Reply::new(302, "Found"))
                    .with("Location", target)
                    .with("X-Linked-Etag", format!("\"{}\"", file.etag()))
                    .with("X-Linked-Size", size)
            }
            Some(file) => {
                self.named(ranged(request, &file.content)).with("ETag", format!("\"{}\"", file.etag()))
            }
        }
    }

    fn named(&self, reply: Reply) -> Reply {
        reply.with("X-Repo-Commit", &self.commit)
    }

    fn listing(&self) -> Reply {
        let siblings: Vec<_> =
            self.files.iter().map(|file| serde_json::json!({ "rfilename": file.name })).collect();
        let listing = serde_json::json!({ "id": "org/name", "sha": self.commit, "siblings": siblings });
        Reply::new(200, listing.to_string()).with("Content-Type", "application/json")
    }
}

impl File {
    fn etag(&self) -> String {
        if self.large {
            return hex(&Sha256::digest(&self.content));
        }
        let header = format!("blob {}\0", self.content.len());
        hex(&Sha1::new().chain_update(header).chain_update(&self.content).finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content, or the requested range of it.
fn ranged(request: &Request, content: &[u8]) -> Reply {
    let first = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let Some(first) = first.and_then(|range| range.strip_suffix('-')) else {
        return Reply::new(200, content);
    };
    let first: usize = first.parse().expect("a number");
    let range = format!("bytes {first}-{}/{}", content.len() - 1, content.len());
    Reply::new(206, &content[first..]).with("Content-Range", range)
}

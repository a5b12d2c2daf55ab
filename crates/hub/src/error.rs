//! The errors of this crate. Each is one sentence that says what to do.

use std::{io, path::PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The errors of this crate. `model` is in the form that [`crate::ModelId`] parses; sizes are in bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error(
        "`{text}` is not a model on the hub ({reason}): write ORG/NAME, ORG/NAME@REVISION or ORG/NAME/FILE.gguf@REVISION"
    )]
    ModelId { text: String, reason: String },
    #[error("there is no home folder to keep the cache in: set HF_HOME or HF_HUB_CACHE to a folder")]
    NoHome,
    #[error("HF_ENDPOINT is `{value}`, {reason}: write an address such as https://huggingface.co")]
    Endpoint { value: String, reason: &'static str },
    #[error("the token in {place} is not one line of visible ASCII characters: copy it again from the hub")]
    Token { place: String },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "cannot write {} ({source}): check its permissions and the free space, or set HF_HUB_CACHE to another folder",
        path.display()
    )]
    Write { path: PathBuf, source: io::Error },

    #[error(
        "HF_HUB_OFFLINE is set, but {model} is not in the cache {}: unset it once to download the model",
        cache.display()
    )]
    NotCached { model: String, cache: PathBuf },
    #[error(
        "HF_HUB_OFFLINE is set, but the copy of {model} in {} {fault}: unset it once to complete the download",
        snapshot.display()
    )]
    CachedInPart { model: String, snapshot: PathBuf, fault: RepositoryFault },
    #[error("{model} {fault}: choose another revision or repository")]
    Repository { model: String, fault: RepositoryFault },
    #[error("{} is not an index of shards ({reason}): delete it and run again", path.display())]
    Index { path: PathBuf, reason: String },
    #[error(
        "cannot reach {host} ({reason}): check the network and HF_ENDPOINT, or use a model that is cached"
    )]
    Unreachable { host: String, reason: String },
    #[error("{address} answers with status {status}: try again later, or check HF_ENDPOINT")]
    Status { address: String, status: u16 },
    #[error("{address} {reason}, which the hub does not do: check HF_ENDPOINT and any proxy")]
    Answer { address: String, reason: String },
    #[error(
        "the hub denies {model} (status {status}), because it is private, gated or does not exist: accept its terms at {page} and {token}"
    )]
    Denied { model: String, status: u16, page: String, token: &'static str },
    #[error("the hub at {host} has no {model}: check the names of repository and revision")]
    NotFound { model: String, host: String },
    #[error(
        "the download of `{file}` of {model} broke off at {received} of {size} bytes ({reason}): run again to resume"
    )]
    Broken { model: String, file: String, received: u64, size: u64, reason: String },
    #[error(
        "`{file}` of {model} was announced with {announced} bytes, but {address} sends {sent}: run again, or check HF_ENDPOINT and any proxy"
    )]
    Length { model: String, file: String, address: String, announced: u64, sent: String },
    #[error(
        "`{file}` of {model} has the {kind} {found}, but the hub announced {expected}, so the download was deleted: run again (if the error returns, the copy on the server is damaged)"
    )]
    Checksum { model: String, file: String, kind: &'static str, expected: String, found: String },
}

/// Why a repository, or its cached copy, cannot be used as a BitNet model. The message is a clause that
/// follows the name of the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum RepositoryFault {
    #[error("has no file `{0}`")]
    File(String),
    #[error("has neither tokenizer.json nor tokenizer.model")]
    Tokenizer,
    #[error("has neither model.safetensors, model.safetensors.index.json nor a GGUF file")]
    Weights,
    #[error(
        "has several GGUF files ({}{}), so one must be named, as in `{example}`",
        files.join(", "), if *more > 0 { format!(" and {more} more") } else { String::new() }
    )]
    Choice { files: Vec<String>, more: usize, example: String },
    #[error("names its weights `{name}`, which {reason}")]
    Name { name: String, reason: &'static str },
}

impl Error {
    /// Returns the error for an endpoint that cannot be used. A password in it is not repeated.
    pub(crate) fn endpoint(value: &str, reason: &'static str) -> Error {
        let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
        let separator = if scheme.is_empty() { "" } else { "://" };
        let hidden = rest.rsplit_once('@').map_or_else(|| rest.into(), |(_, host)| format!("***@{host}"));
        Error::Endpoint { value: format!("{scheme}{separator}{hidden}"), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_password_is_not_repeated() {
        for (value, shown) in [
            ("http://user:secret@host", "`http://***@host`"),
            ("user:secret@host:1", "`***@host:1`"),
            ("ftp://host", "`ftp://host`"),
        ] {
            assert!(Error::endpoint(value, "which is wrong").to_string().contains(shown));
        }
    }
}

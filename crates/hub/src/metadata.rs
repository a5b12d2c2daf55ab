//! The length and checksum that the hub announces for a file.

use crate::{
    Result,
    address::Address,
    checksum::Checksum,
    client::{Answer, Client, MAX_REDIRECTS, Method},
};

/// The length and checksum of a file at a commit.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// The length in bytes.
    pub(crate) size: u64,
    pub(crate) checksum: Checksum,
}

/// Asks the hub for a file's metadata. Returns `None` if the repository does not have the file.
///
/// The hub redirects a file in large file storage to another server, whose `ETag` is not the file's checksum.
/// The hub's own answer has the checksum and the length, as `X-Linked-Etag` and `X-Linked-Size`.
pub(crate) fn metadata(client: &Client<'_>, commit: &str, file: &str) -> Result<Option<Metadata>> {
    let mut address = client.file(commit, file)?;
    let (mut etag, mut size) = (None, None);
    for _ in 0..=MAX_REDIRECTS {
        let answer = client.ask(Method::Head, &address)?;
        if answer.status() == 404 {
            return Ok(None);
        }
        check_commit(&answer, commit)?;
        etag = answer.header("x-linked-etag").map(str::to_string).or(etag);
        size = answer.header("x-linked-size").map(str::to_string).or(size);
        let Some(target) = answer.redirect()? else {
            let answer = client.success(answer)?;
            let etag = etag.as_deref().or(answer.header("etag"));
            return read(&address, etag, size.as_deref().or(answer.header("content-length"))).map(Some);
        };
        // Only headers of the hub are used, not those of another server.
        if (etag.is_some() && size.is_some()) || !client.is_hub(&target) {
            return read(&address, etag.as_deref(), size.as_deref()).map(Some);
        }
        address = target;
    }
    Err(address.unexpected("redirects without end"))
}

/// Checks that an answer is about the commit that was requested.
fn check_commit(answer: &Answer, commit: &str) -> Result<()> {
    match answer.header("x-repo-commit") {
        Some(found) if found != commit => Err(answer
            .address
            .unexpected(format!("sends a file of commit `{found}` when asked for {commit}"))),
        _ => Ok(()),
    }
}

/// Parses the headers of an answer from `address`.
fn read(address: &Address, etag: Option<&str>, size: Option<&str>) -> Result<Metadata> {
    let etag = etag.ok_or_else(|| address.unexpected("names no ETag"))?;
    let checksum = Checksum::from_etag(etag).ok_or_else(|| {
        address.unexpected(format!("names an ETag `{etag}` that is neither a SHA-256 nor a git SHA-1"))
    })?;
    let size = size.ok_or_else(|| address.unexpected("names no length"))?;
    let size = size
        .trim()
        .parse()
        .map_err(|_| address.unexpected(format!("names a length `{size}` that is not a number")))?;
    Ok(Metadata { size, checksum })
}

//! Transfers one file from the hub to disk, resumes it after a break, and verifies it.

use std::{io::Read, path::Path};

use bitkv_progress::{Progress, Work};

use crate::{
    Error, Result,
    address::Address,
    client::{Answer, Client},
    metadata::Metadata,
    partial_file::{Finished, PartialFile},
    retry::{Failure, Retries},
};

/// The number of bytes that are read from the network at once.
const BLOCK: usize = 1 << 18;

/// A file on the hub at a commit, with the length and checksum that the hub announces.
pub(crate) struct RemoteFile<'a> {
    pub(crate) client: &'a Client<'a>,
    pub(crate) model: &'a str,
    pub(crate) file: &'a str,
    pub(crate) address: Address,
    pub(crate) metadata: Metadata,
}

impl RemoteFile<'_> {
    /// Downloads the file to `path` and resumes from the bytes that are already there. If the transfer fails,
    /// the received bytes stay for the next call; if the checksum or the length is wrong, they are deleted.
    /// Returns the progress of the work, which the caller finishes after moving the file to its place.
    pub(crate) fn transfer<'p>(&self, path: &Path, progress: &'p dyn Progress) -> Result<Work<'p>> {
        let mut part = PartialFile::open(path, &self.metadata)?;
        let work = Work::bytes(progress, self.file, self.metadata.size, part.len());
        let mut retries = Retries::new(self.client.settings);
        let mut furthest = part.len();
        while part.missing() > 0 {
            let received = self.receive(&mut part, &work);
            // Only bytes beyond the furthest ones count as progress: a server that always starts over makes
            // none, no matter how much it sends.
            if part.len() > furthest {
                furthest = part.len();
                retries.reset();
            }
            match received {
                Ok(()) => {}
                Err(Failure::Permanent(error @ Error::Length { .. })) => {
                    part.discard()?;
                    return Err(error);
                }
                Err(failure) => retries.wait(failure)?,
            }
        }
        let checksum = &self.metadata.checksum;
        match part.finish()? {
            Finished::Kept => Ok(work),
            Finished::Deleted { found } => Err(Error::Checksum {
                model: self.model.into(),
                file: self.file.into(),
                kind: checksum.name(),
                expected: checksum.hex().into(),
                found,
            }),
        }
    }

    /// Sends one request for the missing bytes and writes the received bytes to the file.
    fn receive(&self, part: &mut PartialFile, work: &Work<'_>) -> Result<(), Failure> {
        let answer = self.client.content(&self.address, part.len()).map_err(|failure| match failure {
            Failure::Transient(error) if part.len() > 0 => self.broken(part, &error.to_string()),
            other => other,
        })?;
        match answer.status() {
            200 if part.len() > 0 => part.restart().map_err(Failure::Permanent)?,
            200 => {}
            206 if starts_at(&answer, part.len()) => {}
            // The server did not send the requested range, so the whole file is requested next.
            206 | 416 if part.len() > 0 => {
                part.restart().map_err(Failure::Permanent)?;
                return Err(self.broken(part, "the server did not resume from there"));
            }
            _ => return Err(Failure::Permanent(self.client.refusal(&answer))),
        }
        self.check_length(&answer, part)?;
        self.receive_body(answer, part, work)
    }

    /// If the answer gives its length, checks that it is the number of missing bytes.
    fn check_length(&self, answer: &Answer, part: &PartialFile) -> Result<(), Failure> {
        match answer.header("content-length").and_then(|length| length.trim().parse::<u64>().ok()) {
            Some(length) if length != part.missing() => {
                Err(self.wrong_length(&answer.address, part.len().saturating_add(length).to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Writes the body of an answer to the file.
    fn receive_body(&self, answer: Answer, part: &mut PartialFile, work: &Work<'_>) -> Result<(), Failure> {
        let Answer { address, response } = answer;
        let mut body = response.into_body().into_reader();
        let mut block = vec![0; BLOCK];
        loop {
            let n = match body.read(&mut block) {
                Ok(0) if part.missing() == 0 => return Ok(()),
                Ok(0) => return Err(self.broken(part, "the server closed the connection")),
                Ok(n) => n,
                Err(e) => return Err(self.broken(part, &e.to_string())),
            };
            if n as u64 > part.missing() {
                let sent = format!("more than {}", self.metadata.size);
                return Err(self.wrong_length(&address, sent));
            }
            part.append(&block[..n]).map_err(Failure::Permanent)?;
            work.reach(part.len());
        }
    }

    /// Returns the failure of a transfer that broke off.
    fn broken(&self, part: &PartialFile, reason: &str) -> Failure {
        let (model, file) = (self.model.into(), self.file.into());
        let (received, size, reason) = (part.len(), self.metadata.size, reason.into());
        Failure::Transient(Error::Broken { model, file, received, size, reason })
    }

    /// Returns the failure of a transfer whose length is not the announced one. `sent` says how many bytes
    /// the server sends.
    fn wrong_length(&self, address: &Address, sent: String) -> Failure {
        let (model, file) = (self.model.into(), self.file.into());
        let (address, announced) = (address.to_string(), self.metadata.size);
        Failure::Permanent(Error::Length { model, file, address, announced, sent })
    }
}

/// Whether a partial answer begins at `byte`, according to a header such as `Content-Range: bytes 5-9/10`.
fn starts_at(answer: &Answer, byte: u64) -> bool {
    let range = answer.header("content-range").and_then(|range| range.trim().strip_prefix("bytes "));
    range.and_then(|range| range.split('-').next()).and_then(|first| first.parse().ok()) == Some(byte)
}

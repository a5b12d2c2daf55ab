//! SHA-256 hashes of the inputs of a run.

use crate::RecordError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

/// One input file of a run: its name, SHA-256 (64 lower-case hex digits) and size in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHash {
    /// The name, relative to the folder of the model or the texts.
    pub name: String,
    /// The SHA-256, 64 lower-case hex digits.
    pub sha256: String,
    /// The size in bytes.
    pub bytes: u64,
}

impl FileHash {
    /// Returns the hash of bytes in memory.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self { name: name.into(), sha256: sha256(bytes), bytes: bytes.len() as u64 }
    }

    /// Returns the hash of a file. Its name is the last part of the path. The file is read in blocks, so it
    /// can be larger than the memory.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, RecordError> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (sha256, bytes) = sha256_file(path)?;
        Ok(Self { name, sha256, bytes })
    }
}

/// Returns the SHA-256 of `bytes` as 64 lower-case hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the SHA-256 of several parts as 64 lower-case hex digits. The length of each part is hashed before
/// the part, so that the same bytes divided differently have another hash.
pub fn sha256_of_parts<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.as_ref().len() as u64).to_le_bytes());
        hasher.update(part.as_ref());
    }
    hex(&hasher.finalize())
}

/// Returns the SHA-256 of a file as 64 lower-case hex digits, and its size in bytes.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn sha256_file(path: &Path) -> Result<(String, u64), RecordError> {
    let fail = |source| RecordError::Read { path: path.to_owned(), source };
    let mut file = bitkv_bytes::open_regular(path).map_err(fail)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match file.read(&mut block).map_err(fail)? {
            0 => return Ok((hex(&hasher.finalize()), total)),
            n => {
                hasher.update(&block[..n]);
                total += n as u64;
            }
        }
    }
}

/// Hashes bytes that come one part after another, as if they were one file.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the SHA-256 of all bytes as 64 lower-case hex digits.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_fips_180() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn bytes_divided_differently_have_another_hash() {
        let whole = sha256_of_parts(["ab", "c"]);
        assert_eq!(whole, sha256(b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c"));
        assert_ne!(whole, sha256_of_parts(["a", "bc"]));
        assert_ne!(sha256_of_parts(["", "a"]), sha256_of_parts(["a"]));
    }

    #[test]
    fn a_file_hashes_like_its_bytes_across_blocks() {
        let bytes: Vec<u8> = (0..(1 << 20) + 12345u32).map(|i| (i * 31) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let (digest, size) = sha256_file(file.path()).unwrap();
        assert_eq!((digest, size), (sha256(&bytes), bytes.len() as u64));
        let missing = FileHash::from_file(Path::new("no/such/file")).unwrap_err().to_string();
        assert!(missing.contains("no/such/file"), "{missing}");
    }
}

//! The two checksums that the hub announces for files: SHA-256, and the SHA-1 that git computes.

use sha1::Sha1;
use sha2::{Digest, Sha256, digest::DynDigest};

/// The checksum that a file's content must have, read from its etag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    algorithm: Algorithm,
    /// Lower-case hex digits, which are safe as a file name.
    hex: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    /// SHA-256 of the content, for files in large file storage.
    Sha256,
    /// SHA-1 of `blob`, the length and the content, as git computes it, for files in git.
    GitBlob,
}

impl Checksum {
    /// Reads an `ETag` header, weak or strong. Returns `None` if it is not one of the two checksums.
    pub(crate) fn from_etag(etag: &str) -> Option<Checksum> {
        let etag = etag.trim();
        let hex = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').to_ascii_lowercase();
        let algorithm = match hex.len() {
            64 => Algorithm::Sha256,
            40 => Algorithm::GitBlob,
            _ => return None,
        };
        hex.bytes().all(|b| b.is_ascii_hexdigit()).then_some(Checksum { algorithm, hex })
    }

    /// The hex digits, which are also the name of the file's blob in the cache.
    pub(crate) fn hex(&self) -> &str {
        &self.hex
    }

    /// The name of the checksum, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::GitBlob => "git blob SHA-1",
        }
    }

    /// Returns a hasher for a file of `size` bytes.
    pub(crate) fn hasher(&self, size: u64) -> Hasher {
        match self.algorithm {
            Algorithm::Sha256 => Hasher(Box::new(Sha256::new())),
            Algorithm::GitBlob => Hasher(Box::new(Sha1::new().chain_update(format!("blob {size}\0")))),
        }
    }
}

/// Computes a checksum from the bytes of a file.
pub(crate) struct Hasher(Box<dyn DynDigest + Send>);

impl Hasher {
    /// Adds the next bytes of the file.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far, in lower-case hex digits.
    pub(crate) fn hex(self) -> String {
        self.0.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(etag: &str, content: &[u8]) -> String {
        let mut hasher = Checksum::from_etag(etag).expect(etag).hasher(content.len() as u64);
        content.chunks(5).for_each(|chunk| hasher.update(chunk));
        hasher.hex()
    }

    /// The expected values were computed by `sha256sum` and `git hash-object`.
    #[test]
    fn hashes_are_those_of_sha256sum_and_git() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(empty, b""), empty);
        let hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(hash(hello, b"hello\n"), hello);
        assert_eq!(hash(&"0".repeat(40), b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(hash(&"0".repeat(40), b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn weak_and_strong_etags_are_read_and_others_are_not() {
        let sha1 = "ce013625030ba8dba906f756967f9e9ca394464a";
        for etag in [format!("\"{sha1}\""), format!("W/\"{sha1}\""), sha1.to_uppercase(), format!(" {sha1} ")]
        {
            assert_eq!(Checksum::from_etag(&etag).expect(&etag).hex(), sha1);
        }
        for etag in ["", "\"abc\"", "../../../../../../../../../../etc/passwd12", &format!("{sha1}-2")] {
            assert_eq!(Checksum::from_etag(etag), None, "{etag}");
        }
    }
}

//! Recognises files that are not what their names say.

use std::{fs::File, io::Read, path::Path};

use crate::{Error, Result};

/// The largest file that is read, in bytes. The largest published tokenizers have 40 MB.
const LARGEST: u64 = 1 << 30;

/// Returns the bytes of a file of a tokenizer, without a byte order mark of UTF-8.
///
/// # Errors
/// Returns an error if the file cannot be read, or is empty, a pointer of git-lfs, a web page, or text in
/// UTF-16.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read { path: path.into(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is not a file")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed(std::io::Error::other("it is far larger than any tokenizer")));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    match disguise(&bytes) {
        Some((content, remedy)) => Err(Error::Disguised { path: path.into(), content, remedy }),
        None => Ok(bytes),
    }
}

/// Returns what a file is instead of a tokenizer, and what to do.
fn disguise(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = bytes.trim_ascii_start();
    let begins =
        |start: &str| text.get(..start.len()).is_some_and(|b| b.eq_ignore_ascii_case(start.as_bytes()));
    if text.is_empty() {
        return Some(("empty", "download it again"));
    }
    if begins("version https://git-lfs") {
        return Some((
            "a pointer of git-lfs, not the file itself",
            "run `git lfs pull`, or download the file",
        ));
    }
    if begins("<!doctype") || begins("<html") || begins("<?xml") {
        return Some(("a web page", "download the file itself"));
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Some(("text in UTF-16", "save it as UTF-8"));
    }
    None
}

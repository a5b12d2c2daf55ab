//! Opens and reads whole files, and refuses those that are something else than the reader expects.
#![allow(
    clippy::disallowed_methods,
    reason = "every other file of the workspace opens input files by this one"
)]

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use crate::{Expected, limit, misplaced, without_byte_order_mark};

/// Opens a file for reading. Every input file is opened by this function.
///
/// # Errors
/// Returns an error with a remedy if the file cannot be opened, or is not a regular file: reading a pipe
/// could wait for ever, and a device could have no end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // A pipe must be refused before it is opened, because opening waits for its writer.
    let kind = fs::metadata(path).map_err(with_remedy)?.file_type();
    if kind.is_file() {
        return File::open(path).map_err(with_remedy);
    }
    let (name, remedy) = match kind.is_dir() {
        true => ("a folder", "put a regular file in its place"),
        false => {
            ("a pipe, a socket or a device", "write its content to a file first, and put that in its place")
        }
    };
    Err(refused(format!("it is {name}: {remedy}")))
}

/// Returns the bytes of a file of at most `most` bytes, which is checked before memory is reserved.
///
/// # Errors
/// Fails as [`open_regular`] does, if the file is larger, or if it grows while it is read.
pub fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let size = file.metadata()?.len();
    if size > most {
        return Err(refused(format!(
            "it has {size} bytes, and at most {most} are read from a file of its kind: use a smaller file"
        )));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // One byte more would show that the file has grown, as a log does.
    file.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > size {
        return Err(refused("it grows while it is read: wait until it is complete".into()));
    }
    Ok(bytes)
}

/// Returns the bytes of a file that a run wrote, whose size grows with the run.
///
/// # Errors
/// Fails as [`read_bytes`] does, for at most [`limit::ROWS`] bytes.
pub fn read_regular_bytes(path: &Path) -> io::Result<Vec<u8>> {
    read_bytes(path, limit::ROWS)
}

/// Returns the content of a file of at most `most` bytes.
///
/// # Errors
/// Fails as [`read_bytes`] does, or if the content is not what is expected; see [`misplaced`].
pub fn read_expected(path: &Path, expected: Expected, most: u64) -> io::Result<Vec<u8>> {
    let bytes = read_bytes(path, most)?;
    misplaced(&bytes, expected).map_or(Ok(bytes), |what| Err(refused(what)))
}

/// Returns the text of a document of at most `most` bytes, without a byte order mark.
///
/// # Errors
/// Fails as [`read_expected`] does, or if the content is not UTF-8.
pub fn read_document(path: &Path, most: u64) -> io::Result<String> {
    text(read_expected(path, Expected::Document, most)?)
}

/// Returns the text of a document as [`read_document`] does, but also of an empty one.
///
/// # Errors
/// Fails as [`read_document`] does, except for an empty file.
pub fn read_written_document(path: &Path, most: u64) -> io::Result<String> {
    text(read_expected(path, Expected::Written, most)?)
}

/// Returns the bytes of a text, such as a page to generate from.
///
/// # Errors
/// Fails as [`read_bytes`] does for [`limit::TEXT`] bytes, or if the file is clearly not a text; see
/// [`misplaced`].
pub fn read_text_bytes(path: &Path) -> io::Result<Vec<u8>> {
    read_expected(path, Expected::Text, limit::TEXT)
}

/// Checks a JSON text before it is parsed: a parser takes many times its size in memory if it consists of
/// small values.
///
/// # Errors
/// Returns a sentence with a remedy if the text may hold more than [`limit::VALUES`] values.
pub fn check_values(json: &[u8]) -> Result<(), String> {
    let values = json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if values <= limit::VALUES {
        return Ok(());
    }
    Err(format!(
        "it holds about {values} values, and at most {} are read from a file of its kind: remove what it does not need",
        limit::VALUES
    ))
}

/// Returns bytes as text, without a byte order mark.
fn text(mut bytes: Vec<u8>) -> io::Result<String> {
    let mark = bytes.len() - without_byte_order_mark(&bytes).len();
    bytes.drain(..mark);
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8: save it as UTF-8".into()))
}

/// Adds to an error of the operating system what to do about it.
fn with_remedy(error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "check its path",
        io::ErrorKind::PermissionDenied => "allow this user to read it",
        io::ErrorKind::NotADirectory => "check its path, whose beginning is a file",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}: {remedy}"))
}

/// Returns the error about a file that is not what the reader expects.
fn refused(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lose_their_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, b"\xEF\xBB\xBF{}").unwrap();
        assert_eq!(read_document(&path, 9).unwrap(), "{}");
        for (bytes, reason) in [(&b"\xFF\xFE{\0}\0"[..], "UTF-16"), (b"{\"a\": \"\xE4\"}", "not UTF-8")] {
            fs::write(&path, bytes).unwrap();
            assert!(read_document(&path, 99).unwrap_err().to_string().contains(reason));
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let message = open_regular(folder.path()).unwrap_err().to_string();
        assert!(message.contains("it is a folder"), "{message}");
        let message = open_regular(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(message.contains("No such") && message.ends_with("check its path"), "{message}");
        #[cfg(unix)]
        {
            let socket = folder.path().join("tokenizer.json");
            let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            for path in [&socket, Path::new("/dev/zero")] {
                let message = read_bytes(path, u64::MAX).unwrap_err().to_string();
                assert!(message.contains("it is a pipe, a socket or a device"), "{message}");
            }
        }
    }

    #[test]
    fn large_files_are_refused_before_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        File::create(&path).and_then(|file| file.set_len(1 << 40)).unwrap();
        let message = read_document(&path, limit::SETTINGS).unwrap_err().to_string();
        assert!(message.contains("it has 1099511627776 bytes, and at most 16777216"), "{message}");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_bytes(&path, 5).unwrap(), b"12345");
        assert!(read_bytes(&path, 4).is_err());
    }

    #[test]
    fn many_values_are_refused_before_they_are_parsed() {
        assert_eq!(check_values(b"{\"a\": [1, 2]}"), Ok(()));
        let message = check_values(&b"0,".repeat(limit::VALUES + 1)).unwrap_err();
        assert!(message.contains("it holds about 200001 values"), "{message}");
    }
}

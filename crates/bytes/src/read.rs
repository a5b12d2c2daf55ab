//! Reads whole files, and refuses those that are something else than the reader expects.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::{Expected, misplaced, without_byte_order_mark};

/// Opens a file of a model's folder for reading.
///
/// # Errors
/// Returns an error if the file cannot be opened, or is not a regular file: reading a pipe could wait for
/// ever, and a device could have no end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // A pipe must be refused before it is opened, because opening waits for its writer.
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let name = if kind.is_dir() { "a folder" } else { "a pipe, a socket or a device" };
    Err(refused(format!("it is {name}: put a regular file in its place")))
}

/// Returns the content of a file of a model's folder.
///
/// # Errors
/// Fails as [`open_regular`] does, or if the content is not what is expected; see [`misplaced`].
pub fn read_regular(path: &Path, expected: Expected) -> io::Result<Vec<u8>> {
    checked(read_regular_bytes(path)?, expected)
}

/// Returns the bytes of a file that must be regular.
///
/// # Errors
/// Fails as [`open_regular`] does.
pub fn read_regular_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut open_regular(path)?, &mut bytes)?;
    Ok(bytes)
}

/// Returns the text of a document of a model's folder, without a byte order mark.
///
/// # Errors
/// Fails as [`read_regular`] does, or if the content is not UTF-8.
pub fn read_regular_document(path: &Path) -> io::Result<String> {
    text(read_regular(path, Expected::Document)?)
}

/// Returns the text of a document that a user names, without a byte order mark. It may be a pipe.
///
/// # Errors
/// Returns an error if the file cannot be read, is not UTF-8, or is not a document; see [`misplaced`].
pub fn read_document(path: &Path) -> io::Result<String> {
    text(read_any(path, Expected::Document)?)
}

/// Returns the text of a document as [`read_document`] does, but also of an empty one.
///
/// # Errors
/// Fails as [`read_document`] does, except for an empty file.
pub fn read_written_document(path: &Path) -> io::Result<String> {
    text(read_any(path, Expected::Written)?)
}

/// Returns the bytes of a text that a user names, such as a page to generate from. It may be a pipe.
///
/// # Errors
/// Returns an error if the file cannot be read, or is clearly not a text; see [`misplaced`].
pub fn read_text_bytes(path: &Path) -> io::Result<Vec<u8>> {
    read_any(path, Expected::Text)
}

/// Returns the content of a file that a user names, which may be a pipe.
fn read_any(path: &Path, expected: Expected) -> io::Result<Vec<u8>> {
    checked(fs::read(path)?, expected)
}

/// Returns the content of a file if it is what is expected.
fn checked(bytes: Vec<u8>, expected: Expected) -> io::Result<Vec<u8>> {
    misplaced(&bytes, expected).map_or(Ok(bytes), |what| Err(refused(what)))
}

/// Returns bytes as text, without a byte order mark.
fn text(bytes: Vec<u8>) -> io::Result<String> {
    let text = std::str::from_utf8(without_byte_order_mark(&bytes));
    text.map(String::from).map_err(|_| refused("it is not UTF-8: save it as UTF-8".into()))
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
        assert_eq!(read_regular_document(&path).unwrap(), "{}");
        assert_eq!(read_document(&path).unwrap(), "{}");
        for (bytes, reason) in [(&b"\xFF\xFE{\0}\0"[..], "UTF-16"), (b"{\"a\": \"\xE4\"}", "not UTF-8")] {
            fs::write(&path, bytes).unwrap();
            assert!(read_regular_document(&path).unwrap_err().to_string().contains(reason));
            assert!(read_document(&path).unwrap_err().to_string().contains(reason));
        }
    }

    #[test]
    fn only_regular_files_of_a_model_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let message = open_regular(folder.path()).unwrap_err().to_string();
        assert!(message.contains("it is a folder"), "{message}");
        #[cfg(unix)]
        {
            let socket = folder.path().join("tokenizer.json");
            let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            for path in [&socket, Path::new("/dev/zero")] {
                let message = read_regular(path, Expected::Document).unwrap_err().to_string();
                assert!(message.contains("it is a pipe, a socket or a device"), "{message}");
            }
        }
    }
}

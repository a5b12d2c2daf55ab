//! Reads the files of a tokenizer.

use std::path::Path;

use bitkv_bytes::{Expected, read_expected, without_byte_order_mark};

use crate::{Error, Result};

/// Returns the bytes of a file of a tokenizer of at most `most` bytes, without a byte order mark of UTF-8.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a regular file, or is clearly something else than a
/// part of a tokenizer, such as a pointer of git-lfs; see [`bitkv_bytes::misplaced`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let bytes = read_expected(path, Expected::Data, most);
    let mut bytes = bytes.map_err(|source| Error::Read { path: path.into(), source })?;
    let mark = bytes.len() - without_byte_order_mark(&bytes).len();
    bytes.drain(..mark);
    Ok(bytes)
}

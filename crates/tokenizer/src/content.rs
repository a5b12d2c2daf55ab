//! Reads the files of a tokenizer.

use std::{io, path::Path};

use bitkv_bytes::{Expected, read_regular, without_byte_order_mark};

use crate::{Error, Result};

/// The largest file that is read, in bytes. The largest published tokenizers have 40 MB.
const LARGEST: u64 = 1 << 30;

/// Returns the bytes of a file of a tokenizer, without a byte order mark of UTF-8.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a regular file, or is clearly something else than a
/// part of a tokenizer, such as a pointer of git-lfs; see [`bitkv_bytes::misplaced`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read { path: path.into(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(failed(io::Error::other("it is far larger than any tokenizer")));
    }
    let bytes = read_regular(path, Expected::Data).map_err(failed)?;
    Ok(match without_byte_order_mark(&bytes) {
        rest if rest.len() == bytes.len() => bytes,
        rest => rest.to_vec(),
    })
}

//! Checks that rows of zeros at the end of an embedding belong to no token.

use bitkv_checkpoint::{Checkpoint, Error};
use bitkv_tokenizer::Tokenizer;

use crate::{Result, Source};

/// The largest fraction of the rows that may be zero although the tokenizer has tokens for them.
const MAX_UNUSED: f64 = 0.01;

impl Source {
    /// Returns an error if the embedding ends with rows of zeros that belong to tokens, so that the download
    /// was truncated. The tokenizer is read only if there are many such rows.
    ///
    /// # Errors
    /// Also returns an error if the embedding cannot be read.
    pub fn check_padding(&self, checkpoint: &Checkpoint) -> Result<()> {
        checked_tokenizer(self, checkpoint).map(drop)
    }
}

/// Checks the rows of zeros at the end of the embedding, if there are many. Returns the tokenizer if the
/// check read it; a tokenizer that cannot be read is left to those who need it.
pub(crate) fn checked_tokenizer(source: &Source, checkpoint: &Checkpoint) -> Result<Option<Tokenizer>> {
    if !needs_tokenizer(checkpoint)? {
        return Ok(None);
    }
    let Ok(Some(tokenizer)) = source.tokenizer(checkpoint) else { return Ok(None) };
    check(checkpoint, &tokenizer)?;
    Ok(Some(tokenizer))
}

/// Returns whether the embedding ends with so many rows of zeros that [`check`] may fail.
fn needs_tokenizer(checkpoint: &Checkpoint) -> Result<bool> {
    let embedding = checkpoint.unchecked_embedding()?;
    Ok(embedding.trailing_zero_rows() as f64 > MAX_UNUSED * embedding.rows() as f64)
}

/// Returns an error if rows of zeros at the end of the embedding belong to tokens. They cannot be padding of
/// the vocabulary, so the download was truncated. The weights alone do not show this.
fn check(checkpoint: &Checkpoint, tokenizer: &Tokenizer) -> Result<()> {
    let embedding = checkpoint.unchecked_embedding()?;
    let (rows, trailing) = (embedding.rows(), embedding.trailing_zero_rows());
    let has_token = |id: &usize| tokenizer.token(*id as u32).is_some();
    let zero = (rows - trailing..rows).filter(has_token).count();
    if zero as f64 <= MAX_UNUSED * rows as f64 {
        return Ok(());
    }
    let (file, tensor) = (embedding.stored().file.clone(), embedding.stored().name.clone());
    Err(Error::ZeroRows { file, tensor, zero, rows }.into())
}

//! Checks the embedding and the LM head for holes and for values that are not finite.

use bitkv_checkpoint::StoredTensor;
use bitkv_tokenizer::Tokenizer;

use crate::{
    Examination, Finding,
    finding::{fault, fine, if_changed, if_incomplete},
};

const HOLES: &str = "embedding-holes";
const FINITE: &str = "embedding-finite";

/// The largest fraction of the rows that may be zero although they belong to tokens.
const MAX_UNUSED: f64 = 0.01;

pub(crate) fn check(examination: &Examination<'_>) -> Vec<Finding> {
    let checkpoint = &examination.evidence.checkpoint;
    let vocabulary = checkpoint.config().vocab_size;
    let lm_head = checkpoint.tensors().into_iter().flatten().find(|tensor| {
        !checkpoint.is_tied() && ["lm_head.weight", "output.weight"].contains(&tensor.name.as_str())
    });
    // The check of tensors reports a tensor with a wrong shape.
    let embedding = checkpoint.unchecked_embedding().ok().map(|embedding| embedding.stored().clone());
    let has_a_row_per_token =
        |tensor: &StoredTensor| matches!(tensor.shape[..], [rows, _] if rows == vocabulary);
    let tensors = embedding.into_iter().chain(lm_head).filter(has_a_row_per_token);
    let tokenizer = examination.evidence.tokenizer.as_ref().ok().and_then(Option::as_ref);
    tensors.flat_map(|tensor| [holes(&tensor, tokenizer), not_finite(&tensor)]).flatten().collect()
}

fn holes(tensor: &StoredTensor, tokenizer: Option<&Tokenizer>) -> Option<Finding> {
    let rows = tensor.shape[0];
    let bytes = tensor.bytes.len() / rows;
    let zero = |row: &usize| tensor.bytes[row * bytes..][..bytes].iter().all(|byte| *byte == 0);
    let zeros: Vec<usize> = (0..rows).filter(zero).collect();
    let (first, last) = (zeros.first()?, zeros.last()?);
    // Without a tokenizer, only the place of the zeros distinguishes padding from a hole.
    let has_token = |row: &&usize| tokenizer.is_some_and(|tokenizer| tokenizer.token(**row as u32).is_some());
    let of_tokens = zeros.iter().filter(has_token).count();
    let damaged = tensor.zero_rows().are_damage() || of_tokens as f64 > MAX_UNUSED * rows as f64;
    let contiguous = if last - first + 1 == zeros.len() { ", without a gap" } else { "" };
    let found = format!(
        "{} of {rows} rows contain only zeros, from row {first} to row {last}{contiguous}",
        zeros.len()
    );
    let judgement = if damaged {
        fault(
            "the download was truncated or sparse: the file has the right length, but zeros where data never arrived, \
             so the model cannot distinguish these tokens",
            if_incomplete(&tensor.file),
        )
    } else {
        fine("these token ids are never used; they are padding of the vocabulary")
    };
    Some(Finding::new(HOLES, &tensor.name, found, judgement))
}

fn not_finite(tensor: &StoredTensor) -> Option<Finding> {
    let index = tensor.first_not_finite()?;
    let (row, column) = (index / tensor.shape[1], index % tensor.shape[1]);
    let found = format!("the value in row {row}, column {column} is infinite or NaN");
    let means =
        "one such value makes every logit of its token NaN, and through attention those of all later tokens";
    Some(Finding::new(FINITE, &tensor.name, found, fault(means, if_changed(&tensor.file))))
}

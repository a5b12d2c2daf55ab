//! Checks the embedding and the LM head for holes and for values that are not finite.

use bitkv_checkpoint::StoredTensor;

use crate::{
    Examination, Finding,
    finding::{fault, fine, if_changed, if_incomplete},
};

const HOLES: &str = "embedding-holes";
const FINITE: &str = "embedding-finite";

/// The largest fraction of all-zero rows that can be padding of the vocabulary.
const MAX_ZERO_ROWS: f64 = 0.01;

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
    tensors.flat_map(|tensor| [holes(&tensor), not_finite(&tensor)]).flatten().collect()
}

fn holes(tensor: &StoredTensor) -> Option<Finding> {
    let rows = tensor.shape[0];
    let bytes = tensor.bytes.len() / rows;
    let zero = |row: &usize| tensor.bytes[row * bytes..][..bytes].iter().all(|byte| *byte == 0);
    let zeros: Vec<usize> = (0..rows).filter(zero).collect();
    let (first, last) = (zeros.first()?, zeros.last()?);
    let damaged = zeros.len() as f64 > MAX_ZERO_ROWS * rows as f64;
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

//! Checks the embedding and the LM head for holes and for values that are not finite.

use bitkv_checkpoint::Stored;

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
    let head = checkpoint.tensors().into_iter().flatten().find(|tensor| {
        !checkpoint.is_tied() && ["lm_head.weight", "output.weight"].contains(&tensor.name.as_str())
    });
    // The check of tensors reports a tensor with a wrong shape.
    let embedding = checkpoint.unchecked_embedding().ok().map(|embedding| embedding.stored().clone());
    let whole = |tensor: &Stored| matches!(tensor.shape[..], [rows, _] if rows == vocabulary);
    let tensors = embedding.into_iter().chain(head).filter(whole);
    tensors.flat_map(|tensor| [holes(&tensor), not_finite(&tensor)]).flatten().collect()
}

fn holes(tensor: &Stored) -> Option<Finding> {
    let rows = tensor.shape[0];
    let bytes = tensor.bytes.len() / rows;
    let zero = |row: &usize| tensor.bytes[row * bytes..][..bytes].iter().all(|byte| *byte == 0);
    let zeros: Vec<usize> = (0..rows).filter(zero).collect();
    let (first, last) = (zeros.first()?, zeros.last()?);
    let damaged = zeros.len() as f64 > MAX_ZERO_ROWS * rows as f64;
    let together = if last - first + 1 == zeros.len() { ", all of those between them" } else { "" };
    let found = format!(
        "{} of {rows} rows hold nothing but zeros, from row {first} to row {last}{together}",
        zeros.len()
    );
    let judgement = if damaged {
        fault(
            "a truncated or sparse download: the file has its right length, and zeros where data never \
             arrived; these tokens would all look alike",
            if_incomplete(&tensor.file),
        )
    } else {
        fine("ids that are never used, as padding of a vocabulary")
    };
    Some(Finding::new(HOLES, &tensor.name, found, judgement))
}

fn not_finite(tensor: &Stored) -> Option<Finding> {
    let index = tensor.first_not_finite()?;
    let (row, column) = (index / tensor.shape[1], index % tensor.shape[1]);
    let found = format!("a value in row {row}, column {column} is infinite or no number");
    let means =
        "one such value makes every logit of its token, and with attention of all that follow, no number";
    Some(Finding::new(FINITE, &tensor.name, found, fault(means, if_changed(&tensor.file))))
}

//! The token ids that the tests feed to models.

use bitkv_bitnet::Model;

/// Returns `count` token ids that are spread over the vocabulary: 7919 is a prime.
pub(crate) fn ids(model: &Model, count: usize) -> Vec<u32> {
    let vocabulary = model.config().vocab_size;
    (0..count).map(|i| ((i * 7919 + 13) % vocabulary) as u32).collect()
}

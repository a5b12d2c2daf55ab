//! Writes a random checkpoint as a folder.

use std::{io::Write, path::Path};

use rayon::prelude::*;

use super::{
    RandomWeights, packed,
    tensor::{PART, Tensor},
};
use bitkv_bytes::DraftFolder;
use bitkv_progress::Progress;

use crate::{
    Config, Error, Result,
    safetensors_file::{self, TensorEntry},
};

/// The number of bytes that are in memory at once.
const SLAB: usize = 64 * PART;

/// Writes a packed checkpoint of random weights with the shape of `config` into `folder`, which appears when
/// it is complete. The weights equal those of [`Checkpoint::random`](crate::Checkpoint::random) in memory,
/// and the same seed gives the same files. Returns the size of the tensors in bytes.
///
/// # Errors
/// Returns an error if rows would be longer than models can have, or if the folder exists and is not empty or
/// cannot be written.
pub fn write_random(config: &Config, seed: u64, folder: &Path, progress: &dyn Progress) -> Result<u64> {
    let config = packed(config);
    config.linears(0).iter().try_for_each(|shape| shape.check_width("the configuration"))?;
    let draft = DraftFolder::create(folder).map_err(Error::writing(folder))?;
    let weights = RandomWeights::new(&config, seed);
    let entries = weights.tensors.iter().map(|tensor| entry(tensor, seed)).collect();
    let bytes = safetensors_file::write_model(draft.folder(), &config, entries, progress)?;
    draft.commit().map_err(Error::writing(folder))?;
    Ok(bytes)
}

/// Returns the entry of a tensor in the file.
fn entry(tensor: &Tensor, seed: u64) -> TensorEntry<'_> {
    let values = move |to: &mut dyn Write| {
        let mut slab = vec![0; SLAB.min(tensor.bytes())];
        for first in (0..tensor.bytes()).step_by(SLAB) {
            let slab = &mut slab[..SLAB.min(tensor.bytes() - first)];
            let parts = slab.par_chunks_mut(PART).enumerate();
            parts.for_each(|(part, out)| tensor.fill(seed, first / PART + part, out));
            to.write_all(slab)?;
        }
        Ok(())
    };
    TensorEntry {
        name: tensor.name.clone(),
        dtype: tensor.dtype(),
        shape: tensor.shape.clone(),
        values: Box::new(values),
    }
}

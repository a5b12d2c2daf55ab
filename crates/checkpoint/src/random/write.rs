//! A random checkpoint as a folder.

use std::{fs, io::Write, path::Path};

use rayon::prelude::*;

use super::{
    Weights, packed,
    tensor::{PART, Tensor},
};
use crate::{
    AtomicFile, Config, Error, Result,
    safetensors_file::{self, Entry, Progress},
};

/// Bytes in memory at once.
const SLAB: usize = 64 * PART;

/// Writes a packed checkpoint of random weights with the shape of `config` into `folder` (made if absent): what
/// [`Checkpoint::random`](crate::Checkpoint::random) has in memory. The same seed gives the same files.
///
/// # Errors
/// When the folder holds a model already or cannot be written.
pub fn write_random(config: &Config, seed: u64, folder: &Path, progress: Progress<'_>) -> Result<()> {
    let config = packed(config);
    let names = ["model.safetensors", "config.json"].map(|name| folder.join(name));
    if let Some(path) = names.iter().find(|path| path.exists()) {
        return Err(Error::Exists { path: path.clone() });
    }
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
    let weights = Weights::new(&config, seed);
    let entries = weights.tensors.iter().map(|tensor| entry(tensor, seed)).collect();
    safetensors_file::write(&names[0], entries, progress)?;
    let mut file = AtomicFile::create(&names[1])?;
    file.write_all(config.to_json().as_bytes()).map_err(|e| file.error(e))?;
    file.commit()
}

fn entry(tensor: &Tensor, seed: u64) -> Entry<'_> {
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
    Entry {
        name: tensor.name.clone(),
        dtype: tensor.dtype(),
        shape: tensor.shape.clone(),
        values: Box::new(values),
    }
}

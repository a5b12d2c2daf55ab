//! Random packed checkpoints of any shape, for measuring what does not depend on the weights' meaning.

mod tensor;
mod write;

use bitkv_bytes::Pages;
use rayon::prelude::*;

use crate::{Bytes, Config, Error, Result, ScaleRule, Stored, WeightFormat};

use self::tensor::{PART, Tensor};

pub use write::write_random;

/// Packed weights of a shape, made from a seed whenever one is asked for: bf16 floats, ternary codes with 42 % zeros,
/// norms of 1, scales that keep the residual stream of order one.
pub(crate) struct Weights {
    seed: u64,
    tensors: Vec<Tensor>,
}

/// Tensors of more bytes are made in large pages.
const LARGE: usize = 32 << 20;
/// What stands for a file's name in errors.
const FILE: &str = "random weights";

/// The configuration that random weights have.
pub(crate) fn packed(config: &Config) -> Config {
    Config { weights: WeightFormat::Packed(ScaleRule::Multiply), ..config.clone() }
}

impl Weights {
    /// Those of one configuration and seed are always the same, in memory as in a file.
    pub(crate) fn new(config: &Config, seed: u64) -> Weights {
        Weights { seed, tensors: tensor::all(config) }
    }

    pub(crate) fn file(&self) -> &'static str {
        FILE
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes() as u64).sum()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    pub(crate) fn get(&self, name: &str, hint: &'static str) -> Result<Stored> {
        let tensor = self.find(name).ok_or_else(|| Error::MissingTensor {
            file: FILE.into(),
            tensor: name.into(),
            hint,
        })?;
        let fill = |out: &mut [u8]| {
            let parts = out.par_chunks_mut(PART).enumerate();
            parts.for_each(|(part, out)| tensor.fill(self.seed, part, out));
        };
        // An embedding stays; the small ones are packed and forgotten.
        let pages = (tensor.bytes() > LARGE).then(|| Pages::zeroed(tensor.bytes()).ok()).flatten();
        let bytes = match pages {
            Some(mut pages) => {
                fill(&mut pages);
                Bytes::pages(pages)
            }
            None => {
                let mut bytes = vec![0; tensor.bytes()];
                fill(&mut bytes);
                Bytes::owned(bytes)
            }
        };
        Ok(Stored {
            file: FILE.into(),
            name: name.into(),
            shape: tensor.shape.clone(),
            coding: tensor.coding(),
            bytes,
        })
    }

    fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

#[cfg(test)]
mod tests;

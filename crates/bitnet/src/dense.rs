//! A dense matrix in the type it was stored in: the embedding and the output head.

use bitkv_kernels::dense::{self, Dense};
use candle_core::{CpuStorage, DType, Storage, Tensor};

use crate::{Checkpoint, Result};

pub(crate) struct Matrix {
    /// `[vocab, hidden]`, contiguous.
    weight: Tensor,
}

impl Matrix {
    pub(crate) fn load(checkpoint: &Checkpoint, name: &str) -> Result<Self> {
        let config = checkpoint.config();
        Ok(Matrix { weight: checkpoint.stored(name, &[config.vocab_size, config.hidden_size])? })
    }

    /// The rows of these tokens, `[tokens, hidden]`.
    pub(crate) fn rows(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let ids = Tensor::new(tokens, self.weight.device())?;
        Ok(self.weight.index_select(&ids, 0)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }

    /// `x [tokens, hidden]` times the transpose: `[tokens, vocab]`.
    pub(crate) fn multiply(&self, x: &[f32]) -> Result<Vec<f32>> {
        let cols = self.weight.dim(1)?;
        let (storage, _) = self.weight.storage_and_layout();
        let weights = match &*storage {
            Storage::Cpu(CpuStorage::F32(w)) => Dense::F32(w),
            Storage::Cpu(CpuStorage::F16(w)) => Dense::F16(w),
            Storage::Cpu(CpuStorage::BF16(w)) => Dense::Bf16(w),
            _ => {
                return Err(
                    candle_core::Error::Msg("the output head must be floats on the CPU".into()).into()
                );
            }
        };
        Ok(dense::matmul(x, cols, weights))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.weight.elem_count() * self.weight.dtype().size_in_bytes()
    }
}

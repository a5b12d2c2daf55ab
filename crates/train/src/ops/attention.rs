//! [`CausalAttention`], the attention operation.

use std::sync::{Arc, Mutex};

use bitkv_bitnet::custom_op::contiguous_f32;
use bitkv_kernels::training::{Attention, AttentionSaved};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::{shaped, with_floats};

/// Causal grouped-query attention with rotary positions, on rows `[queries | keys | values]`.
pub struct CausalAttention {
    shape: Arc<Attention>,
    width: usize,
    saved: Mutex<Option<AttentionSaved>>,
}

impl CausalAttention {
    /// Returns the operation; `width` is the width of the output, query heads times head size.
    pub fn new(shape: Arc<Attention>, width: usize) -> CausalAttention {
        CausalAttention { shape, width, saved: Mutex::new(None) }
    }
}

impl CustomOp1 for CausalAttention {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (y, saved) = self.shape.forward(contiguous_f32(self.name(), qkv, layout)?);
        *self.saved.lock().expect("one thread runs a step") = Some(saved);
        let shape = Shape::from((y.len() / self.width, self.width));
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, qkv: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let Some(saved) = self.saved.lock().expect("one thread runs a step").take() else {
            bail!("the backward pass of a layer runs once, after its forward pass");
        };
        let dqkv = with_floats(qkv, |qkv| {
            with_floats(y, |y| with_floats(dy, |dy| self.shape.backward(qkv, y, &saved, dy)))
        })???;
        Ok(Some(shaped(dqkv, qkv)?))
    }
}

//! [`RmsNorm`], the norm operation.

use bitkv_bitnet::custom_op::contiguous_f32;
use bitkv_kernels::training;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{shaped, with_floats};

/// Computes the RMS norm of `x [rows, width]` with the weights `gain [width]`.
pub struct RmsNorm {
    /// The term added to the mean square.
    pub eps: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        gain: &CpuStorage,
        lg: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = training::rms_norm(
            contiguous_f32(self.name(), x, lx)?,
            contiguous_f32(self.name(), gain, lg)?,
            self.eps,
        );
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dgain) = with_floats(x, |x| {
            with_floats(gain, |gain| with_floats(dy, |dy| training::rms_norm_backward(x, gain, self.eps, dy)))
        })???;
        Ok((Some(shaped(dx, x)?), Some(shaped(dgain, gain)?)))
    }
}

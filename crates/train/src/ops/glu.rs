//! [`Glu`], the gate of the MLP.

use bitkv_bitnet::custom_op::contiguous_f32;
use bitkv_kernels::training::{self, Gate};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{shaped, with_floats};

/// Computes `gate(g) * u`, `[rows, width]`, from rows `[g | u]`, `[rows, 2 * width]`.
pub struct Glu(pub Gate);

impl CustomOp1 for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, both) = layout.shape().dims2()?;
        let y = training::glu(contiguous_f32(self.name(), x, layout)?, both / 2, self.0);
        Ok((CpuStorage::F32(y), Shape::from((rows, both / 2))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dims2()?.1 / 2;
        let dx = with_floats(x, |x| with_floats(dy, |dy| training::glu_backward(x, width, self.0, dy)))??;
        Ok(Some(shaped(dx, x)?))
    }
}

//! BitLinear on packed weights, as a candle module: int8 activations times ternary weights, exactly.

use std::sync::Arc;

use bitkv_checkpoint::{Checkpoint, Linear, LinearShape, Ternarised};
use bitkv_kernels::ternary::{self, Product, Quantized, Ternary};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Module, Result as CandleResult, Shape, Tensor,
    bail,
};
use rayon::prelude::*;

use crate::{Error, Result, custom_op::floats};

/// The most columns of a layer, so that every sum is an exact integer.
const MAX_COLS: usize = 1 << 18;

/// What [`BitLinear`] says on another device.
const CPU_ONLY: &str = "BitLinear on packed weights runs on the CPU: move its input there with `to_device`, or use `reference::Linear`";

/// A linear layer without bias of packed ternary weights `[rows, cols]`: two bits a weight, one scale for all.
///
/// As a [`Module`] it takes f32 activations `[.., cols]` on the CPU and gives `[.., rows]`. It rounds each row to int8 by its
/// largest magnitude, as transformers' `ActQuant` does, and multiplies integers exactly, with the kernels and to the bit of
/// [`Model`](crate::Model). Gradients pass straight through the rounding to the activations; the weights are constants.
///
/// ```
/// use bitkv_bitnet::BitLinear;
/// use candle_core::{Device, Module, Tensor};
///
/// let layer = BitLinear::new(2, 3, &[1, 0, -1, 0, 1, 1], 0.5)?;
/// let x = Tensor::new(&[[127.0f32, 1.0, 2.0]], &Device::Cpu)?;
/// assert_eq!(layer.forward(&x)?.to_vec2::<f32>()?, [[62.5, 1.5]]);
/// # Ok::<(), bitkv_bitnet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BitLinear {
    weights: Arc<Ternary>,
    scale: f32,
}

impl BitLinear {
    /// A layer of weights -1, 0 and 1, `[rows, cols]` row by row, times `scale`.
    ///
    /// # Errors
    /// When the weights are not `rows * cols`, one is another number, or the scale is not positive and finite.
    pub fn new(rows: usize, cols: usize, weights: &[i8], scale: f32) -> Result<BitLinear> {
        if rows == 0 || cols == 0 || cols > MAX_COLS || weights.len() != rows * cols {
            return Err(Error::WeightCount { found: weights.len(), rows, cols });
        }
        if !(scale > 0.0 && scale.is_finite()) {
            let reason = "but a weight scale must be positive and finite";
            return Err(Error::Option { option: "scale", value: scale.to_string(), reason });
        }
        // What is no weight becomes code 3, which is refused.
        let codes = |row: usize, out: &mut [u8]| {
            let row = &weights[row * cols..][..cols];
            let code = |w: i8| if (-1..=1).contains(&w) { (w + 1) as u8 } else { 3 };
            out.iter_mut().zip(row).for_each(|(out, w)| *out = code(*w));
        };
        let weights = Ternary::pack_codes(rows, cols, codes)
            .map_err(|bad| Error::NotTernary { row: bad.row, column: bad.column })?;
        Ok(BitLinear { weights: Arc::new(weights), scale })
    }

    /// A layer of full-precision masters `[rows, cols]`, rounded as transformers' `WeightQuant` does: the nearest of -1, 0
    /// and 1 to each weight over their mean magnitude, which becomes the scale.
    ///
    /// # Errors
    /// When the tensor is not a matrix of finite f32, or too large.
    pub fn of_masters(masters: &Tensor) -> Result<BitLinear> {
        let (rows, cols) = masters.dims2()?;
        let values: Vec<f32> = masters.flatten_all()?.to_vec1()?;
        if let Some(index) = values.iter().position(|w| !w.is_finite()) {
            return Err(Error::NotTernary { row: index / cols, column: index % cols });
        }
        let scale = Ternarised::of(&values);
        let weights: Vec<i8> = values.iter().map(|w| scale.code(*w)).collect();
        BitLinear::new(rows, cols, &weights, scale.multiplier)
    }

    /// A layer of a checkpoint, whatever its format.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape or type, or holds a code that no weight has.
    pub fn load(checkpoint: &Checkpoint, shape: &LinearShape) -> Result<BitLinear> {
        let linear = checkpoint.linear(shape)?;
        let layer = BitLinear::pack(&linear)?;
        // The file's copy need not stay in memory beside ours.
        linear.bytes().release();
        Ok(layer)
    }

    pub(crate) fn pack(linear: &Linear) -> Result<BitLinear> {
        let LinearShape { rows, cols, .. } = *linear.shape();
        let weights = Ternary::pack_codes(rows, cols, |row, out| linear.codes(row, out))
            .map_err(|bad| linear.invalid_code(bad.row, bad.column))?;
        Ok(BitLinear { weights: Arc::new(weights), scale: linear.multiplier() })
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.weights.rows()
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        self.weights.cols()
    }

    /// What weights of -1, 0 and 1 are multiplied by.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Bytes held in memory.
    pub fn bytes(&self) -> usize {
        self.weights.bytes() + size_of::<f32>()
    }

    /// All weights times their scale, `[rows * cols]`, row by row.
    pub fn dequantised(&self) -> Vec<f32> {
        let (rows, cols) = (self.rows(), self.cols());
        let mut out = vec![0.0; rows * cols];
        out.par_chunks_exact_mut(cols).enumerate().for_each(|(row, out)| {
            out.iter_mut().zip(self.weights.row(row)).for_each(|(w, code)| *w = f32::from(code) * self.scale);
        });
        out
    }

    /// The layer's part in a round of tasks that writes `out [tokens, rows]`.
    pub(crate) fn product<'a>(&'a self, out: &'a mut [f32]) -> Product<'a> {
        Product { weights: &self.weights, scale: self.scale, out }
    }
}

impl Module for BitLinear {
    fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        x.contiguous()?.apply_op1(self.clone())
    }
}

impl CustomOp1 for BitLinear {
    fn name(&self) -> &'static str {
        "BitLinear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let (mut dims, cols) = (layout.dims().to_vec(), self.cols());
        match dims.last_mut() {
            Some(width) if *width == cols => *width = self.rows(),
            _ => bail!("BitLinear reads rows of {cols} activations, but its input has shape {dims:?}"),
        }
        let x = floats(self.name(), x, layout)?;
        let mut out = vec![0.0; x.len() / cols * self.rows()];
        if !x.is_empty() {
            ternary::linear(&Quantized::of(x, cols), &mut [self.product(&mut out)]);
        }
        Ok((CpuStorage::F32(out), dims.into()))
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        bail!("{CPU_ONLY}")
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> CandleResult<(MetalStorage, Shape)> {
        bail!("{CPU_ONLY}")
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        let weights = Tensor::from_vec(self.dequantised(), (self.rows(), self.cols()), x.device())?;
        let dx = dy.reshape(((), self.rows()))?.matmul(&weights)?;
        Ok(Some(dx.reshape(x.shape())?))
    }
}

#[cfg(test)]
mod tests;

//! [`BitLinear`], the linear operation, and [`Precision`], which switches its quantisers off for a control
//! run.

use std::sync::Mutex;

use bitkv_bitnet::custom_op::contiguous_f32;
use bitkv_kernels::training::{self, bf16};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::{shaped, with_floats};

/// Whether a layer computes with ternary weights and int8 activations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Precision {
    /// W1.58A8, with straight-through gradients.
    Ternary,
    /// Full precision, for a control run.
    Full,
}

/// Computes `y = x . w^T` for `x [rows, k]` and stacked matrices `w [sum(segments), k]`.
///
/// Each segment has its own ternary scale; all segments share one quantisation of `x`. Gradients pass
/// straight through both quantisers and are computed from the quantised operands.
pub struct BitLinear {
    segments: Vec<usize>,
    precision: Precision,
    saved: Mutex<Option<Saved>>,
}

/// The values of the forward pass that the backward pass needs.
struct Saved {
    input: training::Activations,
    /// The quantised weights, codes times scales, `[sum(segments), k]`.
    weight: Vec<f32>,
}

impl BitLinear {
    /// Returns the operation for a weight that stacks one matrix per entry of `segments`, which is its number
    /// of rows.
    pub fn new(segments: &[usize], precision: Precision) -> BitLinear {
        BitLinear { segments: segments.to_vec(), precision, saved: Mutex::new(None) }
    }

    /// Returns the ternary codes and the scale of each output. In full precision, returns the weights
    /// themselves and scales of 1.
    fn weights(&self, w: &[f32], k: usize) -> (Vec<f32>, Vec<f32>) {
        let rows = w.len() / k;
        if self.precision == Precision::Full {
            return (w.to_vec(), vec![1.0; rows]);
        }
        let (mut codes, mut scales, mut row) = (vec![0.0; w.len()], vec![0.0; rows], 0);
        for &segment in &self.segments {
            let range = row * k..(row + segment) * k;
            scales[row..row + segment].fill(training::ternarize(&w[range.clone()], &mut codes[range]));
            row += segment;
        }
        (codes, scales)
    }

    /// Returns the quantised input and its scales. In full precision, returns the input itself and scales of
    /// 1.
    fn input(&self, x: &[f32], k: usize) -> training::Activations {
        match self.precision {
            Precision::Ternary => training::quantize_activations(x, k),
            Precision::Full => training::Activations { values: x.to_vec(), scales: vec![1.0; x.len() / k] },
        }
    }
}

impl CustomOp2 for BitLinear {
    fn name(&self) -> &'static str {
        "bit-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, k) = lw.shape().dims2()?;
        if n != self.segments.iter().sum::<usize>() {
            bail!("a weight of {n} rows does not have segments of {:?} rows", self.segments);
        }
        let input = self.input(contiguous_f32(self.name(), x, lx)?, k);
        let (mut weight, scales) = self.weights(contiguous_f32(self.name(), w, lw)?, k);
        let packed = bf16::pack_b_transposed_all(&weight, n, k);
        let y = bf16::gemm_rows(&input.values, k, &packed, n, Some(&input.scales), Some(&scales));
        for (row, scale) in weight.chunks_exact_mut(k).zip(&scales) {
            row.iter_mut().for_each(|v| *v *= scale);
        }
        let shape = Shape::from((input.scales.len(), n));
        *self.saved.lock().expect("one thread runs a step") = Some(Saved { input, weight });
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(Saved { input, weight }) = self.saved.lock().expect("one thread runs a step").take() else {
            bail!("the backward pass of a layer runs once, after its forward pass");
        };
        let (n, k) = w.dims2()?;
        let rows = input.scales.len();
        let (dx, dw) = with_floats(dy, |dy| {
            let dx = bf16::gemm_rows(dy, n, &bf16::pack_b_all(&weight, n, k), k, None, None);
            let packed = bf16::pack_b_all(&input.values, rows, k);
            let mut dw = vec![0.0; n * k];
            bf16::gemm_weight_gradient(&mut dw, dy, n, Some(&input.scales), &packed, k, false);
            (dx, dw)
        })?;
        Ok((Some(shaped(dx, x)?), Some(shaped(dw, w)?)))
    }
}

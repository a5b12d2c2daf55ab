//! [`BitLinear`], a linear layer on packed weights as a candle module: int8 activations times ternary
//! weights, exactly.

use std::sync::Arc;

use bitkv_checkpoint::{Checkpoint, Linear, LinearShape, TernaryScale};
use bitkv_kernels::ternary::{self, Product, Quantized, Ternary};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Module, Result as CandleResult, Shape, Tensor,
    bail,
};
use rayon::prelude::*;

use crate::{Error, Result, custom_op::contiguous_f32};

/// The largest number of columns of a layer. With at most this many columns, every sum is an exact integer.
const MAX_COLS: usize = 1 << 18;

/// The error message when the input of a [`BitLinear`] is not on the CPU.
const CPU_ONLY: &str = "BitLinear on packed weights runs on the CPU: move its input there with `to_device`, or use `reference::Linear`";

/// A linear layer without bias, with packed ternary weights `[rows, cols]`: two bits per weight, and one
/// scale for the whole matrix.
///
/// As a [`Module`] it takes f32 activations `[.., cols]` on the CPU and returns `[.., rows]`. It rounds each
/// row of activations to int8 by its largest magnitude, as transformers' `ActQuant` does, and multiplies
/// integers exactly. It runs the same kernels as [`Model`](crate::Model), with bit-identical results.
/// Gradients pass straight through the rounding to the activations; the weights are constants.
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
    /// Packs a layer whose weights are `scale` times -1, 0 or 1. `weights` is `[rows, cols]`, row by row.
    ///
    /// # Errors
    /// Fails if the number of weights is not `rows * cols`, if a weight is not -1, 0 or 1, if the scale is
    /// not positive and finite, or if `cols` is above 262144.
    pub fn new(rows: usize, cols: usize, weights: &[i8], scale: f32) -> Result<BitLinear> {
        if rows == 0 || cols == 0 || cols > MAX_COLS || weights.len() != rows * cols {
            return Err(Error::WeightCount { found: weights.len(), rows, cols });
        }
        if !(scale > 0.0 && scale.is_finite()) {
            let reason = "but a weight scale must be positive and finite";
            return Err(Error::Option { option: "scale", value: scale.to_string(), reason });
        }
        // A weight that is not ternary becomes code 3, which packing rejects.
        let codes = |row: usize, out: &mut [u8]| {
            let row = &weights[row * cols..][..cols];
            let code = |w: i8| if (-1..=1).contains(&w) { (w + 1) as u8 } else { 3 };
            out.iter_mut().zip(row).for_each(|(out, w)| *out = code(*w));
        };
        let weights = Ternary::pack_codes(rows, cols, codes)
            .map_err(|bad| Error::NotTernary { row: bad.row, column: bad.column })?;
        Ok(BitLinear { weights: Arc::new(weights), scale })
    }

    /// Packs full-precision master weights `[rows, cols]`, rounded as transformers' `WeightQuant` does. The
    /// scale is their mean magnitude; each weight is divided by the scale and rounded to the nearest of -1, 0
    /// and 1.
    ///
    /// # Errors
    /// Fails if the tensor is not a matrix of finite f32, or has more than 262144 columns.
    pub fn from_masters(masters: &Tensor) -> Result<BitLinear> {
        let (rows, cols) = masters.dims2()?;
        let values: Vec<f32> = masters.flatten_all()?.to_vec1()?;
        if let Some(index) = values.iter().position(|w| !w.is_finite()) {
            return Err(Error::NotTernary { row: index / cols, column: index % cols });
        }
        let scale = TernaryScale::new(&values);
        let weights: Vec<i8> = values.iter().map(|w| scale.code(*w)).collect();
        BitLinear::new(rows, cols, &weights, scale.multiplier)
    }

    /// Loads one layer from a checkpoint of any format.
    ///
    /// # Errors
    /// Fails if a tensor is missing, has the wrong shape or type, or holds an invalid code.
    pub fn load(checkpoint: &Checkpoint, shape: &LinearShape) -> Result<BitLinear> {
        let linear = checkpoint.linear(shape)?;
        let layer = BitLinear::pack(&linear)?;
        // The weights are packed now, so the pages of the file need not stay in memory.
        linear.bytes().release();
        Ok(layer)
    }

    /// Packs the weights of a linear layer of a checkpoint.
    pub(crate) fn pack(linear: &Linear) -> Result<BitLinear> {
        let LinearShape { rows, cols, .. } = *linear.shape();
        let weights = Ternary::pack_codes(rows, cols, |row, out| linear.codes(row, out))
            .map_err(|bad| linear.invalid_code(bad.row, bad.column))?;
        Ok(BitLinear { weights: Arc::new(weights), scale: linear.multiplier() })
    }

    /// The number of output features.
    pub fn rows(&self) -> usize {
        self.weights.rows()
    }

    /// The number of input features.
    pub fn cols(&self) -> usize {
        self.weights.cols()
    }

    /// The number by which the ternary weights are multiplied.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The bytes of the packed weights and their scale in memory.
    pub fn bytes(&self) -> usize {
        self.weights.bytes() + size_of::<f32>()
    }

    /// Returns all weights times their scale, `[rows * cols]`, row by row.
    pub fn dequantised(&self) -> Vec<f32> {
        let (rows, cols) = (self.rows(), self.cols());
        let mut out = vec![0.0; rows * cols];
        out.par_chunks_exact_mut(cols).enumerate().for_each(|(row, out)| {
            out.iter_mut().zip(self.weights.row(row)).for_each(|(w, code)| *w = f32::from(code) * self.scale);
        });
        out
    }

    /// Returns the kernel task that writes the output of this layer to `out [tokens, rows]`.
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
        let x = contiguous_f32(self.name(), x, layout)?;
        let mut out = vec![0.0; x.len() / cols * self.rows()];
        if !x.is_empty() {
            ternary::linear(&Quantized::new(x, cols), &mut [self.product(&mut out)]);
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
mod tests {
    //! These tests compare the module with the fast path, with the reference, and with arithmetic by hand.

    use std::path::{Path, PathBuf};

    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::{
        linear::{Activations, Inputs, Linear, forward_all},
        reference::{self, Rounding},
    };

    fn golden(name: &str) -> Checkpoint {
        let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden").join(name);
        Checkpoint::open(folder).unwrap()
    }

    /// Returns irregular numbers from -1 to 1.
    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 12.9898).sin()).collect()
    }

    fn floats_of(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_layer_is_bit_identical_to_the_fast_path() {
        for name in ["packed-2b-style", "master-1bitllm-f16", "packed-2b-divide", "packed-falcon-style"] {
            let checkpoint = golden(name);
            for shape in checkpoint.config().all_linears() {
                let x = values(7 * shape.cols);
                let inputs = Inputs { quantised: true, floats: false };
                let (mut activations, mut expected) = (Activations::empty(inputs), Vec::new());
                activations.fill(&x, shape.cols);
                let fast = Linear::load(&checkpoint, &shape).unwrap();
                forward_all([(&fast, &mut expected)], &activations);
                let layer = BitLinear::load(&checkpoint, &shape).unwrap();
                let x = Tensor::from_vec(x, (7, shape.cols), &Device::Cpu).unwrap();
                let y = layer.forward(&x).unwrap();
                assert_eq!(y.dims(), [7, shape.rows]);
                assert_eq!(floats_of(&y), expected, "{name}: {}", shape.name);
            }
        }
    }

    #[test]
    fn the_layer_and_its_gradients_match_the_reference() {
        let masters = Tensor::from_vec(values(40 * 24), (40, 24), &Device::Cpu).unwrap();
        let layer = BitLinear::from_masters(&masters).unwrap();
        let reference = reference::Linear { weight: masters, bias: None, rounding: Rounding::Both };
        let x = Var::from_vec(values(2 * 3 * 24), (2, 3, 24), &Device::Cpu).unwrap();
        let run = |layer: &dyn Module| {
            let y = layer.forward(&x).unwrap();
            let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            assert_eq!(y.dims(), [2, 3, 40]);
            (floats_of(&y), floats_of(gradients.get(&x).unwrap()))
        };
        let ((y, dx), (expected, gradient)) = (run(&layer), run(&reference));
        let is_close = |a: &[f32], b: &[f32]| {
            let largest = b.iter().fold(0.0f32, |most, b| most.max(b.abs()));
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6 * largest)
        };
        assert!(is_close(&y, &expected));
        assert!(is_close(&dx, &gradient));
    }

    #[test]
    fn a_small_layer_matches_arithmetic_by_hand() {
        let layer = BitLinear::new(2, 4, &[1, 0, -1, 1, 0, 1, 1, 0], 0.25).unwrap();
        assert_eq!((layer.rows(), layer.cols(), layer.scale()), (2, 4, 0.25));
        assert_eq!(layer.dequantised(), [0.25, 0.0, -0.25, 0.25, 0.0, 0.25, 0.25, 0.0]);
        // 127 is the largest magnitude, so 2.5 becomes 2, a tie that rounds to even, and 3.4 becomes 3.
        let x = Tensor::new(&[[127.0f32, 2.5, 3.4, -1.0]], &Device::Cpu).unwrap();
        let y = layer.forward(&x).unwrap();
        assert_eq!(floats_of(&y), [(127.0 - 3.0 - 1.0) * 0.25, (2.0 + 3.0) * 0.25]);
        let strided = Tensor::cat(&[&x, &x], 0).unwrap().t().unwrap().contiguous().unwrap().t().unwrap();
        assert!(!strided.is_contiguous());
        assert_eq!(floats_of(&layer.forward(&strided).unwrap()), floats_of(&y).repeat(2));
        let none = Tensor::zeros((0, 4), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(layer.forward(&none).unwrap().dims(), [0, 2]);
    }

    #[test]
    fn invalid_weights_and_inputs_are_errors() {
        let message = |layer: Result<BitLinear>| layer.unwrap_err().to_string();
        assert!(message(BitLinear::new(2, 2, &[1, 0, 2, 0], 1.0)).contains("row 1, column 0"));
        assert!(message(BitLinear::new(2, 2, &[1, i8::MIN, 1, 0], 1.0)).contains("row 0, column 1"));
        assert!(message(BitLinear::new(2, 3, &[1, 0], 1.0)).contains("2 weights"));
        assert!(message(BitLinear::new(0, 3, &[], 1.0)).contains("0 weights"));
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(message(BitLinear::new(1, 1, &[1], scale)).contains("`scale`"));
        }
        let nan = Tensor::new(&[[0.5f32, 1.0], [f32::NAN, 2.0]], &Device::Cpu).unwrap();
        assert!(message(BitLinear::from_masters(&nan)).contains("row 1, column 0"));
        let layer = BitLinear::new(1, 2, &[1, 1], 1.0).unwrap();
        let run_error = |x: &Tensor| layer.forward(x).unwrap_err().to_string();
        let x = Tensor::ones((3, 4), DType::F32, &Device::Cpu).unwrap();
        assert!(
            run_error(&x).contains("rows of 2 activations") && run_error(&x).contains("[3, 4]"),
            "{}",
            run_error(&x)
        );
        let x = Tensor::ones((3, 2), DType::F64, &Device::Cpu).unwrap();
        assert!(run_error(&x).contains("f32"), "{}", run_error(&x));
    }

    /// This build supports only the CPU. The storage types of other devices exist in it, but are empty.
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn other_devices_return_a_helpful_error() {
        let layer = BitLinear::new(1, 2, &[1, 1], 1.0).unwrap();
        let layout = Layout::contiguous((1, 2));
        let messages = [
            layer.cuda_fwd(&CudaStorage, &layout).unwrap_err().to_string(),
            layer.metal_fwd(&MetalStorage, &layout).unwrap_err().to_string(),
        ];
        assert!(
            messages.iter().all(|m| m.contains("runs on the CPU") && m.contains("to_device")),
            "{messages:?}"
        );
    }
}

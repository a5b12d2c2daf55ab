//! A gated MLP of packed ternary layers, used like any candle module:
//! `cargo run -p bitkv-bitnet --example bit_linear`.
//!
//! The example is for inference: it uses the fast norm of candle-nn, which has no backward pass. For
//! training, use the norms of `bitkv_bitnet::reference`.

use bitkv_bitnet::{
    BitLinear, Result,
    reference::{Linear, Rounding},
};
use candle_core::{Device, Module, Tensor};
use candle_nn::RmsNorm;

/// Computes `down(norm(relu(gate(x))^2 * up(x)))`, as the MLP of BitNet-b1.58-2B-4T does.
struct GatedMlp<L> {
    input_norm: RmsNorm,
    gate: L,
    up: L,
    sub_norm: RmsNorm,
    down: L,
}

impl<L: Module> Module for GatedMlp<L> {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.input_norm.forward(x)?;
        let gated = (self.gate.forward(&x)?.relu()?.sqr()? * self.up.forward(&x)?)?;
        self.down.forward(&self.sub_norm.forward(&gated)?)
    }
}

/// Builds an MLP of `width` features and `inner` features between the projections. `layer` makes a layer from
/// full-precision master weights.
fn mlp<L>(width: usize, inner: usize, layer: impl Fn(Tensor) -> Result<L>) -> Result<GatedMlp<L>> {
    let norm = |width| -> Result<RmsNorm> { Ok(RmsNorm::new(ones(width)?, 1e-5)) };
    Ok(GatedMlp {
        input_norm: norm(width)?,
        gate: layer(masters(inner, width, 0.7)?)?,
        up: layer(masters(inner, width, 1.3)?)?,
        sub_norm: norm(inner)?,
        down: layer(masters(width, inner, 1.9)?)?,
    })
}

fn ones(width: usize) -> Result<Tensor> {
    Ok(Tensor::ones(width, candle_core::DType::F32, &Device::Cpu)?)
}

/// Returns a matrix `[rows, cols]` of made-up master weights; a real program would load trained ones.
fn masters(rows: usize, cols: usize, speed: f64) -> Result<Tensor> {
    let angles = Tensor::arange(0f32, (rows * cols) as f32, &Device::Cpu)?.affine(speed, 0.0)?;
    Ok(angles.sin()?.reshape((rows, cols))?)
}

fn main() -> Result<()> {
    let packed = mlp(64, 160, |masters| BitLinear::from_masters(&masters))?;
    let plain = mlp(64, 160, |weight| Ok(Linear { weight, bias: None, rounding: Rounding::Both }))?;
    let x = masters(5, 64, 0.31)?;
    let (y, expected) = (packed.forward(&x)?, plain.forward(&x)?);
    let difference = (&y - &expected)?.abs()?.max_all()?.to_scalar::<f32>()?;
    let largest = expected.abs()?.max_all()?.to_scalar::<f32>()?;
    let bytes = packed.gate.bytes() + packed.up.bytes() + packed.down.bytes();
    println!("{:?} -> {:?}, {bytes} bytes of weights", x.dims(), y.dims());
    println!("largest difference to plain candle: {difference:.1e}, largest output: {largest:.1e}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_layers_match_plain_candle() {
        let packed = mlp(64, 160, |masters| BitLinear::from_masters(&masters)).unwrap();
        let plain =
            mlp(64, 160, |weight| Ok(Linear { weight, bias: None, rounding: Rounding::Both })).unwrap();
        let x = masters(5, 64, 0.31).unwrap();
        let (y, expected) = (packed.forward(&x).unwrap(), plain.forward(&x).unwrap());
        assert_eq!(y.dims(), [5, 64]);
        let largest = |x: &Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest(&(&y - &expected).unwrap()) < 1e-5 * largest(&expected));
    }
}

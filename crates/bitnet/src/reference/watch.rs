//! The interface through which a caller observes a pass of the reference.

use candle_core::{D, Result, Tensor};

use crate::Step;

/// The tensors of the attention of one layer. The first dimension is the head.
#[derive(Debug)]
pub struct AttentionTensors {
    /// Queries after RoPE, `[query_heads, tokens, head_dim]`.
    pub queries: Tensor,
    /// Keys after RoPE, not rounded, `[kv_heads, tokens, head_dim]`.
    pub keys: Tensor,
    /// Values, not rounded, `[kv_heads, tokens, head_dim]`.
    pub values: Tensor,
    /// Attention probabilities, `[query_heads, tokens, tokens]`: queries by keys.
    pub probabilities: Tensor,
}

/// Receives the steps of a forward pass as they are computed. `()` ignores them.
pub trait Watch {
    /// Receives the result of a step, `[tokens, width]`. `layer` is `None` for steps before the first layer
    /// and after the last.
    ///
    /// # Errors
    /// Any error ends the pass.
    fn step(&mut self, layer: Option<usize>, step: Step, values: &Tensor) -> Result<()>;

    /// Receives the tensors of the attention of a layer, after its step [`Step::V`] and before
    /// [`Step::Attention`].
    ///
    /// # Errors
    /// Any error ends the pass.
    fn attention(&mut self, layer: usize, attended: &AttentionTensors) -> Result<()>;
}

impl Watch for () {
    fn step(&mut self, _: Option<usize>, _: Step, _: &Tensor) -> Result<()> {
        Ok(())
    }

    fn attention(&mut self, _: usize, _: &AttentionTensors) -> Result<()> {
        Ok(())
    }
}

/// Returns the entropies `[..]` of probabilities `[.., keys]`, in bits.
///
/// # Errors
/// Fails if candle cannot compute with the type of `probabilities`.
pub fn entropy_bits(probabilities: &Tensor) -> Result<Tensor> {
    // A probability of 0 contributes 0, so its logarithm only has to be finite.
    let logs = probabilities.maximum(1e-30)?.log()?;
    (probabilities * logs)?.sum(D::Minus1)? / -std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn entropies_match_arithmetic_by_hand() {
        let rows = [[0.25f32, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]];
        let bits: Vec<f32> =
            entropy_bits(&Tensor::new(&rows, &Device::Cpu).unwrap()).unwrap().to_vec1().unwrap();
        assert!(bits.iter().zip([2.0, 0.0, 1.5]).all(|(a, b)| (a - b).abs() < 1e-6), "{bits:?}");
    }
}

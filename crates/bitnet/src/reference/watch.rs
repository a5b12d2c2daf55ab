//! What a pass of the reference shows while it runs.

use candle_core::{D, Result, Tensor};

use crate::Step;

/// One layer's attention, heads first.
#[derive(Debug)]
pub struct Attended {
    /// After RoPE, `[query_heads, tokens, head_dim]`.
    pub queries: Tensor,
    /// After RoPE, not rounded, `[kv_heads, tokens, head_dim]`.
    pub keys: Tensor,
    /// Not rounded, `[kv_heads, tokens, head_dim]`.
    pub values: Tensor,
    /// `[query_heads, tokens, tokens]`: queries by keys.
    pub probabilities: Tensor,
}

/// Is shown a forward pass, step by step. `()` looks at nothing.
pub trait Watch {
    /// A step's result, `[tokens, width]`, of a layer; `None` before the first layer and after the last.
    ///
    /// # Errors
    /// Whatever ends the pass.
    fn step(&mut self, layer: Option<usize>, step: Step, values: &Tensor) -> Result<()>;

    /// A layer's attention, after its step [`Step::V`] and before [`Step::Attention`].
    ///
    /// # Errors
    /// Whatever ends the pass.
    fn attention(&mut self, layer: usize, attended: &Attended) -> Result<()>;
}

impl Watch for () {
    fn step(&mut self, _: Option<usize>, _: Step, _: &Tensor) -> Result<()> {
        Ok(())
    }

    fn attention(&mut self, _: usize, _: &Attended) -> Result<()> {
        Ok(())
    }
}

/// Entropy of each row of probabilities, in bits: `[.., keys]` to `[..]`.
///
/// # Errors
/// When candle cannot compute with the type of `probabilities`.
pub fn entropy_bits(probabilities: &Tensor) -> Result<Tensor> {
    // A probability of 0 contributes nothing, whatever stands in for its logarithm.
    let logs = probabilities.maximum(1e-30)?.log()?;
    (probabilities * logs)?.sum(D::Minus1)? / -std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn entropies_by_hand() {
        let rows = [[0.25f32, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]];
        let bits: Vec<f32> =
            entropy_bits(&Tensor::new(&rows, &Device::Cpu).unwrap()).unwrap().to_vec1().unwrap();
        assert!(bits.iter().zip([2.0, 0.0, 1.5]).all(|(a, b)| (a - b).abs() < 1e-6), "{bits:?}");
    }
}

//! Traces: records of one forward pass with the norms of every step, for comparing implementations.
//!
//! [`Trace::from_model`] records a pass of the fast path ([`Engine::Fast`]), and [`Trace::from_reference`] a
//! pass of the plain candle [reference](crate::reference) ([`Engine::Reference`]). With [`Detail::Tensors`] a
//! trace also holds hidden states, queries, keys, values and entropies, and [`Trace::write`] saves them to a
//! safetensors file. `bitkv trace` prints and saves traces.

mod from_reference;
mod tensors;

use candle_core::Tensor;

use crate::{CachePrecision, Model, Probes, Result, Step, StepNorms, sample};

/// The implementation that computes a forward pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Engine {
    /// [`Model`]: packed weights and exact integer sums.
    #[default]
    Fast,
    /// [`Reference`](crate::reference::Reference): plain candle.
    Reference,
}

impl Engine {
    /// The name of the engine in arguments and files.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Fast => "fast",
            Engine::Reference => "reference",
        }
    }
}

/// What a trace records besides logits and norms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Detail {
    /// Nothing.
    Norms,
    /// Hidden states, queries, keys, values and entropies.
    Tensors,
}

/// A forward pass and what was recorded of it. Tensors are empty unless the detail is [`Detail::Tensors`].
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The tokens that were run.
    pub tokens: Vec<u32>,
    /// The norms of every step, in the order of the pass.
    pub steps: Vec<StepNorms>,
    /// Logits, `[tokens * vocab]`.
    pub logits: Vec<f32>,
    /// Hidden states, `[layers + 1][tokens * hidden]`: the embedding, then the output of each layer before
    /// the final norm.
    pub hidden: Vec<Vec<f32>>,
    /// Queries after RoPE, `[layers][query_heads * tokens * head_dim]`.
    pub queries: Vec<Vec<f32>>,
    /// Keys after RoPE, before a cache rounds them, `[layers][kv_heads * tokens * head_dim]`.
    pub keys: Vec<Vec<f32>>,
    /// Values before a cache rounds them, `[layers][kv_heads * tokens * head_dim]`.
    pub values: Vec<Vec<f32>>,
    /// Attention entropy of every query in bits, `[layers][query_heads * tokens]`.
    pub entropy: Vec<Vec<f32>>,
}

impl Trace {
    /// Runs `tokens` through the fast path, with an empty cache of this precision.
    ///
    /// # Errors
    /// Fails as [`Model::forward`] does.
    pub fn from_model(model: &Model, tokens: &[u32], kv: CachePrecision, detail: Detail) -> Result<Trace> {
        let all = detail == Detail::Tensors;
        let probes = Probes { steps: true, hidden: all, qkv: all, entropy: all, ..Probes::default() };
        let output = model.forward(tokens, &mut model.new_cache_with_precision(kv), Some(&probes))?;
        let logits = floats(&model.logits(&output.hidden)?)?;
        let probed = output.probed.unwrap_or_default();
        let mut steps = probed.steps;
        steps.push(StepNorms::new(Step::Logits, None, &logits, tokens.len()));
        let config = model.config();
        let heads_first = |layers: Vec<Vec<f32>>, heads: usize| {
            layers.iter().map(|layer| heads_first(layer, heads, config.head_dim)).collect()
        };
        Ok(Trace {
            tokens: tokens.into(),
            steps,
            logits,
            hidden: probed.hidden,
            queries: heads_first(probed.queries, config.num_attention_heads),
            keys: heads_first(probed.new_keys, config.num_key_value_heads),
            values: heads_first(probed.new_values, config.num_key_value_heads),
            entropy: probed.entropy.into_iter().map(|heads| heads.concat()).collect(),
        })
    }

    /// Returns the `count` most likely next tokens after the last token, with their logits, the most likely
    /// first. Tokens with equal logits are in ascending order.
    pub fn top_k(&self, count: usize) -> Vec<(u32, f32)> {
        let vocabulary = self.logits.len() / self.tokens.len();
        let last = &self.logits[self.logits.len() - vocabulary..];
        sample::ranked(last).into_iter().take(count).map(|id| (id, last[id as usize])).collect()
    }
}

/// Returns all values of a tensor as f32.
fn floats(x: &Tensor) -> candle_core::Result<Vec<f32>> {
    x.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()
}

/// Transposes `[tokens, heads, width]` to `[heads, tokens, width]`.
fn heads_first(values: &[f32], heads: usize, width: usize) -> Vec<f32> {
    let rows =
        |head: usize| values.chunks_exact(heads * width).flat_map(move |row| &row[head * width..][..width]);
    (0..heads).flat_map(rows).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_first_transposes_tokens_and_heads() {
        // There are two tokens of three heads of width 2. The tens digit of a value is the token, the units
        // digit the head.
        let values = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 10.0, 10.5, 11.0, 11.5, 12.0, 12.5];
        let expected = [0.0, 0.5, 10.0, 10.5, 1.0, 1.5, 11.0, 11.5, 2.0, 2.5, 12.0, 12.5];
        assert_eq!(heads_first(&values, 3, 2), expected);
    }

    #[test]
    fn the_most_likely_tokens_come_first() {
        let logits = vec![9.0, 0.0, 0.0, 0.0, 1.0, 3.0, -1.0, 3.0];
        let trace = Trace { tokens: vec![1, 2], logits, ..Trace::default() };
        assert_eq!(trace.top_k(3), [(1, 3.0), (3, 3.0), (0, 1.0)]);
        assert_eq!(trace.top_k(99).len(), 4);
    }
}

//! Writes a trace to a safetensors file.

use std::path::Path;

use bitkv_bytes::Existing;
use bitkv_checkpoint::{Config, write_f32_tensors};

use super::Trace;
use crate::{Error, Result};

impl Trace {
    /// Writes the trace to a safetensors file, all tensors f32:
    ///
    /// - `logits [tokens, vocab]`
    /// - `hidden.{i} [tokens, hidden]`; 0 is the embedding
    /// - `q.{i} [query_heads, tokens, head_dim]`, after RoPE
    /// - `k.{i} [kv_heads, tokens, head_dim]`, after RoPE
    /// - `v.{i} [kv_heads, tokens, head_dim]`
    /// - `entropy [layers, query_heads, tokens]`, in bits
    ///
    /// `metadata` is the metadata of the file.
    ///
    /// # Errors
    /// Fails if the trace was made without [`Detail::Tensors`](super::Detail::Tensors) or by a model of
    /// another configuration, or if the file cannot be written.
    pub fn write(
        &self,
        path: &Path,
        existing: Existing,
        config: &Config,
        metadata: &[(&str, &str)],
    ) -> Result<()> {
        if self.entropy.len() != config.num_hidden_layers {
            return Err(Error::NoTensors);
        }
        let count = self.tokens.len();
        let (heads, kv_heads, width) =
            (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
        let entropy = self.entropy.concat();
        let mut tensors: Vec<(String, Vec<usize>, &[f32])> = vec![
            ("logits".into(), vec![count, config.vocab_size], &self.logits),
            ("entropy".into(), vec![config.num_hidden_layers, heads, count], &entropy),
        ];
        let by_layer = [
            ("hidden", &self.hidden, vec![count, config.hidden_size]),
            ("q", &self.queries, vec![heads, count, width]),
            ("k", &self.keys, vec![kv_heads, count, width]),
            ("v", &self.values, vec![kv_heads, count, width]),
        ];
        for (name, layers, shape) in &by_layer {
            let named = layers.iter().enumerate();
            tensors.extend(named.map(|(i, values)| (format!("{name}.{i}"), shape.clone(), &values[..])));
        }
        Ok(write_f32_tensors(path, existing, metadata, &tensors)?)
    }
}

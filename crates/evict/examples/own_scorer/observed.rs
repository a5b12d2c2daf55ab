//! Observations of a real model. They are read from `testdata/tiny-gqa.safetensors`, which
//! `testdata/observe.py` writes.

use bitkv_evict::{Need, Observation, Shape};
use safetensors::{SafeTensorError, SafeTensors};

/// The keys and values of 64 tokens, in layer-major order, `[layers * kv_heads][tokens * head_dim]` each.
pub(crate) struct Observed {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

const SHAPE: Shape = Shape { layers: 4, query_heads: 8, kv_heads: 2, tokens: 64, head_dim: 32 };

impl Observed {
    /// Returns the observation that policies read.
    pub(crate) fn view(&self) -> Observation<'_> {
        Observation::new(SHAPE).with_rows(Need::Keys, &self.keys).with_rows(Need::Values, &self.values)
    }
}

/// Reads the observations of the built-in model tiny-gqa.
pub(crate) fn tiny_gqa() -> Result<Observed, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tiny-gqa.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    Ok(Observed { keys: rows(&file, "k")?, values: rows(&file, "v")? })
}

/// Reads the rows of the tensors `{name}.{layer}`, each `[kv_heads, tokens, head_dim]` in F32.
fn rows(file: &SafeTensors<'_>, name: &str) -> Result<Vec<Vec<f32>>, SafeTensorError> {
    let mut rows = Vec::new();
    for layer in 0..SHAPE.layers {
        let tensor = file.tensor(&format!("{name}.{layer}"))?;
        let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let numbers: Vec<f32> = numbers.collect();
        rows.extend(numbers.chunks(SHAPE.tokens * SHAPE.head_dim).map(<[f32]>::to_vec));
    }
    Ok(rows)
}

//! What was observed of a real model: the file `testdata/tiny-gqa.safetensors`, which `testdata/observe.py` makes.

use bitkv_evict::{Need, Observation, Shape};
use safetensors::{SafeTensorError, SafeTensors};

/// Keys and values of 64 tokens, by KV head, layer by layer: `[layers * kv_heads][tokens * head_dim]`.
pub(crate) struct Observed {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

const SHAPE: Shape = Shape { layers: 4, query_heads: 8, kv_heads: 2, tokens: 64, head_dim: 32 };

impl Observed {
    /// As policies see it.
    pub(crate) fn view(&self) -> Observation<'_> {
        Observation::new(SHAPE).with_rows(Need::Keys, &self.keys).with_rows(Need::Values, &self.values)
    }
}

/// Of the built-in model tiny-gqa.
pub(crate) fn tiny_gqa() -> Result<Observed, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tiny-gqa.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    Ok(Observed { keys: rows(&file, "k")?, values: rows(&file, "v")? })
}

/// The rows of `{name}.{layer}`, each `[kv_heads, tokens, head_dim]` in F32.
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

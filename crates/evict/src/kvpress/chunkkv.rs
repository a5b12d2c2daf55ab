use serde::{Deserialize, Serialize};

use super::{
    Layer, SnapKv, Ties,
    contest::Contest,
    press::{Press, finite_scores, keep_best},
};
use crate::{Needs, Shape, options::Options, registry::Method};

/// kvpress' `ChunkKVPress` of SnapKV: whole chunks, the same for all heads of a layer. It keeps
/// so many chunks as the budget is of all, rounded down: more or fewer tokens than asked for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct ChunkKv {
    /// Tokens in a chunk; the last may be shorter.
    chunk_length: usize,
    #[serde(flatten)]
    press: SnapKv,
}

impl Default for ChunkKv {
    fn default() -> ChunkKv {
        ChunkKv { chunk_length: 20, press: SnapKv::default() }
    }
}

impl Options for ChunkKv {
    fn check(&self) -> Result<(), String> {
        if self.chunk_length == 0 {
            return Err("a chunk has at least one token".into());
        }
        self.press.check()
    }
}

impl Method for ChunkKv {
    const NAME: &'static str = "kvpress:chunkkv";
    const SOURCE: &'static str = "kvpress ChunkKVPress(SnapKVPress); Liu et al. 2025, arXiv:2502.00299";
    const DESCRIPTION: &'static str = "SnapKV, whole chunks at a time";
}

impl Press for ChunkKv {
    fn needs(&self) -> Needs {
        Press::needs(&self.press)
    }

    fn conserves(&self) -> bool {
        false
    }

    fn refuse(&self, shape: Shape) -> Result<(), String> {
        Press::refuse(&self.press, shape)
    }

    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, String> {
        let scores = finite_scores(&self.press, layer)?;
        if layer.tokens < self.chunk_length {
            return Ok(keep_best(scores, layer.kept, ties));
        }
        let chunks = self.chunk_scores(&scores, layer.tokens);
        let count = ((chunks.len() as f64 * layer.part) as usize).max(1);
        let mut close = ties.like(1, chunks.len());
        let kept = close.decide_in_head(&Contest::in_head(0, chunks, count));
        let positions = |chunk: u32| {
            let start = chunk * self.chunk_length as u32;
            start..(start + self.chunk_length as u32).min(layer.tokens as u32)
        };
        for position in close.positions().flatten().flat_map(positions) {
            (0..layer.kv_heads).for_each(|head| ties.note(head, position));
        }
        Ok(vec![kept.into_iter().flat_map(positions).collect(); layer.kv_heads])
    }
}

impl ChunkKv {
    /// The mean over a chunk's tokens of the sum over all heads.
    fn chunk_scores(&self, scores: &[Vec<f32>], tokens: usize) -> Vec<f32> {
        let sums: Vec<f64> =
            (0..tokens).map(|at| scores.iter().map(|head| f64::from(head[at])).sum()).collect();
        let mean = |chunk: &[f64]| (chunk.iter().sum::<f64>() / chunk.len() as f64) as f32;
        sums.chunks(self.chunk_length).map(mean).collect()
    }
}

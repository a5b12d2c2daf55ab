//! `ChunkKVPress` of kvpress.

use bitkv_evict::{Options, Reason, method};

use crate::{
    checks,
    contest::Contest,
    layer::Layer,
    press::{Press, finite_scores, keep_best},
    snapkv::SnapKv,
    ties::Ties,
};

method! {
    /// `ChunkKVPress` of kvpress with SnapKV: keeps whole chunks, the same for all heads of a layer. The
    /// number of chunks kept is the budget's fraction of all chunks, rounded down. The press may therefore
    /// keep more or fewer tokens than the budget asks for.
    pub(crate) struct ChunkKv {
        /// The number of tokens in a chunk; the last chunk may be shorter.
        chunk_length: usize = 20 => checks::within(1.., "a chunk has at least one token"),
        #[serde(flatten)]
        press: SnapKv = SnapKv::default() => Options::check,
    }
    needs(self) self.press.needs();
    "kvpress:chunkkv" from "kvpress ChunkKVPress(SnapKVPress); Liu et al. 2025, arXiv:2502.00299",
    "Scores like SnapKV and keeps whole chunks."
}

impl Press for ChunkKv {
    fn conserves(&self) -> bool {
        false
    }

    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        let scores = finite_scores(&self.press, layer)?;
        if layer.tokens < self.chunk_length {
            return Ok(keep_best(scores, layer.kept, ties));
        }
        let chunks = self.chunk_scores(&scores, layer.tokens);
        let count = ((chunks.len() as f64 * layer.part) as usize).max(1);
        let mut close = ties.empty_like(1, chunks.len());
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
    /// Returns the score of each chunk, `[chunks]`: the sum of the scores of all heads, averaged over the
    /// tokens of the chunk.
    fn chunk_scores(&self, scores: &[Vec<f32>], tokens: usize) -> Vec<f32> {
        let sums: Vec<f64> =
            (0..tokens).map(|at| scores.iter().map(|head| f64::from(head[at])).sum()).collect();
        let mean = |chunk: &[f64]| (chunk.iter().sum::<f64>() / chunk.len() as f64) as f32;
        sums.chunks(self.chunk_length).map(mean).collect()
    }
}

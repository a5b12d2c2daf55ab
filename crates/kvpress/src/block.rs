//! `BlockPress` of kvpress.

use bitkv_evict::{Need, Reason, formulas, method};

use crate::{checks, contest::Contest, layer::Layer, press::Press, ties::Ties};

method! {
    /// `BlockPress` of kvpress with KeyDiff. It compresses the cache block by block: it adds each block to
    /// the tokens kept so far, and compresses the result to the budget.
    pub(crate) struct BlockKeyDiff {
        /// The number of tokens in a block.
        block_size: usize = 128 => checks::within(1.., "a block has at least one token"),
    }
    needs(self) [Need::Keys];
    "kvpress:block_keydiff" from "kvpress BlockPress(KeyDiffPress); Park et al. 2025, arXiv:2504.15364",
    "Keeps the keys least like the mean key, block after block."
}

impl Press for BlockKeyDiff {
    fn compress(&self, layer: &Layer<'_>, ties: &mut Ties) -> Result<Vec<Vec<u32>>, Reason> {
        Ok((0..layer.kv_heads).map(|head| self.kept_in_head(layer, head, ties)).collect())
    }
}

impl BlockKeyDiff {
    /// Returns the positions that one KV head keeps, ascending.
    fn kept_in_head(&self, layer: &Layer<'_>, head: usize, ties: &mut Ties) -> Vec<u32> {
        let (keys, dim) = (layer.row(Need::Keys, head), layer.head_dim);
        let mut kept: Vec<u32> = (0..layer.kept as u32).collect();
        for start in (layer.kept..layer.tokens).step_by(self.block_size) {
            let end = (start + self.block_size).min(layer.tokens);
            kept.extend(start as u32..end as u32);
            let key = |&position: &u32| &keys[position as usize * dim..][..dim];
            let joined: Vec<f32> = kept.iter().flat_map(key).copied().collect();
            let contest = Contest::in_head(0, formulas::key_diff(&joined, dim), layer.kept);
            let mut close = ties.empty_like(1, kept.len());
            let best = close.rank_in_head(&contest);
            for index in close.positions().flatten() {
                ties.note(head, kept[index as usize]);
            }
            // kvpress keeps the order of the scores, and the next block's ties depend on it.
            kept = best.into_iter().map(|index| kept[index as usize]).collect();
        }
        kept.sort_unstable();
        kept
    }
}

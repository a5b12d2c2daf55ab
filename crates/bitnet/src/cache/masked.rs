//! The reference for eviction: a full-size cache with a mask.

use super::{Cache, CacheShape, CacheView, KvCache, Precision, kept_rows};
use crate::{Result, Rope};

/// Holds every token and hides the evicted ones. As large as the sequence; for tests and for checking plans.
#[derive(Clone, Debug)]
pub struct MaskedCache {
    full: Cache,
    masks: Vec<Vec<bool>>,
}

impl MaskedCache {
    /// An empty cache of half floats.
    pub fn new(shape: CacheShape) -> Self {
        MaskedCache::with_precision(shape, Precision::default())
    }

    /// An empty cache.
    pub fn with_precision(shape: CacheShape, precision: Precision) -> Self {
        let masks = vec![Vec::new(); shape.layers * shape.kv_heads];
        MaskedCache { full: Cache::with_precision(shape, precision), masks }
    }

    /// Indices of the visible tokens, for each layer and KV head.
    fn visible(&self) -> Vec<Vec<usize>> {
        let of_head = |mask: &Vec<bool>| (0..mask.len()).filter(|i| mask[*i]).collect();
        self.masks.iter().map(of_head).collect()
    }
}

impl KvCache for MaskedCache {
    fn shape(&self) -> CacheShape {
        self.full.shape()
    }

    fn tokens_seen(&self) -> usize {
        self.full.tokens_seen()
    }

    fn rotary_position(&self, layer: usize, head: usize) -> usize {
        self.full.rotary_position(layer, head)
    }

    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        self.full.append(layer, keys, values);
        let heads = self.shape().kv_heads;
        for head in 0..heads {
            let len = self.full.len(layer, head);
            self.masks[layer * heads + head].resize(len, true);
        }
    }

    fn advance(&mut self, tokens: usize) {
        self.full.advance(tokens);
    }

    fn view(&self, layer: usize, head: usize) -> CacheView<'_> {
        let mask = &self.masks[layer * self.shape().kv_heads + head];
        CacheView { mask: Some(mask), ..self.full.view(layer, head) }
    }

    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()> {
        let rows = kept_rows(self, kept)?;
        for (mask, rows) in self.masks.iter_mut().zip(rows) {
            mask.fill(false);
            rows.into_iter().for_each(|row| mask[row] = true);
        }
        Ok(())
    }

    fn rerotate(&mut self, rope: &Rope) {
        let visible = self.visible();
        self.full.rerotate_rows(Some(&visible), rope);
    }
}

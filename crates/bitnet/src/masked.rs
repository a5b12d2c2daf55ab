//! The reference for eviction: a full-size cache with a mask.

use crate::{
    Result,
    cache::{Cache, CacheShape, CacheView, KvCache, kept_rows},
};

/// Holds every token and hides the evicted ones. As large as the sequence; for tests and for checking plans.
#[derive(Clone, Debug)]
pub struct MaskedCache {
    full: Cache,
    masks: Vec<Vec<bool>>,
}

impl MaskedCache {
    /// An empty cache.
    pub fn new(shape: CacheShape) -> Self {
        MaskedCache { full: Cache::new(shape), masks: vec![Vec::new(); shape.layers * shape.kv_heads] }
    }
}

impl KvCache for MaskedCache {
    fn shape(&self) -> CacheShape {
        self.full.shape()
    }

    fn tokens_seen(&self) -> usize {
        self.full.tokens_seen()
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
}

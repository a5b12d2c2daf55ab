//! The cache that evicts: one ragged buffer per layer and KV head.

use rayon::prelude::*;

use super::{CacheShape, CacheView, KvCache, Precision, head::Head, kept_rows};
use crate::{Result, Rope};

/// A cache whose KV heads may hold different numbers of tokens. Cloning it lets one prefill serve many plans.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: CacheShape,
    heads: Vec<Head>,
    seen: usize,
}

impl Cache {
    /// An empty cache of half floats.
    pub fn new(shape: CacheShape) -> Self {
        Cache::with_precision(shape, Precision::default())
    }

    /// An empty cache.
    pub fn with_precision(shape: CacheShape, precision: Precision) -> Self {
        Cache { shape, heads: vec![Head::new(precision); shape.layers * shape.kv_heads], seen: 0 }
    }

    /// Bytes of the keys and values held: with half floats `4 * head_dim` per token, layer and KV head.
    pub fn bytes(&self) -> usize {
        self.heads.iter().map(Head::bytes).sum()
    }

    /// Bytes allocated for keys, values and positions, including room to grow.
    pub fn allocated_bytes(&self) -> usize {
        self.heads.iter().map(Head::allocated_bytes).sum()
    }

    /// Tokens held by one KV head.
    pub fn len(&self, layer: usize, head: usize) -> usize {
        self.head(layer, head).len()
    }

    /// Whether no head holds anything.
    pub fn is_empty(&self) -> bool {
        self.heads.iter().all(|h| h.len() == 0)
    }

    fn head(&self, layer: usize, head: usize) -> &Head {
        &self.heads[layer * self.shape.kv_heads + head]
    }

    /// Turns the keys of each head's `rows` to rotary positions 0, 1, 2 ...; all rows where there is no list.
    pub(super) fn rerotate_rows(&mut self, rows: Option<&[Vec<usize>]>, rope: &Rope) {
        let last = self.heads.iter().flat_map(Head::rotary).max();
        let (turns, seen) = (rope.turns(last.map_or(0, |p| *p as usize + 1)), self.seen);
        self.heads.par_iter_mut().enumerate().for_each(|(i, head)| match rows {
            Some(rows) => head.rerotate(&rows[i], seen, &turns),
            None => head.rerotate(&(0..head.len()).collect::<Vec<_>>(), seen, &turns),
        });
    }
}

impl KvCache for Cache {
    fn shape(&self) -> CacheShape {
        self.shape
    }

    fn tokens_seen(&self) -> usize {
        self.seen
    }

    fn rotary_position(&self, layer: usize, head: usize) -> usize {
        self.head(layer, head).rotary_position(self.seen)
    }

    fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let CacheShape { kv_heads, head_dim, .. } = self.shape;
        for (i, head) in self.heads[layer * kv_heads..][..kv_heads].iter_mut().enumerate() {
            let stride = kv_heads * head_dim;
            head.keys.extend(keys, stride, i * head_dim, head_dim);
            head.values.extend(values, stride, i * head_dim, head_dim);
            head.extend_positions(self.seen, keys.len() / stride);
        }
    }

    fn advance(&mut self, tokens: usize) {
        self.seen += tokens;
    }

    fn view(&self, layer: usize, head: usize) -> CacheView<'_> {
        let head = self.head(layer, head);
        CacheView {
            keys: head.keys.view(),
            values: head.values.view(),
            positions: &head.positions,
            mask: None,
        }
    }

    fn keep(&mut self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<()> {
        let rows = kept_rows(self, kept)?;
        for (head, rows) in self.heads.iter_mut().zip(rows) {
            head.retain(&rows, self.shape.head_dim);
        }
        Ok(())
    }

    fn rerotate(&mut self, rope: &Rope) {
        self.rerotate_rows(None, rope);
    }
}

//! [`Cache`], the cache that evicts: each layer and KV head has a buffer of its own length.

use bitkv_kernels::elementwise::first_beyond;
use rayon::prelude::*;

use super::{
    CachePrecision, CacheShape, CacheView, KvCache, Quantisation, buffer::Buffer, head::HeadCache, kept_rows,
};
use crate::{Place, Result, Rope, finite::beyond};

/// A KV cache whose heads may hold different numbers of tokens.
///
/// To try several plans after one prefill, clone it or call [`Cache::kept_copy`]. The trait [`KvCache`] has
/// its operations.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: CacheShape,
    pub(super) heads: Vec<HeadCache>,
    seen: usize,
    quantisation: Quantisation,
    /// Whether keys are stored before RoPE.
    unrotated: bool,
}

impl Cache {
    /// Returns an empty f16 cache.
    pub fn new(shape: CacheShape) -> Self {
        Cache::with_precision(shape, CachePrecision::default())
    }

    /// Returns an empty cache of this precision.
    pub fn with_precision(shape: CacheShape, precision: CachePrecision) -> Self {
        let heads = vec![HeadCache::new(precision); shape.layers * shape.kv_heads];
        Cache { shape, heads, seen: 0, quantisation: Quantisation::None, unrotated: false }
    }

    /// Returns this empty cache as one whose tokens always have their positions in the cache: 0, 1, 2 ... in
    /// every head, after any evictions.
    ///
    /// Keys are stored before RoPE, and every pass rotates them to their present positions, as StreamingLLM
    /// (arXiv 2309.17453, section 3.2) does. So a cache that is evicted from time to time never runs out of
    /// positions, and no key is rounded more than once. The cache takes as many bytes as any other.
    ///
    /// # Panics
    /// Panics if the cache is not empty.
    #[must_use]
    pub fn with_positions_in_cache(self) -> Cache {
        assert!(self.is_empty() && self.seen == 0, "keys that are already rotated stay so");
        Cache { unrotated: true, ..self }
    }

    /// The bytes of the keys and values: `4 * head_dim` per token, layer and KV head in f16. In a quantised
    /// cache, these are the bytes of codes, scales, minima and tokens that are still f16.
    pub fn bytes(&self) -> usize {
        self.heads.iter().map(HeadCache::bytes).sum()
    }

    /// The bytes allocated for keys, values and positions, including room to grow.
    pub fn allocated_bytes(&self) -> usize {
        self.heads.iter().map(HeadCache::allocated_bytes).sum()
    }

    /// The number of tokens that one KV head holds.
    pub fn len(&self, layer: usize, head: usize) -> usize {
        self.head(layer, head).len()
    }

    /// Whether all heads are empty.
    pub fn is_empty(&self) -> bool {
        self.heads.iter().all(|h| h.len() == 0)
    }

    /// Returns a copy that holds only the tokens of a plan, as if [`KvCache::keep`] had been called on a
    /// clone. Evicted tokens are not copied.
    ///
    /// # Errors
    /// Fails as [`KvCache::keep`] does.
    pub fn kept_copy(&self, kept: &dyn Fn(usize, usize) -> Vec<u32>) -> Result<Cache> {
        let (rows, width) = (kept_rows(self, kept)?, self.shape.head_dim);
        let heads = self.heads.par_iter().zip(rows).map(|(head, rows)| head.gather(&rows, width)).collect();
        Ok(Cache { heads, ..*self })
    }

    fn head(&self, layer: usize, head: usize) -> &HeadCache {
        &self.heads[layer * self.shape.kv_heads + head]
    }

    /// Checks that no key and no value is larger than `limit`.
    fn check_numbers(&self, limit: f32) -> Result<()> {
        let (heads, width) = (self.shape.kv_heads, self.shape.head_dim);
        for (i, cache) in self.heads.iter().enumerate() {
            let (layer, head) = (i / heads, i % heads);
            let both =
                [(&cache.keys, Place::Key { layer, head }), (&cache.values, Place::Value { layer, head })];
            for (buffer, place) in both {
                let Buffer::F32(numbers) = buffer else { continue };
                if let Some(at) = first_beyond(numbers, limit) {
                    return Err(beyond(place, cache.positions[at / width] as usize, numbers[at], limit));
                }
            }
        }
        Ok(())
    }

    /// How keys and values are stored.
    pub fn quantisation(&self) -> Quantisation {
        self.quantisation
    }

    /// Rotates the keys in `rows`, `[layers * kv_heads][..]`, to rotary positions 0, 1, 2 ...; `None` means
    /// all keys. Returns for each head the index, within its entry of `rows`, of the first key whose position
    /// changed.
    pub(super) fn rerotate_rows(
        &mut self,
        rows: Option<&[Vec<usize>]>,
        rope: &Rope,
    ) -> Result<Vec<Option<usize>>> {
        let last = self.heads.iter().flat_map(HeadCache::rotary).max();
        let (rerotation, seen) = (rope.rerotation(last.map_or(0, |p| *p as usize + 1)), self.seen);
        let (limit, heads) = (self.largest_number(), self.shape.kv_heads);
        let rerotate_head = |(i, head): (usize, &mut HeadCache)| {
            let all = || (0..head.len()).collect::<Vec<_>>();
            let rows = rows.map_or_else(all, |rows| rows[i].clone());
            let place = Place::Key { layer: i / heads, head: i % heads };
            head.rerotate(&rows, seen, &rerotation, (limit, place))
        };
        self.heads.par_iter_mut().enumerate().map(rerotate_head).collect()
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
        let head = self.head(layer, head);
        if self.unrotated { head.len() } else { head.rotary_position(self.seen) }
    }

    fn has_positions_in_cache(&self) -> bool {
        self.unrotated
    }

    fn bytes(&self) -> usize {
        Cache::bytes(self)
    }

    fn forget_newest(&mut self, tokens: usize) {
        let (width, first) = (self.shape.head_dim, (self.seen - tokens) as u32);
        self.heads.par_iter_mut().for_each(|head| {
            let rows: Vec<usize> = (0..head.positions.partition_point(|p| *p < first)).collect();
            *head = head.gather(&rows, width);
        });
        self.seen -= tokens;
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

    fn largest_number(&self) -> f32 {
        match self.heads.first().map(|head| &head.keys) {
            Some(Buffer::F32(_)) => f32::MAX,
            // Numbers are rounded to f16 before they are quantised.
            _ => half::f16::MAX.to_f32(),
        }
    }

    fn reserve(&mut self, tokens: usize) {
        let width = self.shape.head_dim;
        self.heads.iter_mut().for_each(|head| head.reserve(tokens, width));
    }

    fn count_tokens(&mut self, tokens: usize) {
        self.seen += tokens;
    }

    fn finish_pass(&mut self) {
        if matches!(self.quantisation, Quantisation::Kivi { .. }) {
            self.heads.iter_mut().for_each(|head| {
                head.keys.quantise_due();
                head.values.quantise_due();
            });
        }
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
        let (rows, width) = (kept_rows(self, kept)?, self.shape.head_dim);
        // Heads are replaced one by one, so there is never a second whole cache.
        self.heads.par_iter_mut().zip(rows).for_each(|(head, rows)| *head = head.gather(&rows, width));
        Ok(())
    }

    fn quantise(&mut self, quantisation: Quantisation) -> Result<()> {
        quantisation.check()?;
        if quantisation != self.quantisation {
            if quantisation != Quantisation::None {
                self.check_numbers(half::f16::MAX.to_f32())?;
            }
            let width = self.shape.head_dim;
            self.heads.par_iter_mut().for_each(|head| head.quantise(quantisation, width));
            self.quantisation = quantisation;
        }
        Ok(())
    }

    fn rerotate(&mut self, rope: &Rope) -> Result<()> {
        // Keys that are not rotated yet have no position that could change.
        if self.unrotated { Ok(()) } else { self.rerotate_rows(None, rope).map(|_| ()) }
    }
}

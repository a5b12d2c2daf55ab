//! The rotations of new tokens, which may differ between KV heads after a rerotation.

use rayon::prelude::*;

use crate::{
    KvCache, Sequence,
    rope::{Rope, Rotation},
};

/// The rotations of one forward pass.
pub(crate) struct Rotations<'a> {
    rope: &'a Rope,
    /// The rotation of new tokens to their original positions. It is right for every head that was not
    /// rerotated.
    common: Rotation,
}

/// The number and the width of the heads of a layer.
#[derive(Clone, Copy)]
pub(crate) struct HeadCounts {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl<'a> Rotations<'a> {
    pub(crate) fn new(rope: &'a Rope, sequences: &[Sequence<'_>]) -> Self {
        let positions = |s: &Sequence<'_>| {
            let first = s.cache.tokens_seen();
            first..first + s.tokens.len()
        };
        Rotations { rope, common: rope.rotation(sequences.iter().map(positions)) }
    }

    /// Rotates a layer's queries `[tokens, heads, head_dim]` and keys `[tokens, kv_heads, head_dim]` in
    /// place.
    pub(crate) fn apply(
        &self,
        layer: usize,
        sequences: &[Sequence<'_>],
        counts: HeadCounts,
        q: &mut [f32],
        k: &mut [f32],
    ) {
        let HeadCounts { heads, kv_heads, head_dim } = counts;
        let at_tokens_seen = |cache: &dyn KvCache| {
            !cache.has_positions_in_cache()
                && (0..kv_heads).all(|h| cache.rotary_position(layer, h) == cache.tokens_seen())
        };
        if sequences.iter().all(|s| at_tokens_seen(s.cache)) {
            self.common.apply(q, heads);
            self.common.apply(k, kv_heads);
            return;
        }
        let (mut q, mut k) = (q, k);
        for Sequence { tokens, cache } in sequences {
            let (q_part, q_rest) = q.split_at_mut(tokens.len() * heads * head_dim);
            let (k_part, k_rest) = k.split_at_mut(tokens.len() * kv_heads * head_dim);
            let starts: Vec<usize> = (0..kv_heads).map(|head| cache.rotary_position(layer, head)).collect();
            // A cache with positions in the cache stores keys before RoPE.
            let keys = if cache.has_positions_in_cache() { &mut [] } else { k_part };
            self.apply_by_head(&starts, heads, q_part, keys);
            (q, k) = (q_rest, k_rest);
        }
    }

    /// Rotates the queries and keys of one sequence. The first token of KV head `i` is rotated to
    /// `starts[i]`. No keys are rotated if `k` is empty.
    fn apply_by_head(&self, starts: &[usize], heads: usize, q: &mut [f32], k: &mut [f32]) {
        let (kv_heads, group) = (starts.len(), heads / starts.len());
        let tokens = q.len() / heads / self.rope.width();
        let rotation_from =
            |start: usize| (start, self.rope.rotation(std::iter::once(start..start + tokens)));
        let mut current = rotation_from(starts[0]);
        for (head, &start) in starts.iter().enumerate() {
            if current.0 != start {
                current = rotation_from(start);
            }
            current.1.apply_to(q, heads, head * group..(head + 1) * group);
            current.1.apply_to(k, kv_heads, head..head + 1);
        }
    }

    /// Returns the keys of a layer, `[kv_heads][tokens * head_dim]`, rotated to their positions in the cache;
    /// empty if the cache holds rotated keys.
    pub(crate) fn keys_in_cache(&self, cache: &dyn KvCache, layer: usize) -> Vec<Vec<f32>> {
        if !cache.has_positions_in_cache() {
            return Vec::new();
        }
        let heads = (0..cache.shape().kv_heads).into_par_iter();
        heads.map(|head| self.rope.keys_in_cache(cache, layer, head)).collect()
    }
}

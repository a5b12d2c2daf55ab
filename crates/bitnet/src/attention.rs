//! Causal attention with grouped query heads.

use std::ops::Range;

use bitkv_checkpoint::{Checkpoint, Config};
use bitkv_kernels::attention::{Input, Statistics, Wanted, attend};
use rayon::prelude::*;

use crate::{
    KvCache, Result, Step,
    linear::{Activations, BitLinear},
    norm::RmsNorm,
    recorder::Recorder,
    rotations::{HeadCounts, Rotations},
};

/// Queries that one task attends for. Fixed, so that results do not depend on the number of threads.
const TASK_QUERIES: usize = 128;

/// Tokens to run, and the cache of those before them.
pub struct Sequence<'a> {
    /// At least one.
    pub tokens: &'a [u32],
    /// Gets the tokens' keys and values.
    pub cache: &'a mut dyn KvCache,
}

pub(crate) struct Attention {
    q_proj: BitLinear,
    k_proj: BitLinear,
    v_proj: BitLinear,
    pub(crate) sub_norm: Option<RmsNorm>,
    pub(crate) o_proj: BitLinear,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl Attention {
    pub(crate) fn load(checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let config: &Config = checkpoint.config();
        let [q, k, v, o, ..] = config.linears(layer);
        let sub_norm = config.norms(layer).attention_sub;
        Ok(Attention {
            q_proj: BitLinear::load(checkpoint, &q)?,
            k_proj: BitLinear::load(checkpoint, &k)?,
            v_proj: BitLinear::load(checkpoint, &v)?,
            sub_norm: sub_norm.map(|norm| RmsNorm::load(checkpoint, &norm)).transpose()?,
            o_proj: BitLinear::load(checkpoint, &o)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })
    }

    fn counts(&self) -> HeadCounts {
        HeadCounts { heads: self.heads, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }

    /// `x [tokens, hidden]`, normed, to `[tokens, hidden]`; the tokens are those of `sequences` one after another.
    pub(crate) fn forward(
        &self,
        x: &Activations,
        layer: usize,
        rotations: &Rotations<'_>,
        sequences: &mut [Sequence<'_>],
        see: &mut Recorder<'_>,
    ) -> Vec<f32> {
        let (mut q, mut k) = (self.q_proj.forward(x), self.k_proj.forward(x));
        let v = self.v_proj.forward(x);
        see.step(Step::Q, &q);
        see.step(Step::K, &k);
        see.step(Step::V, &v);
        see.queries_before_rope(&q, self.heads);
        rotations.apply(layer, sequences, self.counts(), &mut q, &mut k);
        see.qkv(&q, &k, &v);
        let (query_width, kv_width) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let (mut attended, mut first) = (Vec::with_capacity(q.len()), 0);
        for Sequence { tokens, cache } in sequences {
            let end = first + tokens.len();
            let kv = kv_width * first..kv_width * end;
            cache.append(layer, &k[kv.clone()], &v[kv]);
            let q = &q[query_width * first..query_width * end];
            let (out, statistics) = self.attend(q, layer, *cache, see.wanted.as_ref());
            see.statistics(&statistics);
            attended.extend_from_slice(&out);
            first = end;
        }
        see.step(Step::Attention, &attended);
        see.attended(&attended);
        if let Some(norm) = &self.sub_norm {
            attended = norm.forward(&attended);
            see.step(Step::AttentionSubNorm, &attended);
        }
        let out = self.o_proj.forward_f32(attended);
        see.step(Step::O, &out);
        out
    }

    /// `q [tokens, heads, head_dim]` to the same shape.
    fn attend(
        &self,
        q: &[f32],
        layer: usize,
        cache: &dyn KvCache,
        wanted: Option<&Wanted>,
    ) -> (Vec<f32>, Vec<Statistics>) {
        let (width, group) = (self.heads * self.head_dim, self.heads / self.kv_heads);
        let tokens = q.len() / width;
        let parts: Vec<(usize, Range<usize>)> = (0..self.kv_heads)
            .flat_map(|head| (0..tokens).step_by(TASK_QUERIES).map(move |first| (head, first)))
            .map(|(head, first)| (head, first..tokens.min(first + TASK_QUERIES)))
            .collect();
        let results: Vec<_> = parts
            .par_iter()
            .map(|(head, part)| self.attend_part(q, layer, *head, part, cache, wanted))
            .collect();

        let mut out = vec![0.0; q.len()];
        let keys = |head| cache.view(layer, head).positions.len();
        let whole =
            |wanted| (0..self.kv_heads).map(|h| Statistics::new(group, tokens, keys(h), wanted)).collect();
        let mut statistics: Vec<Statistics> = wanted.map(whole).unwrap_or_default();
        let span = group * self.head_dim;
        for ((head, part), (rows, seen)) in parts.iter().zip(&results) {
            for (to, from) in out[part.start * width..].chunks_exact_mut(width).zip(rows.chunks_exact(span)) {
                to[head * span..][..span].copy_from_slice(from);
            }
            if let Some(seen) = seen {
                statistics[*head].merge(part.start, seen);
            }
        }
        (out, statistics)
    }

    /// The queries of one KV head's group in a range of tokens, `[tokens, group, head_dim]`.
    fn attend_part(
        &self,
        q: &[f32],
        layer: usize,
        head: usize,
        part: &Range<usize>,
        cache: &dyn KvCache,
        wanted: Option<&Wanted>,
    ) -> (Vec<f32>, Option<Statistics>) {
        let (width, group) = (self.heads * self.head_dim, self.heads / self.kv_heads);
        let span = group * self.head_dim;
        let view = cache.view(layer, head);
        let queries: Vec<f32> = q
            .chunks_exact(width)
            .take(part.end)
            .skip(part.start)
            .flat_map(|row| &row[head * span..][..span])
            .copied()
            .collect();
        let input = Input {
            queries: &queries,
            keys: view.keys,
            values: view.values,
            group,
            head_dim: self.head_dim,
            offset: view.positions.len() - q.len() / width + part.start,
            mask: view.mask,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
        };
        let mut statistics = wanted.map(|wanted| {
            Statistics::new(group, input.tokens(), input.visible(), &wanted.from_query(part.start))
        });
        let mut out = vec![0.0; queries.len()];
        attend(&input, &mut out, statistics.as_mut());
        (out, statistics)
    }

    pub(crate) fn bytes(&self) -> usize {
        let linears = [&self.q_proj, &self.k_proj, &self.v_proj, &self.o_proj];
        linears.iter().map(|l| l.bytes()).sum::<usize>() + self.sub_norm.as_ref().map_or(0, RmsNorm::bytes)
    }
}

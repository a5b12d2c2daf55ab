//! Causal attention with grouped query heads.

use std::ops::Range;

use bitkv_kernels::attention::{Input, Statistics, Wanted, attend};
use rayon::prelude::*;

use crate::{
    Checkpoint, Config, KvCache, Result,
    linear::{BitLinear, Quantized},
    norm::RmsNorm,
    rope::Rotation,
};

/// Queries that one task attends for. Fixed, so that results do not depend on the number of threads.
const TASK_QUERIES: usize = 128;

pub(crate) struct Attention {
    q_proj: BitLinear,
    k_proj: BitLinear,
    v_proj: BitLinear,
    sub_norm: RmsNorm,
    o_proj: BitLinear,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    pub(crate) fn load(checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let config: &Config = checkpoint.config();
        let [q, k, v, o, ..] = config.linears(layer);
        let [_, sub_norm, ..] = config.norms(layer);
        Ok(Attention {
            q_proj: BitLinear::load(checkpoint, &q)?,
            k_proj: BitLinear::load(checkpoint, &k)?,
            v_proj: BitLinear::load(checkpoint, &v)?,
            sub_norm: RmsNorm::load(checkpoint, &sub_norm)?,
            o_proj: BitLinear::load(checkpoint, &o)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })
    }

    /// `x [tokens, hidden]`, normed, to `[tokens, hidden]`; with `wanted`, also the statistics of each KV head.
    pub(crate) fn forward(
        &self,
        x: &Quantized,
        layer: usize,
        rotation: &Rotation,
        cache: &mut dyn KvCache,
        wanted: Option<&Wanted>,
    ) -> (Vec<f32>, Vec<Statistics>) {
        let (mut q, mut k) = (self.q_proj.forward(x), self.k_proj.forward(x));
        rotation.apply(&mut q, self.heads);
        rotation.apply(&mut k, self.kv_heads);
        cache.append(layer, &k, &self.v_proj.forward(x));
        let (attended, statistics) = self.attend(&q, layer, cache, wanted);
        (self.o_proj.forward_f32(&self.sub_norm.forward(&attended)), statistics)
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
            let windows = wanted.windows.iter().map(|first| first.saturating_sub(part.start)).collect();
            Statistics::new(group, input.tokens(), input.visible(), &Wanted { windows, ..wanted.clone() })
        });
        let mut out = vec![0.0; queries.len()];
        attend(&input, &mut out, statistics.as_mut());
        (out, statistics)
    }

    pub(crate) fn bytes(&self) -> usize {
        let linears = [&self.q_proj, &self.k_proj, &self.v_proj, &self.o_proj];
        linears.iter().map(|l| l.bytes()).sum::<usize>() + self.sub_norm.bytes()
    }
}

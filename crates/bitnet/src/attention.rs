//! Causal attention with grouped query heads.

use bitkv_checkpoint::{Checkpoint, Config};
use bitkv_kernels::attention::{self, Batch, CachedHead, Statistics, Wanted, attend_batch};

use crate::{
    KvCache, Result, Step,
    error::Place,
    finite::check_heads,
    linear::{Activations, Inputs, Linear, forward_all},
    norm::RmsNorm,
    recorder::Recorder,
    rotations::{HeadCounts, Rotations},
};

/// Tokens to run, and the cache of the tokens before them.
pub struct Sequence<'a> {
    /// The tokens, at least one.
    pub tokens: &'a [u32],
    /// The cache; the keys and values of the tokens are appended to it.
    pub cache: &'a mut dyn KvCache,
}

impl Sequence<'_> {
    /// Returns what the attention kernel reads of one layer. The cache must already hold the new tokens. If
    /// `rotated` is not empty, it has the keys of every KV head.
    fn kernel_sequence<'k>(
        &'k self,
        layer: usize,
        kv_heads: usize,
        rotated: &'k [Vec<f32>],
    ) -> attention::CachedSequence<'k> {
        let head = |head: usize| {
            let view = self.cache.view(layer, head);
            let keys = rotated.get(head).map_or(view.keys, |keys| attention::Floats::F32(keys));
            CachedHead { keys, values: view.values, mask: view.mask }
        };
        attention::CachedSequence { tokens: self.tokens.len(), heads: (0..kv_heads).map(head).collect() }
    }
}

/// The attention block of one layer.
pub(crate) struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    /// The norms of every query head and of every key head before RoPE.
    head_norms: Option<[RmsNorm; 2]>,
    pub(crate) sub_norm: Option<RmsNorm>,
    pub(crate) o_proj: Linear,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

/// Buffers that all layers reuse.
pub(crate) struct Workspace {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    x: Activations,
    /// The output, `[tokens, hidden]`.
    pub(crate) out: Vec<f32>,
}

impl Workspace {
    pub(crate) fn new(inputs: Inputs) -> Self {
        let (q, k, v, attended, out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Workspace { q, k, v, attended, x: Activations::empty(inputs), out }
    }
}

impl Attention {
    pub(crate) fn load(checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let config: &Config = checkpoint.config();
        let [q, k, v, o, ..] = config.linears(layer);
        let norms = config.norms(layer);
        let head_norms = match (norms.query, norms.key) {
            (Some(query), Some(key)) => {
                Some([RmsNorm::load(checkpoint, &query)?, RmsNorm::load(checkpoint, &key)?])
            }
            _ => None,
        };
        Ok(Attention {
            q_proj: Linear::load(checkpoint, &q)?,
            k_proj: Linear::load(checkpoint, &k)?,
            v_proj: Linear::load(checkpoint, &v)?,
            head_norms,
            sub_norm: norms.attention_sub.map(|norm| RmsNorm::load(checkpoint, &norm)).transpose()?,
            o_proj: Linear::load(checkpoint, &o)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })
    }

    fn counts(&self) -> HeadCounts {
        HeadCounts { heads: self.heads, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }

    /// Runs the attention block on the normed input `x [tokens, hidden]`, which holds the tokens of all
    /// `sequences` one after another. Writes the result to `workspace.out`.
    pub(crate) fn forward(
        &self,
        x: &Activations,
        layer: usize,
        rotations: &Rotations<'_>,
        sequences: &mut [Sequence<'_>],
        workspace: &mut Workspace,
        recorder: &mut Recorder<'_>,
    ) -> Result<()> {
        let Workspace { q, k, v, attended, x: inner, out } = workspace;
        forward_all([(&self.q_proj, q), (&self.k_proj, k), (&self.v_proj, v)], x);
        recorder.record_step(Step::Q, q);
        recorder.record_step(Step::K, k);
        recorder.record_step(Step::V, v);
        if let Some([query, key]) = &self.head_norms {
            (*q, *k) = (query.forward(q), key.forward(k));
        }
        recorder.record_query_moments(q, self.heads);
        rotations.apply(layer, sequences, self.counts(), q, k);
        recorder.record_qkv(q, k, v);
        recorder.record_window_queries(q, self.heads);
        let (kv_width, mut first) = (self.kv_heads * self.head_dim, 0);
        for Sequence { tokens, cache } in sequences.iter_mut() {
            let kv = kv_width * first..kv_width * (first + tokens.len());
            let query_width = self.heads * self.head_dim;
            let queries = &q[query_width * first..query_width * (first + tokens.len())];
            self.check(layer, queries, [&k[kv.clone()], &v[kv.clone()]], *cache)?;
            cache.append(layer, &k[kv.clone()], &v[kv]);
            first += tokens.len();
        }
        attended.resize(q.len(), 0.0);
        let statistics = self.attend(q, layer, rotations, sequences, attended, recorder.wanted.as_ref());
        recorder.record_statistics(&statistics);
        recorder.record_step(Step::Attention, attended);
        recorder.record_attention_output(attended);
        match &self.sub_norm {
            Some(norm) => inner.fill_normed(attended, norm, Step::AttentionSubNorm, recorder),
            None => inner.fill(attended, self.heads * self.head_dim),
        }
        forward_all([(&self.o_proj, out)], inner);
        recorder.record_step(Step::O, out);
        Ok(())
    }

    /// Checks that the queries, keys and values of new tokens are finite, and that the cache can store the
    /// keys and values.
    fn check(&self, layer: usize, queries: &[f32], kv: [&[f32]; 2], cache: &dyn KvCache) -> Result<()> {
        let (first, limit, [keys, values]) = (cache.tokens_seen(), cache.largest_number(), kv);
        let [all, held] = [self.heads, self.kv_heads].map(|heads| [heads, self.head_dim]);
        check_heads(queries, all, first, f32::MAX, |head| Place::Query { layer, head })?;
        check_heads(keys, held, first, limit, |head| Place::Key { layer, head })?;
        check_heads(values, held, first, limit, |head| Place::Value { layer, head })
    }

    /// Writes the attention output for the queries `q [tokens, heads, head_dim]` to `out`, which has the same
    /// shape. Returns the statistics that `wanted` asks for, one entry per sequence and KV head.
    fn attend(
        &self,
        q: &[f32],
        layer: usize,
        rotations: &Rotations<'_>,
        sequences: &[Sequence<'_>],
        out: &mut [f32],
        wanted: Option<&Wanted>,
    ) -> Vec<Statistics> {
        let rotated: Vec<_> = sequences.iter().map(|s| rotations.keys_in_cache(s.cache, layer)).collect();
        let pairs = sequences.iter().zip(&rotated);
        let with_keys: Vec<_> =
            pairs.map(|(s, rotated)| s.kernel_sequence(layer, self.kv_heads, rotated)).collect();
        let batch = Batch {
            queries: q,
            sequences: &with_keys,
            group: self.heads / self.kv_heads,
            head_dim: self.head_dim,
            scale: 1.0 / (self.head_dim as f32).sqrt(),
        };
        attend_batch(&batch, out, wanted)
    }

    /// The linear layers.
    pub(crate) fn linears(&self) -> [&Linear; 4] {
        [&self.q_proj, &self.k_proj, &self.v_proj, &self.o_proj]
    }

    /// The linear layers, to be changed.
    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 4] {
        [&mut self.q_proj, &mut self.k_proj, &mut self.v_proj, &mut self.o_proj]
    }

    pub(crate) fn bytes(&self) -> usize {
        let norms = self.head_norms.iter().flatten().chain(&self.sub_norm);
        let linears = self.linears().into_iter().map(Linear::bytes).sum::<usize>();
        linears + norms.map(RmsNorm::bytes).sum::<usize>()
    }
}

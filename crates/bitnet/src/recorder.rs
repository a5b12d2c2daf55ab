//! The recorder, which collects the output of probes during a forward pass.

use bitkv_kernels::attention::{Statistics, Wanted};

use crate::{
    KvCache, ProbeOutput, Probes, StepNorms,
    moments::{QueryMoments, mean_cosine},
    steps::Step,
};

/// Collects what the probes of one sequence ask for.
pub(crate) struct Recorder<'a> {
    observe: Option<&'a Probes>,
    pub(crate) wanted: Option<Wanted>,
    observed: ProbeOutput,
    /// Position of the first token.
    first: usize,
    tokens: usize,
    /// The layer that runs now; `None` before the first layer and after the last.
    layer: Option<usize>,
}

impl<'a> Recorder<'a> {
    /// For `tokens` tokens, the first of them at position `first`.
    pub(crate) fn new(observe: Option<&'a Probes>, first: usize, tokens: usize) -> Self {
        let wanted = observe.and_then(|o| o.wanted(tokens));
        Recorder { observe, wanted, observed: ProbeOutput::default(), first, tokens, layer: None }
    }

    fn asks(&self, which: impl Fn(&Probes) -> bool) -> bool {
        self.observe.is_some_and(which)
    }

    /// What follows belongs to this layer; `None` behind the last.
    pub(crate) fn enter(&mut self, layer: Option<usize>) {
        self.layer = layer;
    }

    /// Whether [`Recorder::step`] does anything: results that nobody is shown need not be made.
    pub(crate) fn shows_steps(&self) -> bool {
        self.asks(|o| o.steps)
    }

    /// Whether a pass may run its tokens in blocks: nothing is asked for that is made of all of them.
    pub(crate) fn in_blocks(&self) -> bool {
        let Some(observe) = self.observe else { return true };
        let Probes { entropy, keys, values, positions, .. } = *observe;
        *observe == Probes { entropy, keys, values, positions, ..Probes::default() }
    }

    /// A step's result, `[tokens, width]`.
    pub(crate) fn step(&mut self, step: Step, values: &[f32]) {
        if self.asks(|o| o.steps) {
            self.observed.steps.push(StepNorms::new(step, self.layer, values, self.tokens));
        }
    }

    /// The residual stream in front of the first layer or behind one.
    pub(crate) fn hidden(&mut self, values: &[f32]) {
        if self.asks(|o| o.hidden) {
            self.observed.hidden.push(values.to_vec());
        }
    }

    /// The residual stream in front of a layer's attention, if it is needed behind it.
    pub(crate) fn before_attention(&self, h: &[f32]) -> Option<Vec<f32>> {
        self.asks(|o| o.residual_similarity).then(|| h.to_vec())
    }

    /// The residual stream behind a layer's attention, and what [`Recorder::before_attention`] kept.
    pub(crate) fn after_attention(&mut self, before: Option<Vec<f32>>, h: &[f32]) {
        if let Some(before) = before {
            self.observed.residual_similarity.push(mean_cosine(&before, h, h.len() / self.tokens));
        }
    }

    /// A layer's queries before RoPE, `[tokens, heads, head_dim]`.
    pub(crate) fn queries_before_rope(&mut self, q: &[f32], heads: usize) {
        for &skipped in self.observe.iter().flat_map(|o| &o.query_moments) {
            let left_out = skipped.saturating_sub(self.first);
            let left_out = if left_out < self.tokens { left_out } else { 0 };
            let rows = &q[left_out * (q.len() / self.tokens)..];
            let of_layers = self.observed.query_moments.entry(skipped).or_default();
            of_layers.extend(QueryMoments::of_heads(rows, heads, q.len() / self.tokens / heads));
        }
    }

    pub(crate) fn qkv(&mut self, q: &[f32], k: &[f32], v: &[f32]) {
        if self.asks(|o| o.qkv) {
            self.observed.queries.push(q.to_vec());
            self.observed.new_keys.push(k.to_vec());
            self.observed.new_values.push(v.to_vec());
        }
    }

    /// One layer's attention output, `[tokens, heads, head_dim]`.
    pub(crate) fn attended(&mut self, attended: &[f32]) {
        if self.asks(|o| o.attention_output) {
            self.observed.attention_output.push(attended.to_vec());
        }
    }

    /// One layer's entropies of all tokens or of the next block of them.
    fn entropy(&mut self, heads: &[Statistics]) {
        let (observed, tokens) = (&mut self.observed.entropy, self.tokens);
        let rows = heads.iter().flat_map(|s| s.entropy.chunks(s.entropy.len() / s.group()));
        let layer = self.layer.expect("statistics are a layer's");
        if observed.len() == layer {
            observed.push(rows.clone().map(|_| Vec::with_capacity(tokens)).collect());
        }
        observed[layer].iter_mut().zip(rows).for_each(|(all, row)| all.extend_from_slice(row));
    }

    /// One layer's statistics: its KV heads in order.
    pub(crate) fn statistics(&mut self, heads: &[Statistics]) {
        if self.asks(|o| o.entropy) {
            self.entropy(heads);
        }
        let (Some(observe), observed) = (self.observe, &mut self.observed) else { return };
        for head in heads {
            let group = head.group();
            if observe.accumulated {
                observed.accumulated.extend(rows(&head.accumulated, group, 1.0));
            }
            for (w, (_, sums)) in observe.windows.iter().zip(&head.windows) {
                let queries = self.tokens.min(*w) as f64;
                observed.windows.entry(*w).or_default().extend(rows(sums, group, 1.0 / queries));
            }
            for (w, rows) in observe.window_rows.iter().zip(&head.rows) {
                let of_head = rows.probabilities.chunks(rows.probabilities.len() / group);
                observed.window_rows.entry(*w).or_default().extend(of_head.map(<[f32]>::to_vec));
            }
        }
    }

    /// Returns what was recorded, or `None` if there were no probes. `cache` is the cache of the sequence
    /// after the pass.
    pub(crate) fn finish(self, cache: &dyn KvCache) -> Option<ProbeOutput> {
        let observe = self.observe?;
        let shape = cache.shape();
        let heads = || (0..shape.layers).flat_map(|layer| (0..shape.kv_heads).map(move |head| (layer, head)));
        let mut observed = self.observed;
        if observe.keys {
            observed.keys = heads().map(|(layer, head)| cache.keys_f32(layer, head)).collect();
        }
        if observe.values {
            observed.values = heads().map(|(layer, head)| cache.values_f32(layer, head)).collect();
        }
        if observe.positions {
            observed.positions = heads().map(|(l, head)| cache.view(l, head).positions.to_vec()).collect();
        }
        Some(observed)
    }
}

fn rows(sums: &[f64], group: usize, factor: f64) -> impl Iterator<Item = Vec<f32>> + '_ {
    sums.chunks(sums.len() / group).map(move |row| row.iter().map(|s| (s * factor) as f32).collect())
}

//! The recorder, which collects the output of probes during a forward pass.

use bitkv_kernels::attention::{Statistics, Wanted};

use crate::{
    KvCache, ProbeOutput, Probes, Rope, StepNorms,
    moments::{QueryMoments, mean_cosine},
    steps::Step,
};

/// Collects what the probes of one sequence ask for.
pub(crate) struct Recorder<'a> {
    probes: Option<&'a Probes>,
    /// What the attention kernel must compute for the probes.
    pub(crate) wanted: Option<Wanted>,
    output: ProbeOutput,
    /// The position of the first token.
    first: usize,
    tokens: usize,
    /// The layer that runs now; `None` before the first layer and after the last.
    layer: Option<usize>,
}

impl<'a> Recorder<'a> {
    /// Returns a recorder for a pass of `tokens` tokens, the first of them at position `first`.
    pub(crate) fn new(probes: Option<&'a Probes>, first: usize, tokens: usize) -> Self {
        let wanted = probes.and_then(|p| p.wanted(tokens));
        Recorder { probes, wanted, output: ProbeOutput::default(), first, tokens, layer: None }
    }

    fn wants(&self, which: impl Fn(&Probes) -> bool) -> bool {
        self.probes.is_some_and(which)
    }

    /// Sets the layer to which the following steps belong; `None` after the last layer.
    pub(crate) fn enter_layer(&mut self, layer: Option<usize>) {
        self.layer = layer;
    }

    /// Whether [`Recorder::record_step`] records anything. If not, the caller need not compute results only
    /// for it.
    pub(crate) fn records_steps(&self) -> bool {
        self.wants(|p| p.steps)
    }

    /// Whether a pass may run its tokens in blocks, because no probe needs all tokens at once.
    pub(crate) fn allows_blocks(&self) -> bool {
        let Some(probes) = self.probes else { return true };
        let Probes { entropy, keys, values, positions, .. } = *probes;
        *probes == Probes { entropy, keys, values, positions, ..Probes::default() }
    }

    /// Records the norms of a step's result, `[tokens, width]`.
    pub(crate) fn record_step(&mut self, step: Step, values: &[f32]) {
        if self.wants(|p| p.steps) {
            self.output.steps.push(StepNorms::new(step, self.layer, values, self.tokens));
        }
    }

    /// Records the residual stream before the first layer or after a layer.
    pub(crate) fn record_hidden(&mut self, values: &[f32]) {
        if self.wants(|p| p.hidden) {
            self.output.hidden.push(values.to_vec());
        }
    }

    /// Returns a copy of the residual stream before attention if the probe `residual_similarity` is on.
    pub(crate) fn residual_before_attention(&self, h: &[f32]) -> Option<Vec<f32>> {
        self.wants(|p| p.residual_similarity).then(|| h.to_vec())
    }

    /// Compares the residual stream after attention with the copy from
    /// [`Recorder::residual_before_attention`].
    pub(crate) fn record_residual_similarity(&mut self, before: Option<Vec<f32>>, h: &[f32]) {
        if let Some(before) = before {
            self.output.residual_similarity.push(mean_cosine(&before, h, h.len() / self.tokens));
        }
    }

    /// Records the moments of a layer's queries before RoPE, `[tokens, heads, head_dim]`.
    pub(crate) fn record_query_moments(&mut self, q: &[f32], heads: usize) {
        for &skipped in self.probes.iter().flat_map(|p| &p.query_moments) {
            let first_row = skipped.saturating_sub(self.first);
            let first_row = if first_row < self.tokens { first_row } else { 0 };
            let rows = &q[first_row * (q.len() / self.tokens)..];
            let moments = self.output.query_moments.entry(skipped).or_default();
            moments.extend(QueryMoments::from_queries(rows, heads, q.len() / self.tokens / heads));
        }
    }

    /// Records a layer's last queries after RoPE. `q` is `[tokens, heads, head_dim]`.
    pub(crate) fn record_window_queries(&mut self, q: &[f32], heads: usize) {
        for &window in self.probes.iter().flat_map(|p| &p.window_queries) {
            let width = q.len() / self.tokens;
            let head_dim = width / heads;
            let last = &q[self.tokens.saturating_sub(window) * width..];
            let of_head = |head: usize| {
                let vector = |token: &[f32]| token[head * head_dim..][..head_dim].to_vec();
                last.chunks_exact(width).flat_map(vector).collect()
            };
            self.output.window_queries.entry(window).or_default().extend((0..heads).map(of_head));
        }
    }

    /// Records a layer's queries, keys and values after RoPE.
    pub(crate) fn record_qkv(&mut self, q: &[f32], k: &[f32], v: &[f32]) {
        if self.wants(|p| p.qkv) {
            self.output.queries.push(q.to_vec());
            self.output.new_keys.push(k.to_vec());
            self.output.new_values.push(v.to_vec());
        }
    }

    /// Records a layer's attention output, `[tokens, heads, head_dim]`.
    pub(crate) fn record_attention_output(&mut self, attended: &[f32]) {
        if self.wants(|p| p.attention_output) {
            self.output.attention_output.push(attended.to_vec());
        }
    }

    /// Records the entropies of one layer, for all tokens or for the next block of them.
    fn record_entropy(&mut self, heads: &[Statistics]) {
        let (output, tokens) = (&mut self.output.entropy, self.tokens);
        let rows = heads.iter().flat_map(|s| s.entropy.chunks(s.entropy.len() / s.group()));
        let layer = self.layer.expect("statistics are a layer's");
        if output.len() == layer {
            output.push(rows.clone().map(|_| Vec::with_capacity(tokens)).collect());
        }
        output[layer].iter_mut().zip(rows).for_each(|(all, row)| all.extend_from_slice(row));
    }

    /// Records a layer's attention statistics, one entry per KV head.
    pub(crate) fn record_statistics(&mut self, heads: &[Statistics]) {
        if self.wants(|p| p.entropy) {
            self.record_entropy(heads);
        }
        let (Some(probes), output) = (self.probes, &mut self.output) else { return };
        for head in heads {
            let group = head.group();
            if probes.accumulated {
                output.accumulated.extend(scaled_rows(&head.accumulated, group, 1.0));
            }
            for (w, (_, sums)) in probes.windows.iter().zip(&head.windows) {
                let queries = self.tokens.min(*w) as f64;
                output.windows.entry(*w).or_default().extend(scaled_rows(sums, group, 1.0 / queries));
            }
            for (w, rows) in probes.window_rows.iter().zip(&head.rows) {
                let head_rows = rows.probabilities.chunks(rows.probabilities.len() / group);
                output.window_rows.entry(*w).or_default().extend(head_rows.map(<[f32]>::to_vec));
            }
        }
    }

    /// Returns what was recorded, or `None` if there were no probes. `cache` is the cache of the sequence
    /// after the pass, and `rope` has the rotary angles of the model.
    pub(crate) fn finish(self, cache: &dyn KvCache, rope: &Rope) -> Option<ProbeOutput> {
        let probes = self.probes?;
        let shape = cache.shape();
        let heads = || (0..shape.layers).flat_map(|layer| (0..shape.kv_heads).map(move |head| (layer, head)));
        let keys = |(layer, head)| match cache.has_positions_in_cache() {
            true => rope.keys_in_cache(cache, layer, head),
            false => cache.keys_f32(layer, head),
        };
        let mut output = self.output;
        if probes.keys {
            output.keys = heads().map(keys).collect();
        }
        if probes.values {
            output.values = heads().map(|(layer, head)| cache.values_f32(layer, head)).collect();
        }
        if probes.positions {
            output.positions = heads().map(|(l, head)| cache.view(l, head).positions.to_vec()).collect();
        }
        Some(output)
    }
}

/// Splits `sums [group * keys]` into `group` rows, one per query head, and multiplies them by `factor`.
fn scaled_rows(sums: &[f64], group: usize, factor: f64) -> impl Iterator<Item = Vec<f32>> + '_ {
    sums.chunks(sums.len() / group).map(move |row| row.iter().map(|s| (s * factor) as f32).collect())
}

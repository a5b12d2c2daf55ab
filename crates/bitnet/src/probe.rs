//! Probes: what a forward pass can observe while it runs.
//!
//! A caller sets fields of [`Probes`], passes it to [`Model::forward`](crate::Model::forward), and reads the
//! fields of the same name in [`ProbeOutput`]. Only `qkv` has no field of its name: it fills `queries`,
//! `new_keys` and `new_values`.

use std::collections::BTreeMap;

use bitkv_kernels::attention::Wanted;

use crate::{Error, QueryMoments, Result, StepNorms};

/// What a forward pass should observe. A probe costs time only if it is on.
///
/// If only `entropy`, `keys`, `values` and `positions` are on, a long prompt still runs in blocks. Every
/// other probe needs all tokens at once, and so more memory: see
/// [`Model::activation_bytes`](crate::Model::activation_bytes).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Probes {
    /// The entropy of the attention of every query.
    pub entropy: bool,
    /// The attention that each key receives, summed over the queries of this call.
    pub accumulated: bool,
    /// For each `w`, the mean attention that each key receives from the last `w` queries of this call.
    pub windows: Vec<usize>,
    /// For each `w`, the attention of each of the last `w` queries of this call.
    pub window_rows: Vec<usize>,
    /// For each `w`, the last `w` queries of this call, after RoPE.
    pub window_queries: Vec<usize>,
    /// The keys in the cache after the pass, as f32.
    pub keys: bool,
    /// The values in the cache after the pass, as f32.
    pub values: bool,
    /// The original positions of the tokens in the cache after the pass.
    pub positions: bool,
    /// Hidden states before the first layer and after each layer.
    pub hidden: bool,
    /// Norms of every step of every layer.
    pub steps: bool,
    /// The queries, keys and values of this call, after RoPE.
    pub qkv: bool,
    /// The mean and covariance of this call's queries before RoPE. They are computed once for each number `s`
    /// in the list, without the queries at positions below `s`.
    pub query_moments: Vec<usize>,
    /// The cosine similarity of the residual stream before and after attention.
    pub residual_similarity: bool,
    /// The output of attention before the sub-norm.
    pub attention_output: bool,
}

impl Probes {
    /// Checks that no window is empty.
    pub(crate) fn check(&self) -> Result<()> {
        let windows = self.windows.iter().chain(&self.window_rows).chain(&self.window_queries);
        let empty = windows.copied().find(|w| *w == 0);
        empty.map_or(Ok(()), |w| Err(Error::EmptyWindow(w)))
    }

    /// Returns what the attention kernel must compute for `tokens` queries; `None` if no probe needs the
    /// kernel.
    pub(crate) fn wanted(&self, tokens: usize) -> Option<Wanted> {
        let starts = |windows: &[usize]| windows.iter().map(|w| tokens.saturating_sub(*w)).collect();
        let wanted = Wanted {
            entropy: self.entropy,
            accumulated: self.accumulated,
            largest: false,
            windows: starts(&self.windows),
            rows: starts(&self.window_rows),
        };
        (wanted != Wanted::default()).then_some(wanted)
    }
}

/// What one forward pass observed. Fields whose probe was off are empty.
///
/// Heads are query heads unless a field says KV heads. A row of `keys` entries has one entry for each token
/// that the KV head of the head holds after the pass; `positions` lists these tokens. Rows of different heads
/// may differ in length.
#[derive(Clone, Debug, Default)]
pub struct ProbeOutput {
    /// The entropy of attention in bits, `[layers][query_heads][queries]`. Probabilities up to 1e-10 are left
    /// out of the sum.
    pub entropy: Vec<Vec<Vec<f32>>>,
    /// The attention probability of each key, summed over queries, `[layers * query_heads][keys]`.
    pub accumulated: Vec<Vec<f32>>,
    /// For each window length `w`, the mean probability over the last `min(w, queries)` queries,
    /// `[layers * query_heads][keys]`.
    pub windows: BTreeMap<usize, Vec<Vec<f32>>>,
    /// For each window length `w`, the probabilities of the last `min(w, queries)` queries, oldest first,
    /// `[layers * query_heads][queries * keys]`. They are 0 for keys that a query does not see.
    pub window_rows: BTreeMap<usize, Vec<Vec<f32>>>,
    /// For each window length `w`, the last `min(w, queries)` queries after RoPE, oldest first,
    /// `[layers * query_heads][queries * head_dim]`.
    pub window_queries: BTreeMap<usize, Vec<Vec<f32>>>,
    /// Keys as the cache holds them, after RoPE, `[layers * kv_heads][keys * head_dim]`.
    pub keys: Vec<Vec<f32>>,
    /// Values as the cache holds them, `[layers * kv_heads][keys * head_dim]`.
    pub values: Vec<Vec<f32>>,
    /// Original positions, ascending, `[layers * kv_heads][keys]`.
    pub positions: Vec<Vec<u32>>,
    /// Hidden states, `[layers + 1][tokens * hidden]`: the embedding, then the output of each layer before
    /// the final norm.
    pub hidden: Vec<Vec<f32>>,
    /// The norms of every step, in the order of the pass.
    pub steps: Vec<StepNorms>,
    /// Queries after RoPE, `[layers][tokens * query_heads * head_dim]`.
    pub queries: Vec<Vec<f32>>,
    /// This call's keys after RoPE, before the cache rounds them, `[layers][tokens * kv_heads * head_dim]`.
    pub new_keys: Vec<Vec<f32>>,
    /// This call's values, before the cache rounds them, `[layers][tokens * kv_heads * head_dim]`.
    pub new_values: Vec<Vec<f32>>,
    /// For each `s`, the moments of this call's queries at positions `s ..`, `[layers * query_heads]`. If no
    /// query is at such a position, they are the moments of all queries of the call.
    pub query_moments: BTreeMap<usize, Vec<QueryMoments>>,
    /// The cosine between the residual stream before and after the attention block, averaged over the tokens
    /// of this call, in -1 ..= 1, `[layers]`. SqueezeAttention (arXiv 2404.04793, section 3) ranks layers by
    /// this cosine.
    pub residual_similarity: Vec<f64>,
    /// The output of attention before the sub-norm and the output projection,
    /// `[layers][tokens * query_heads * head_dim]`.
    pub attention_output: Vec<Vec<f32>>,
}

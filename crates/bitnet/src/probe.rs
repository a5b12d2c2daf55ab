//! What a caller can learn about a forward pass while it happens.

use std::collections::BTreeMap;

use bitkv_kernels::attention::Wanted;

use crate::{Error, QueryMoments, Result, StepNorms};

/// Which observations a forward pass should make. Each costs time only when asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Probes {
    /// Entropy of every query's attention.
    pub entropy: bool,
    /// Attention summed over the queries of this call, per key.
    pub accumulated: bool,
    /// Mean attention of the last `w` queries of this call per key, for each `w`.
    pub windows: Vec<usize>,
    /// Attention of the last `w` queries of this call one by one, for each `w`.
    pub window_rows: Vec<usize>,
    /// Keys as f32.
    pub keys: bool,
    /// Values as f32.
    pub values: bool,
    /// Original positions of the tokens held.
    pub positions: bool,
    /// Hidden states in front of the first layer and after each one.
    pub hidden: bool,
    /// Norms of every step of every layer.
    pub steps: bool,
    /// This call's queries, keys and values, after RoPE.
    pub qkv: bool,
    /// Mean and covariance of this call's queries before RoPE, for each number of first positions left out.
    pub query_moments: Vec<usize>,
    /// How little attention turns the residual stream.
    pub residual_similarity: bool,
    /// What attention gives to the sub-norm.
    pub attention_output: bool,
}

impl Probes {
    pub(crate) fn check(&self) -> Result<()> {
        let empty = self.windows.iter().chain(&self.window_rows).find(|w| **w == 0);
        empty.map_or(Ok(()), |w| Err(Error::EmptyWindow(*w)))
    }

    /// What the kernel must compute for `tokens` queries.
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

/// Observations of one forward pass; what was not asked for is empty. Heads are query heads unless named otherwise;
/// per-key rows run over the tokens that the head's KV head holds after the pass (`positions` names them), so
/// rows of different heads may have different lengths.
#[derive(Clone, Debug, Default)]
pub struct ProbeOutput {
    /// Bits, `[layers][query_heads][queries]`; terms with p <= 1e-10 are dropped.
    pub entropy: Vec<Vec<Vec<f32>>>,
    /// Summed probability, `[layers * query_heads][keys]`.
    pub accumulated: Vec<Vec<f32>>,
    /// For each window length, mean probability over the last `min(w, queries)` queries, `[layers * query_heads][keys]`.
    pub windows: BTreeMap<usize, Vec<Vec<f32>>>,
    /// For each window length, probabilities of the last `min(w, queries)` queries, the oldest first,
    /// `[layers * query_heads][queries * keys]`; 0 where a query does not see a key.
    pub window_rows: BTreeMap<usize, Vec<Vec<f32>>>,
    /// Keys as the cache holds them, after RoPE, `[layers * kv_heads][keys * head_dim]`.
    pub keys: Vec<Vec<f32>>,
    /// Values as the cache holds them, `[layers * kv_heads][keys * head_dim]`.
    pub values: Vec<Vec<f32>>,
    /// Original positions, ascending, `[layers * kv_heads][keys]`.
    pub positions: Vec<Vec<u32>>,
    /// `[layers + 1][tokens * hidden]`: the embedding, then the output of each layer before the final norm.
    pub hidden: Vec<Vec<f32>>,
    /// Every step in the order it was taken.
    pub steps: Vec<StepNorms>,
    /// Queries after RoPE, `[layers][tokens * query_heads * head_dim]`.
    pub queries: Vec<Vec<f32>>,
    /// This call's keys after RoPE, before the cache rounds them, `[layers][tokens * kv_heads * head_dim]`.
    pub new_keys: Vec<Vec<f32>>,
    /// This call's values, before the cache rounds them, `[layers][tokens * kv_heads * head_dim]`.
    pub new_values: Vec<Vec<f32>>,
    /// For each number `s` of positions left out, the moments of this call's queries at positions `s ..`, of all its
    /// queries where none are left, `[layers * query_heads]`.
    pub query_moments: BTreeMap<usize, Vec<QueryMoments>>,
    /// Cosine between the residual stream in front of and behind the attention block, mean over this call's tokens,
    /// in -1 ..= 1, `[layers]`. SqueezeAttention (arXiv 2404.04793), section 3, ranks layers by it.
    pub residual_similarity: Vec<f64>,
    /// Attention output before the sub-norm and the output projection, `[layers][tokens * query_heads * head_dim]`.
    pub attention_output: Vec<Vec<f32>>,
}

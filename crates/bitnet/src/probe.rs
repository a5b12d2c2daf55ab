//! What a caller can learn about attention while it happens.

use std::collections::BTreeMap;

use bitkv_kernels::attention::{Statistics, Wanted};
use candle_core::Tensor;

use crate::{Error, Result};

/// Which observations a forward pass should make. Each costs time only when asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observe {
    /// Entropy of every query's attention.
    pub entropy: bool,
    /// Attention summed over the queries of this call, per key.
    pub accumulated: bool,
    /// Mean attention of the last `w` queries of this call per key, for each `w`.
    pub windows: Vec<usize>,
    /// Keys as f32.
    pub keys: bool,
    /// Hidden states in front of the first layer and after each one.
    pub hidden: bool,
}

impl Observe {
    pub(crate) fn check(&self) -> Result<()> {
        self.windows.iter().find(|w| **w == 0).map_or(Ok(()), |w| Err(Error::EmptyWindow(*w)))
    }

    /// What the kernel must compute for `tokens` queries.
    pub(crate) fn wanted(&self, tokens: usize) -> Option<Wanted> {
        let windows = self.windows.iter().map(|w| tokens.saturating_sub(*w)).collect();
        let wanted = Wanted { entropy: self.entropy, accumulated: self.accumulated, windows };
        (wanted != Wanted::default()).then_some(wanted)
    }
}

/// Observations of one forward pass. Heads are query heads unless named otherwise; per-key rows run over the
/// tokens that the head's KV head holds after the pass (their positions are in the cache), so rows of
/// different heads may have different lengths.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Bits, `[layers][query_heads][queries]`; terms with p <= 1e-10 are dropped.
    pub entropy: Vec<Vec<Vec<f32>>>,
    /// Summed probability, `[layers * query_heads][keys]`.
    pub accumulated: Vec<Vec<f32>>,
    /// For each window length, mean probability over the last `min(w, queries)` queries, `[layers * query_heads][keys]`.
    pub windows: BTreeMap<usize, Vec<Vec<f32>>>,
    /// Keys after RoPE, `[layers * kv_heads][keys * head_dim]`.
    pub keys: Vec<Vec<f32>>,
    /// `[layers + 1]` tensors `[tokens, hidden]`: the embedding, then the output of each layer before the final norm.
    pub hidden: Vec<Tensor>,
}

impl Observed {
    /// Adds one layer: the statistics of its KV heads in order.
    pub(crate) fn add_layer(&mut self, observe: &Observe, tokens: usize, heads: &[Statistics]) {
        if observe.entropy {
            let rows = heads.iter().flat_map(|s| s.entropy.chunks(tokens).map(<[f32]>::to_vec));
            self.entropy.push(rows.collect());
        }
        for head in heads {
            let group = head.group();
            if observe.accumulated {
                self.accumulated.extend(rows(&head.accumulated, group, 1.0));
            }
            for (w, (_, sums)) in observe.windows.iter().zip(&head.windows) {
                let queries = tokens.min(*w) as f64;
                self.windows.entry(*w).or_default().extend(rows(sums, group, 1.0 / queries));
            }
        }
    }
}

fn rows(sums: &[f64], group: usize, factor: f64) -> impl Iterator<Item = Vec<f32>> + '_ {
    sums.chunks(sums.len() / group).map(move |row| row.iter().map(|s| (s * factor) as f32).collect())
}

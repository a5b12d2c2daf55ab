//! What a caller can learn about a forward pass while it happens.

use std::collections::BTreeMap;

use bitkv_kernels::attention::{Statistics, Wanted};

use crate::{Error, Result, StepNorms, steps::Step};

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
    /// Norms of every step of every layer.
    pub steps: bool,
    /// This call's queries, keys and values, after RoPE.
    pub qkv: bool,
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
}

/// Takes down what a forward pass shows it.
pub(crate) struct Recorder<'a> {
    observe: Option<&'a Observe>,
    pub(crate) wanted: Option<Wanted>,
    observed: Observed,
    tokens: usize,
    layer: Option<usize>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(observe: Option<&'a Observe>, tokens: usize) -> Self {
        let wanted = observe.and_then(|o| o.wanted(tokens));
        Recorder { observe, wanted, observed: Observed::default(), tokens, layer: None }
    }

    fn asks(&self, which: impl Fn(&Observe) -> bool) -> bool {
        self.observe.is_some_and(which)
    }

    pub(crate) fn asks_keys(&self) -> bool {
        self.asks(|o| o.keys)
    }

    /// What follows belongs to this layer; `None` behind the last.
    pub(crate) fn enter(&mut self, layer: Option<usize>) {
        self.layer = layer;
    }

    /// A step's result, `[tokens, width]`.
    pub(crate) fn step(&mut self, step: Step, values: &[f32]) {
        if self.asks(|o| o.steps) {
            self.observed.steps.push(StepNorms::of(step, self.layer, values, self.tokens));
        }
    }

    /// The residual stream in front of the first layer or behind one.
    pub(crate) fn hidden(&mut self, values: &[f32]) {
        if self.asks(|o| o.hidden) {
            self.observed.hidden.push(values.to_vec());
        }
    }

    pub(crate) fn qkv(&mut self, q: &[f32], k: &[f32], v: &[f32]) {
        if self.asks(|o| o.qkv) {
            self.observed.queries.push(q.to_vec());
            self.observed.new_keys.push(k.to_vec());
            self.observed.new_values.push(v.to_vec());
        }
    }

    /// One layer's statistics: its KV heads in order.
    pub(crate) fn statistics(&mut self, heads: &[Statistics]) {
        let (Some(observe), observed) = (self.observe, &mut self.observed) else { return };
        if observe.entropy {
            let rows = heads.iter().flat_map(|s| s.entropy.chunks(self.tokens).map(<[f32]>::to_vec));
            observed.entropy.push(rows.collect());
        }
        for head in heads {
            let group = head.group();
            if observe.accumulated {
                observed.accumulated.extend(rows(&head.accumulated, group, 1.0));
            }
            for (w, (_, sums)) in observe.windows.iter().zip(&head.windows) {
                let queries = self.tokens.min(*w) as f64;
                observed.windows.entry(*w).or_default().extend(rows(sums, group, 1.0 / queries));
            }
        }
    }

    /// What was seen; `None` if nothing was asked for.
    pub(crate) fn finish(self, keys: Vec<Vec<f32>>) -> Option<Observed> {
        self.observe.map(|_| Observed { keys, ..self.observed })
    }
}

fn rows(sums: &[f64], group: usize, factor: f64) -> impl Iterator<Item = Vec<f32>> + '_ {
    sums.chunks(sums.len() / group).map(move |row| row.iter().map(|s| (s * factor) as f32).collect())
}

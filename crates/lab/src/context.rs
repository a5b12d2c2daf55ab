//! One prefill that serves every policy and budget.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use bitkv_bitnet::{Cache, KvCache, Observe, Observed};
use bitkv_evict::{Needs, Observation, Plan, Shape};
use bitkv_stats::argmax;

use crate::Subject;

/// A context in the cache, what was observed while it was read, and what full attention makes of its
/// continuation.
pub struct Context<'a> {
    subject: &'a Subject,
    tokens: usize,
    cache: Cache,
    observed: Observed,
    /// Attention of the continuation's queries on the context, `[layers * query_heads][tokens]`; the oracle's view.
    future: Vec<Vec<f32>>,
    continuation: Vec<u32>,
    /// Logits after each token of the continuation under full attention, `[continuation][vocabulary]`.
    reference: Vec<Vec<f32>>,
}

/// What a prefill must observe for a policy that needs `needs`.
pub fn observe(needs: &Needs) -> Observe {
    let mut windows: Vec<usize> = needs.windows.iter().copied().collect();
    // The last query's own row is what the published metric is computed on.
    if !windows.contains(&1) {
        windows.push(1);
    }
    Observe { accumulated: needs.accumulated, windows, keys: needs.keys, ..Observe::default() }
}

/// What a policy may look at after a prefill of `tokens`; `future` is the oracle's view, `entropy` the
/// calibrated profile, both `[layers * query_heads]` or empty.
pub fn observation<'b>(
    subject: &Subject,
    tokens: usize,
    observed: &'b Observed,
    future: &'b [Vec<f32>],
    entropy: &'b [f64],
) -> Observation<'b> {
    fn rows(rows: &[Vec<f32>]) -> Vec<&[f32]> {
        rows.iter().map(Vec::as_slice).collect()
    }
    let windows: BTreeMap<usize, Vec<&[f32]>> =
        observed.windows.iter().map(|(&length, of_heads)| (length, rows(of_heads))).collect();
    Observation {
        shape: shape(subject, tokens),
        keys: rows(&observed.keys),
        accumulated: rows(&observed.accumulated),
        windows,
        future: rows(future),
        entropy,
    }
}

fn shape(subject: &Subject, tokens: usize) -> Shape {
    let config = subject.config();
    Shape {
        layers: config.num_hidden_layers,
        query_heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        tokens,
        head_dim: config.head_dim,
    }
}

/// What the continuation gave through a cache.
#[derive(Clone, Debug)]
pub struct Continued {
    /// Logits after each token of the continuation.
    pub logits: Vec<Vec<f32>>,
    /// Bytes of the cache when the continuation began.
    pub bytes: u64,
}

impl Continued {
    /// The most likely token after each token of the continuation.
    pub fn predictions(&self) -> Vec<usize> {
        self.logits.iter().map(|row| argmax(row).unwrap_or(usize::MAX)).collect()
    }
}

impl<'a> Context<'a> {
    /// Reads `context`, observing what `needs` asks for, then `continuation` with full attention.
    ///
    /// # Errors
    /// When either is empty or the model refuses them.
    pub fn read(
        subject: &'a Subject,
        context: &[u32],
        continuation: &[u32],
        needs: &Needs,
    ) -> Result<Context<'a>> {
        ensure!(!continuation.is_empty(), "a continuation needs tokens");
        let mut context = Context::observe(subject, context, needs)?;
        context.continuation = continuation.to_vec();
        let mut full = context.cache.clone();
        let look = needs.future.then(|| Observe { accumulated: true, ..Observe::default() });
        let (logits, observed) = context.forward(&mut full, look.as_ref())?;
        context.reference = logits;
        context.future = observed.map(|o| o.accumulated).unwrap_or_default();
        context.future.iter_mut().for_each(|row| row.truncate(context.tokens));
        Ok(context)
    }

    /// Reads `context` only: enough to plan, nothing to score.
    ///
    /// # Errors
    /// When it is empty or the model refuses it.
    pub fn observe(subject: &'a Subject, context: &[u32], needs: &Needs) -> Result<Context<'a>> {
        let mut cache = subject.model.new_cache();
        let observe = observe(needs);
        let output = subject.model.forward(context, &mut cache, Some(&observe))?;
        Ok(Context {
            subject,
            tokens: context.len(),
            cache,
            observed: output.observed.unwrap_or_default(),
            future: Vec::new(),
            continuation: Vec::new(),
            reference: Vec::new(),
        })
    }

    /// What a policy may look at; `entropy` is the calibrated profile, `[layers * query_heads]`.
    pub fn observation<'b>(&'b self, entropy: &'b [f64]) -> Observation<'b> {
        observation(self.subject, self.tokens, &self.observed, &self.future, entropy)
    }

    /// The extent of the cache.
    pub fn shape(&self) -> Shape {
        shape(self.subject, self.tokens)
    }

    /// The last query's attention, `[layers * query_heads][tokens]`.
    pub fn last_rows(&self) -> &[Vec<f32>] {
        self.observed.windows.get(&1).map_or(&[], Vec::as_slice)
    }

    /// Logits after each token of the continuation under full attention.
    pub fn reference(&self) -> &[Vec<f32>] {
        &self.reference
    }

    /// Tokens of the continuation.
    pub fn continuation(&self) -> &[u32] {
        &self.continuation
    }

    /// Bytes of the whole context in the cache.
    pub fn full_bytes(&self) -> u64 {
        self.cache.bytes() as u64
    }

    /// Runs the continuation through a copy of the cache that keeps `plan` only.
    ///
    /// # Errors
    /// When the plan is not of this cache.
    pub fn continue_with(&self, plan: &Plan) -> Result<Continued> {
        let mut cache = self.cache.clone();
        cache.keep(&|layer, head| plan.kept(layer, head).to_vec())?;
        let bytes = cache.bytes() as u64;
        Ok(Continued { logits: self.forward(&mut cache, None)?.0, bytes })
    }

    fn forward(
        &self,
        cache: &mut Cache,
        observe: Option<&Observe>,
    ) -> Result<(Vec<Vec<f32>>, Option<Observed>)> {
        let model = &self.subject.model;
        let output = model.forward(&self.continuation, cache, observe)?;
        Ok((model.logits(&output.hidden)?.to_vec2()?, output.observed))
    }
}

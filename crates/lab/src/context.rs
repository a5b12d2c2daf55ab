//! A [`Context`] is one prefill that serves every policy and budget that evicts after the prefill.

mod snapshot;

use bitkv_bitnet::{Cache, KvCache, ProbeOutput, Probes};
use bitkv_evict::{Need, Needs, Plan, Shape};
use bitkv_models::LoadedModel;
use bitkv_stats::argmax;

use crate::{
    Result,
    error::ensure,
    logits::Logits,
    observation::{self, Calibration, OwnedObservation},
};

/// A context in the cache, the observation that policies read, and the logits of the continuation under full
/// attention.
pub struct Context<'a> {
    loaded: &'a LoadedModel,
    tokens: Vec<u32>,
    cache: Cache,
    observation: OwnedObservation,
    continuation: Vec<u32>,
    /// The logits after each token of the continuation under full attention.
    reference: Logits,
    /// What was observed of full attention on the continuation; empty unless asked for.
    probed_continuation: ProbeOutput,
}

/// The result of running the continuation through a compressed cache.
#[derive(Clone, Debug)]
pub struct Continued {
    /// The logits after each token of the continuation.
    pub logits: Logits,
    /// The size of the cache in bytes when the continuation began.
    pub bytes: u64,
}

impl Continued {
    /// Returns the most likely token after each token of the continuation.
    pub fn predictions(&self) -> Vec<usize> {
        self.logits.rows().map(|row| argmax(row).unwrap_or(usize::MAX)).collect()
    }
}

impl<'a> Context<'a> {
    /// Reads `context` and observes what `needs` asks for, then reads `continuation` with full attention and
    /// keeps what `continuation_probes` asks for.
    ///
    /// # Errors
    /// Returns an error if either is empty or the model refuses them.
    pub fn read(
        loaded: &'a LoadedModel,
        context: &[u32],
        continuation: &[u32],
        needs: &Needs,
        calibration: &Calibration,
        continuation_probes: &Probes,
    ) -> Result<Context<'a>> {
        let mut context = Context::observe(loaded, context, needs, calibration)?;
        context.read_continuation(continuation, needs, continuation_probes)?;
        Ok(context)
    }

    /// Reads `continuation` with full attention after the context, and keeps what `probes` asks for.
    ///
    /// # Errors
    /// Returns an error if the continuation is empty or the model refuses it.
    pub fn read_continuation(&mut self, continuation: &[u32], needs: &Needs, probes: &Probes) -> Result<()> {
        ensure!(Unfit, !continuation.is_empty(), "the continuation is empty: give at least one token");
        self.continuation = continuation.to_vec();
        let probes = Probes { accumulated: needs.contains(Need::Future), ..probes.clone() };
        let (mut full, model) = (self.cache.clone(), &self.loaded.model);
        let output = model.forward(continuation, &mut full, Some(&probes))?;
        self.reference = Logits::from_tensor(&model.logits(&output.hidden)?)?;
        self.probed_continuation = output.probed.unwrap_or_default();
        if needs.contains(Need::Future) {
            let mut future = std::mem::take(&mut self.probed_continuation.accumulated);
            future.iter_mut().for_each(|row| row.truncate(self.tokens.len()));
            self.observation.insert(Need::Future, future);
        }
        Ok(())
    }

    /// Returns the cache and the observation as bytes for [`Context::from_snapshot`]; `None` if they cannot
    /// be stored exactly.
    pub(crate) fn snapshot(&self) -> Option<Vec<u8>> {
        snapshot::encode(&self.cache, &self.observation)
    }

    /// Returns the context that [`Context::snapshot`] made bytes of; `None` if they do not fit. Policies saw
    /// `seen`, `needs` were observed, and the cache holds the first `held` tokens.
    pub(crate) fn from_snapshot(
        bytes: &[u8],
        loaded: &'a LoadedModel,
        seen: &[u32],
        held: usize,
        needs: &Needs,
        calibration: &Calibration,
    ) -> Option<Context<'a>> {
        let (cache, observation) = snapshot::decode(bytes, loaded, (seen.len(), held), needs, calibration)?;
        Some(Context::prefilled(loaded, seen, cache, observation))
    }

    fn prefilled(
        loaded: &'a LoadedModel,
        tokens: &[u32],
        cache: Cache,
        observation: OwnedObservation,
    ) -> Self {
        Context {
            loaded,
            tokens: tokens.to_vec(),
            cache,
            observation,
            continuation: Vec::new(),
            reference: Logits::default(),
            probed_continuation: ProbeOutput::default(),
        }
    }

    /// Reads `context` only, which is enough to plan. There is no continuation to score.
    ///
    /// # Errors
    /// Returns an error if the context is empty or the model refuses it.
    pub fn observe(
        loaded: &'a LoadedModel,
        context: &[u32],
        needs: &Needs,
        calibration: &Calibration,
    ) -> Result<Context<'a>> {
        let mut cache = loaded.model.new_cache();
        // The published attention metric is computed on the attention of the last query.
        let needs = needs.clone().union([Need::Window(1)].into());
        let probes = observation::probes_for(&needs);
        let probed = loaded.model.forward(context, &mut cache, Some(&probes))?.probed.unwrap_or_default();
        let observation = OwnedObservation::gather(loaded, context.len(), probed, &needs, calibration);
        let mut context = Context::prefilled(loaded, context, cache, observation);
        context.repeat(&needs)?;
        Ok(context)
    }

    /// Repeats the context as KVzip does and observes the attention, if `needs` asks for it.
    ///
    /// # Errors
    /// Returns an error if the context cannot be repeated; see [`crate::reconstruction::attention`].
    pub fn repeat(&mut self, needs: &Needs) -> Result<()> {
        self.observation.reconstruct(self.loaded, &self.cache, &self.tokens, needs)
    }

    /// Shortens the cache to the first `tokens` tokens by reading them again. The observation stays as it is.
    ///
    /// # Errors
    /// Returns an error if the model refuses the tokens.
    pub fn rewind(&mut self, tokens: usize) -> Result<()> {
        self.cache = self.loaded.model.new_cache();
        self.loaded.model.forward(&self.tokens[..tokens], &mut self.cache, None)?;
        Ok(())
    }

    /// Observes, for oracles, the attention that each of several sequences pays to the context when it is
    /// read directly after it. The attention of all sequences is summed.
    ///
    /// # Errors
    /// Returns an error if the model refuses one of the sequences.
    pub fn observe_future(&mut self, sequences: &[Vec<u32>]) -> Result<()> {
        let probes = Probes { accumulated: true, ..Probes::default() };
        let mut future = vec![vec![0.0f32; self.tokens.len()]; self.shape().all_query_heads()];
        for tokens in sequences {
            let output = self.loaded.model.forward(tokens, &mut self.cache.clone(), Some(&probes))?;
            let accumulated = output.probed.unwrap_or_default().accumulated;
            for (sum, row) in future.iter_mut().zip(&accumulated) {
                // The rows also have columns for the sequence's own tokens, which are not in the cache that
                // is compressed.
                let held = self.cache.tokens_seen();
                sum.iter_mut().zip(row).take(held).for_each(|(sum, p)| *sum += p);
            }
        }
        self.observation.insert(Need::Future, future);
        Ok(())
    }

    /// Returns the observation that policies read.
    pub fn observation(&self) -> &OwnedObservation {
        &self.observation
    }

    /// Returns the model.
    pub fn loaded(&self) -> &'a LoadedModel {
        self.loaded
    }

    /// Returns the tokens of the context.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Returns the shape of the cache.
    pub fn shape(&self) -> Shape {
        self.observation.shape()
    }

    /// Returns the attention of the last query, `[layers * query_heads][tokens]`.
    pub fn last_query_attention(&self) -> &[Vec<f32>] {
        self.observation.rows(Need::Window(1))
    }

    /// Returns the logits after each token of the continuation under full attention.
    pub fn reference(&self) -> &Logits {
        &self.reference
    }

    /// Returns what was observed of full attention on the continuation; empty unless [`Context::read`] was
    /// asked for it.
    pub fn probed_continuation(&self) -> &ProbeOutput {
        &self.probed_continuation
    }

    /// Returns the tokens of the continuation.
    pub fn continuation(&self) -> &[u32] {
        &self.continuation
    }

    /// Returns the cache of the whole context.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Returns the size in bytes of the cache of the whole context.
    pub fn full_bytes(&self) -> u64 {
        self.cache.bytes() as u64
    }

    /// Returns a copy of the cache that keeps only the positions of `plan`.
    ///
    /// # Errors
    /// Returns an error if the plan does not fit this cache.
    pub fn compressed_cache(&self, plan: &Plan) -> Result<Cache> {
        Ok(self.cache.kept_copy(&|layer, head| plan.kept(layer, head).to_vec())?)
    }

    /// Runs the continuation through a copy of the cache that keeps only the positions of `plan`.
    ///
    /// # Errors
    /// Returns an error if the plan does not fit this cache.
    pub fn continue_with(&self, plan: &Plan) -> Result<Continued> {
        let mut cache = self.compressed_cache(plan)?;
        let bytes = cache.bytes() as u64;
        let model = &self.loaded.model;
        let output = model.forward(&self.continuation, &mut cache, None)?;
        Ok(Continued { logits: Logits::from_tensor(&model.logits(&output.hidden)?)?, bytes })
    }
}

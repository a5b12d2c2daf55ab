//! The observation that policies read, gathered from forward passes.
//!
//! A policy of `bitkv-evict` declares its needs. [`probes_for`] says what a forward pass must record for
//! them, and [`OwnedObservation::gather`] turns the recorded [`ProbeOutput`] and the [`Calibration`] into an
//! [`OwnedObservation`], whose [`view`](OwnedObservation::view) is the `Observation` that the policy plans
//! from.

use std::collections::BTreeMap;

use bitkv_bitnet::{Cache, ProbeOutput, Probes, QueryMoments};
use bitkv_evict::{Need, Needs, Observation, Shape};
use bitkv_models::LoadedModel;

use crate::{Result, reconstruction};

/// Numbers about heads that come from calibration texts or from files: entropies, head scores and head
/// patterns.
pub type Calibration = BTreeMap<Need, Vec<f64>>;

/// An [`Observation`] that owns its data.
#[derive(Clone, Debug)]
pub struct OwnedObservation {
    shape: Shape,
    /// The positions that each KV head holds, `[layers * kv_heads][held]`; empty if every head holds all of
    /// them.
    positions: Vec<Vec<u32>>,
    rope_theta: f64,
    rows: BTreeMap<Need, Vec<Vec<f32>>>,
    numbers: Calibration,
}

/// What a forward pass must observe for a policy that needs `needs`.
pub fn observe(needs: &Needs) -> Probes {
    let mut observe = Probes { positions: true, ..Probes::default() };
    for need in needs.iter() {
        match need {
            Need::Keys => observe.keys = true,
            Need::Values | Need::OutputNorms | Need::SubNormOutputNorms => observe.values = true,
            Need::Accumulated => observe.accumulated = true,
            Need::Window(window) => observe.windows.push(window),
            Need::WindowRows(window) => observe.window_rows.push(window),
            Need::QueryMoments(skipped) => observe.query_moments.push(skipped),
            Need::ResidualSimilarity => observe.residual_similarity = true,
            // From a pass of its own, from the continuation, or from a file.
            Need::Reconstruction | Need::Future | Need::Entropy | Need::HeadScores | Need::HeadPattern => {}
        }
    }
    observe
}

/// Returns the shape of a model's cache after `tokens` tokens.
pub fn shape(loaded: &LoadedModel, tokens: usize) -> Shape {
    let config = loaded.config();
    Shape {
        layers: config.num_hidden_layers,
        query_heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        tokens,
        head_dim: config.head_dim,
    }
}

impl OwnedObservation {
    /// Returns an observation without rows, of a cache whose heads hold all tokens.
    pub fn new(shape: Shape, rope_theta: f64) -> OwnedObservation {
        let (rows, numbers) = (BTreeMap::new(), BTreeMap::new());
        OwnedObservation { shape, positions: Vec::new(), rope_theta, rows, numbers }
    }

    /// Returns the observation of a forward pass that ended after `tokens` tokens and recorded `probed`, as
    /// far as `needs` asks for it. [`OwnedObservation::insert`] adds the results of other passes.
    pub fn gather(
        loaded: &LoadedModel,
        tokens: usize,
        observed: ProbeOutput,
        needs: &Needs,
        numbers: &Calibration,
    ) -> OwnedObservation {
        let mut observation = OwnedObservation::new(shape(loaded, tokens), loaded.config().rope_theta);
        if observed.positions.iter().any(|positions| positions.len() < tokens) {
            observation.positions = observed.positions;
        }
        for (need, with_sub_norm) in [(Need::OutputNorms, false), (Need::SubNormOutputNorms, true)] {
            if needs.contains(need) {
                let norms = loaded.model.value_output_norms(&observed.values, with_sub_norm);
                observation.insert(need, norms);
            }
        }
        observation.insert(Need::Keys, observed.keys);
        observation.insert(Need::Values, observed.values);
        observation.insert(Need::Accumulated, observed.accumulated);
        for (window, rows) in observed.windows {
            observation.insert(Need::Window(window), rows);
        }
        for (window, rows) in observed.window_rows {
            observation.insert(Need::WindowRows(window), rows);
        }
        for (skipped, heads) in observed.query_moments {
            observation.insert(Need::QueryMoments(skipped), heads.into_iter().map(moments).collect());
        }
        observation.numbers = numbers.clone();
        if !observed.residual_similarity.is_empty() {
            observation.numbers.insert(Need::ResidualSimilarity, observed.residual_similarity);
        }
        observation
    }

    /// Adds the attention of KVzip's repetition of `context`, if `needs` asks for it. `cache` must hold the
    /// whole context.
    ///
    /// # Errors
    /// Returns an error if the context cannot be repeated; see [`reconstruction::attention`].
    pub fn reconstruct(
        &mut self,
        loaded: &LoadedModel,
        cache: &Cache,
        context: &[u32],
        needs: &Needs,
    ) -> Result<()> {
        if needs.contains(Need::Reconstruction) {
            self.insert(Need::Reconstruction, reconstruction::attention(loaded, cache, context)?);
        }
        Ok(())
    }

    /// Returns the same observation with another calibration.
    #[must_use]
    pub fn with_numbers(self, numbers: Calibration) -> OwnedObservation {
        OwnedObservation { numbers, ..self }
    }

    /// Adds or replaces the rows of a need.
    pub fn insert(&mut self, need: Need, rows: Vec<Vec<f32>>) {
        self.rows.insert(need, rows);
    }

    /// Returns the rows of a need; empty if it was not observed.
    pub fn rows(&self, need: Need) -> &[Vec<f32>] {
        self.rows.get(&need).map_or(&[], Vec::as_slice)
    }

    /// Returns the shape of the cache.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the borrowed form that a policy plans from.
    pub fn view(&self) -> Observation<'_> {
        let mut seen = Observation::new(self.shape);
        seen.positions = self.positions.iter().map(Vec::as_slice).collect();
        seen.rope_theta = Some(self.rope_theta);
        for (&need, rows) in &self.rows {
            seen = seen.with_rows(need, rows);
        }
        for (&need, numbers) in &self.numbers {
            seen = seen.with_numbers(need, numbers);
        }
        seen
    }
}

fn moments(of_head: QueryMoments) -> Vec<f32> {
    [of_head.mean, of_head.covariance].concat()
}

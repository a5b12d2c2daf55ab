//! The observation that policies read, gathered from forward passes.
//!
//! A policy of `bitkv-evict` declares its needs. [`probes_for`] says what a forward pass must record for
//! them, and [`OwnedObservation::gather`] turns the recorded [`ProbeOutput`] and the [`Calibration`] into an
//! [`OwnedObservation`], whose [`view`](OwnedObservation::view) is the `Observation` that the policy plans
//! from.

use std::collections::BTreeMap;

use bitkv_bitnet::{Cache, Config, ProbeOutput, Probes, QueryMoments};
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
    rope_factors: Vec<f32>,
    rows: BTreeMap<Need, Vec<Vec<f32>>>,
    /// The calibration, and the residual similarity of each layer if it was observed.
    calibration: Calibration,
}

/// Returns what a forward pass must record for a policy with these needs.
pub fn probes_for(needs: &Needs) -> Probes {
    let mut probes = Probes { positions: true, ..Probes::default() };
    for need in needs.iter() {
        match need {
            Need::Keys => probes.keys = true,
            Need::Values | Need::OutputNorms | Need::SubNormOutputNorms => probes.values = true,
            Need::Accumulated => probes.accumulated = true,
            Need::Window(window) => probes.windows.push(window),
            Need::WindowRows(window) => probes.window_rows.push(window),
            Need::WindowQueries(window) => probes.window_queries.push(window),
            Need::QueryMoments(skipped) => probes.query_moments.push(skipped),
            Need::ResidualSimilarity => probes.residual_similarity = true,
            // These come from another pass, from the continuation, or from a file.
            Need::Reconstruction | Need::Future | Need::Entropy | Need::HeadScores | Need::HeadPattern => {}
        }
    }
    probes
}

/// Returns the shape of a model's cache after `tokens` tokens.
pub fn shape(loaded: &LoadedModel, tokens: usize) -> Shape {
    cache_shape(loaded.config(), tokens)
}

/// Returns the shape of the cache of a model with this configuration after `tokens` tokens.
pub(crate) fn cache_shape(config: &Config, tokens: usize) -> Shape {
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
        let (rows, calibration) = (BTreeMap::new(), BTreeMap::new());
        OwnedObservation {
            shape,
            positions: Vec::new(),
            rope_theta,
            rope_factors: Vec::new(),
            rows,
            calibration,
        }
    }

    /// Returns an observation without rows, of a model's cache whose heads hold all of `tokens` tokens.
    pub(crate) fn whole(loaded: &LoadedModel, tokens: usize, calibration: &Calibration) -> OwnedObservation {
        let mut observation = OwnedObservation::new(shape(loaded, tokens), loaded.config().rope_theta);
        observation.rope_factors = loaded.config().rope_factors();
        observation.calibration = calibration.clone();
        observation
    }

    /// Returns all rows by need; `None` if the heads do not hold all tokens.
    pub(crate) fn all_rows(&self) -> Option<impl Iterator<Item = (Need, &[Vec<f32>])>> {
        self.positions.is_empty().then(|| self.rows.iter().map(|(need, rows)| (*need, rows.as_slice())))
    }

    /// Returns the residual similarity of every layer, if it was observed.
    pub(crate) fn residual_similarity(&self) -> Option<&[f64]> {
        self.calibration.get(&Need::ResidualSimilarity).map(Vec::as_slice)
    }

    /// Sets the residual similarity of every layer.
    pub(crate) fn set_residual_similarity(&mut self, layers: Vec<f64>) {
        self.calibration.insert(Need::ResidualSimilarity, layers);
    }

    /// Returns the observation of a forward pass that ended after `tokens` tokens and recorded `probed`, as
    /// far as `needs` asks for it. [`OwnedObservation::insert`] adds the results of other passes.
    pub fn gather(
        loaded: &LoadedModel,
        tokens: usize,
        probed: ProbeOutput,
        needs: &Needs,
        calibration: &Calibration,
    ) -> OwnedObservation {
        let mut observation = OwnedObservation::whole(loaded, tokens, calibration);
        if probed.positions.iter().any(|positions| positions.len() < tokens) {
            observation.positions = probed.positions;
        }
        for (need, with_sub_norm) in [(Need::OutputNorms, false), (Need::SubNormOutputNorms, true)] {
            if needs.contains(need) {
                let norms = loaded.model.value_output_norms(&probed.values, with_sub_norm);
                observation.insert(need, norms);
            }
        }
        observation.insert(Need::Keys, probed.keys);
        observation.insert(Need::Values, probed.values);
        observation.insert(Need::Accumulated, probed.accumulated);
        for (window, rows) in probed.windows {
            observation.insert(Need::Window(window), rows);
        }
        for (window, rows) in probed.window_rows {
            observation.insert(Need::WindowRows(window), rows);
        }
        for (window, rows) in probed.window_queries {
            observation.insert(Need::WindowQueries(window), rows);
        }
        for (skipped, heads) in probed.query_moments {
            observation.insert(Need::QueryMoments(skipped), heads.into_iter().map(moments).collect());
        }
        if !probed.residual_similarity.is_empty() {
            observation.calibration.insert(Need::ResidualSimilarity, probed.residual_similarity);
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
    pub fn with_calibration(self, calibration: Calibration) -> OwnedObservation {
        OwnedObservation { calibration, ..self }
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
        seen.rope_factors.clone_from(&self.rope_factors);
        for (&need, rows) in &self.rows {
            seen = seen.with_rows(need, rows);
        }
        for (&need, numbers) in &self.calibration {
            seen = seen.with_numbers(need, numbers);
        }
        seen
    }
}

/// Returns the mean of the queries of one head, followed by their covariance, as one row.
fn moments(head: QueryMoments) -> Vec<f32> {
    [head.mean, head.covariance].concat()
}

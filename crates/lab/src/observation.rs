//! What policies go by, gathered from a forward pass.

use std::collections::BTreeMap;

use bitkv_bitnet::{Cache, ProbeOutput, Probes, QueryMoments};
use bitkv_evict::{Need, Needs, Observation, Shape};
use bitkv_models::LoadedModel;

use crate::{Result, reconstruction};

/// Calibration that come from calibration or from a file: entropies, head scores, head patterns.
pub type Calibration = BTreeMap<Need, Vec<f64>>;

/// An [`Observation`] that owns what it shows.
#[derive(Clone, Debug)]
pub struct OwnedObservation {
    shape: Shape,
    /// Of each KV head; empty where every head holds every token.
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

/// The extent of a model's cache after `tokens` tokens.
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
    /// Of a cache whose heads hold every one of its tokens, nothing else yet.
    pub fn new(shape: Shape, rope_theta: f64) -> OwnedObservation {
        let (rows, numbers) = (BTreeMap::new(), BTreeMap::new());
        OwnedObservation { shape, positions: Vec::new(), rope_theta, rows, numbers }
    }

    /// What a forward pass that ended after `tokens` tokens showed, as far as `needs` asks for it. What other passes
    /// give is added by [`OwnedObservation::insert`].
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

    /// Adds what further passes over `cache`, which holds the whole of `context`, show.
    ///
    /// # Errors
    /// When the context cannot be repeated, see [`reconstruction::attention`].
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

    /// The same with the numbers of calibration.
    #[must_use]
    pub fn with_numbers(self, numbers: Calibration) -> OwnedObservation {
        OwnedObservation { numbers, ..self }
    }

    /// Adds or replaces the rows of a need.
    pub fn insert(&mut self, need: Need, rows: Vec<Vec<f32>>) {
        self.rows.insert(need, rows);
    }

    /// The rows of a need; none where it was not observed.
    pub fn rows(&self, need: Need) -> &[Vec<f32>] {
        self.rows.get(&need).map_or(&[], Vec::as_slice)
    }

    /// The extent of the cache.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What a policy looks at.
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

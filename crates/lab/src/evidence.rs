//! What policies go by, gathered from a forward pass.

use std::collections::BTreeMap;

use bitkv_bitnet::{Cache, Observe, Observed, QueryMoments};
use bitkv_evict::{Need, Needs, Observation, Shape};
use bitkv_models::LoadedModel;

use crate::{Result, reconstruction};

/// Numbers that come from calibration or from a file: entropies, head scores, head patterns.
pub type Numbers = BTreeMap<Need, Vec<f64>>;

/// An [`Observation`] that owns what it shows.
#[derive(Clone, Debug)]
pub struct Evidence {
    shape: Shape,
    /// Of each KV head; empty where every head holds every token.
    positions: Vec<Vec<u32>>,
    rope_theta: f64,
    rows: BTreeMap<Need, Vec<Vec<f32>>>,
    numbers: Numbers,
}

/// What a forward pass must observe for a policy that needs `needs`.
pub fn observe(needs: &Needs) -> Observe {
    let mut observe = Observe { positions: true, ..Observe::default() };
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
pub fn shape(subject: &LoadedModel, tokens: usize) -> Shape {
    let config = subject.config();
    Shape {
        layers: config.num_hidden_layers,
        query_heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        tokens,
        head_dim: config.head_dim,
    }
}

impl Evidence {
    /// Of a cache whose heads hold every one of its tokens, nothing else yet.
    pub fn of(shape: Shape, rope_theta: f64) -> Evidence {
        let (rows, numbers) = (BTreeMap::new(), BTreeMap::new());
        Evidence { shape, positions: Vec::new(), rope_theta, rows, numbers }
    }

    /// What a forward pass that ended after `tokens` tokens showed, as far as `needs` asks for it. What other passes
    /// give is added by [`Evidence::insert`].
    pub fn gather(
        subject: &LoadedModel,
        tokens: usize,
        observed: Observed,
        needs: &Needs,
        numbers: &Numbers,
    ) -> Evidence {
        let mut evidence = Evidence::of(shape(subject, tokens), subject.config().rope_theta);
        if observed.positions.iter().any(|positions| positions.len() < tokens) {
            evidence.positions = observed.positions;
        }
        for (need, with_sub_norm) in [(Need::OutputNorms, false), (Need::SubNormOutputNorms, true)] {
            if needs.contains(need) {
                let norms = subject.model.value_output_norms(&observed.values, with_sub_norm);
                evidence.insert(need, norms);
            }
        }
        evidence.insert(Need::Keys, observed.keys);
        evidence.insert(Need::Values, observed.values);
        evidence.insert(Need::Accumulated, observed.accumulated);
        for (window, rows) in observed.windows {
            evidence.insert(Need::Window(window), rows);
        }
        for (window, rows) in observed.window_rows {
            evidence.insert(Need::WindowRows(window), rows);
        }
        for (skipped, heads) in observed.query_moments {
            evidence.insert(Need::QueryMoments(skipped), heads.into_iter().map(moments).collect());
        }
        evidence.numbers = numbers.clone();
        if !observed.residual_similarity.is_empty() {
            evidence.numbers.insert(Need::ResidualSimilarity, observed.residual_similarity);
        }
        evidence
    }

    /// Adds what further passes over `cache`, which holds the whole of `context`, show.
    ///
    /// # Errors
    /// When the context cannot be repeated, see [`reconstruction::attention`].
    pub fn reconstruct(
        &mut self,
        subject: &LoadedModel,
        cache: &Cache,
        context: &[u32],
        needs: &Needs,
    ) -> Result<()> {
        if needs.contains(Need::Reconstruction) {
            self.insert(Need::Reconstruction, reconstruction::attention(subject, cache, context)?);
        }
        Ok(())
    }

    /// The same with the numbers of calibration.
    #[must_use]
    pub fn with_numbers(self, numbers: Numbers) -> Evidence {
        Evidence { numbers, ..self }
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
        let mut seen = Observation::of(self.shape);
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

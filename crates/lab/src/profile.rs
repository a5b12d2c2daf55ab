//! Measures the attention entropy of every head over calibration texts ([`Entropies`]).

use bitkv_bitnet::Probes;
use bitkv_models::LoadedModel;
use bitkv_progress::{Progress, Work};
use bitkv_record::Queries;
use bitkv_stats::normalised;

use crate::{Result, error::ensure, window::Window};

/// The attention entropies of one model over texts, at every query position.
#[derive(Clone, Debug)]
pub struct Entropies {
    /// The number of layers of the model.
    pub layers: usize,
    /// The number of query heads per layer.
    pub heads: usize,
    /// The number of tokens of each text.
    pub context: usize,
    /// The entropies in bits, `[texts][layers * heads][queries]`.
    bits: Vec<Vec<Vec<f32>>>,
}

/// Returns the query positions whose entropies are averaged.
fn averaged_rows(queries: Queries, context: usize) -> Vec<usize> {
    match queries {
        Queries::Published => {
            let rows = [context / 4, context / 2, 3 * context / 4, context - 1];
            rows.into_iter().filter(|&row| row > 0).collect()
        }
        Queries::All => (1..context).collect(),
    }
}

/// Reads every window once and reports each to `progress` under the name `work`. In a causal model, the
/// entropies of the first n tokens do not depend on later tokens, so one pass serves every shorter context.
///
/// # Errors
/// Returns an error if there are no windows, if they differ in length or are shorter than two tokens, or if
/// the model fails.
pub fn measure(
    loaded: &LoadedModel,
    windows: &[Window],
    work: &str,
    progress: &dyn Progress,
) -> Result<Entropies> {
    ensure!(Unfit, !windows.is_empty(), "there are no calibration texts to profile {} on", loaded.name);
    let context = windows[0].tokens.len();
    ensure!(
        Unfit,
        context >= 2,
        "calibration windows of {context} tokens have no entropy to measure: use 2 tokens or more"
    );
    ensure!(
        Unfit,
        windows.iter().all(|w| w.tokens.len() == context),
        "calibration windows must have the same length"
    );
    let steps = Work::steps(progress, work, windows.len());
    let probes = Probes { entropy: true, ..Probes::default() };
    let mut bits = Vec::new();
    for window in windows {
        let output = loaded.model.forward(&window.tokens, &mut loaded.model.new_cache(), Some(&probes))?;
        let entropy = output.probed.map(|probed| probed.entropy).unwrap_or_default();
        bits.push(entropy.into_iter().flatten().collect());
        steps.advance();
    }
    steps.finish();
    let config = loaded.config();
    Ok(Entropies { layers: config.num_hidden_layers, heads: config.num_attention_heads, context, bits })
}

impl Entropies {
    /// Returns the entropies of one text from those of its query positions, `[layers * heads][queries]`.
    pub(crate) fn from_text(loaded: &LoadedModel, bits: Vec<Vec<f32>>) -> Entropies {
        let config = loaded.config();
        let (layers, heads) = (config.num_hidden_layers, config.num_attention_heads);
        Entropies { layers, heads, context: bits.first().map_or(0, Vec::len), bits: vec![bits] }
    }

    /// Returns the entropies of the first text in bits, `[layers * heads][queries]`.
    pub(crate) fn first_text(&self) -> &[Vec<f32>] {
        self.bits.first().map_or(&[], Vec::as_slice)
    }

    /// Returns the entropies of all texts, each measured alone; `None` if there is no text.
    pub(crate) fn joined(texts: Vec<Entropies>) -> Option<Entropies> {
        texts.into_iter().reduce(|mut all, text| {
            all.bits.extend(text.bits);
            all
        })
    }

    /// Returns the mean entropy of each head in bits, over texts and the `queries` of the first `context`
    /// tokens, `[layers * heads]`.
    pub fn mean(&self, context: usize, queries: Queries) -> Vec<f64> {
        self.average(context, queries, |bits, _| bits)
    }

    /// Returns the mean as [`Entropies::mean`] does, but of normalised entropies: each entropy is divided by
    /// the logarithm of the number of keys that the query sees.
    pub fn mean_normalised(&self, context: usize, queries: Queries) -> Vec<f64> {
        self.average(context, queries, |bits, row| normalised(bits, row + 1))
    }

    fn average(&self, context: usize, queries: Queries, value: impl Fn(f64, usize) -> f64) -> Vec<f64> {
        let rows = averaged_rows(queries, context.min(self.context));
        let count = (rows.len() * self.bits.len()) as f64;
        let head_mean = |head: usize| {
            let entropies =
                self.bits.iter().flat_map(|text| rows.iter().map(move |&row| (text[head][row] as f64, row)));
            entropies.map(|(bits, row)| value(bits, row)).sum::<f64>() / count
        };
        (0..self.layers * self.heads).map(head_mean).collect()
    }

    /// Returns the means of [`Entropies::mean`] by layer, `[layers][heads]`.
    pub fn by_layer(&self, context: usize, queries: Queries) -> Vec<Vec<f64>> {
        self.mean(context, queries).chunks(self.heads).map(<[f64]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_queries_are_the_quartiles() {
        assert_eq!(averaged_rows(Queries::Published, 64), [16, 32, 48, 63]);
        assert_eq!(averaged_rows(Queries::Published, 3), [1, 2, 2]);
        assert_eq!(averaged_rows(Queries::All, 4), [1, 2, 3]);
    }

    #[test]
    fn entropies_are_averaged_over_texts_and_queries() {
        let text = |scale: f32| vec![(0..8).map(|i| i as f32 * scale).collect::<Vec<f32>>()];
        let entropies = Entropies { layers: 1, heads: 1, context: 8, bits: vec![text(1.0), text(3.0)] };
        // Rows 2, 4, 6 and 7 have the mean 19 / 4 in the first text and three times that in the second.
        assert_eq!(entropies.mean(8, Queries::Published), [9.5]);
        assert_eq!(entropies.mean(4, Queries::All), [(1.0 + 2.0 + 3.0) * 2.0 / 3.0]);
    }
}

//! Attention entropy of every head over calibration texts.

use anyhow::{Result, ensure};
use bitkv_bitnet::Observe;
use bitkv_record::HeadRow;
use bitkv_stats::normalised;

use crate::{Subject, progress::Steps, window::Window};

/// Entropies of one model over texts, at every query position.
#[derive(Clone, Debug)]
pub struct Entropies {
    /// Layers of the model.
    pub layers: usize,
    /// Query heads of a layer.
    pub heads: usize,
    /// Tokens of each text.
    pub context: usize,
    /// Name of each text.
    pub texts: Vec<String>,
    /// Bits: `[text][layer * heads + head][query]`.
    bits: Vec<Vec<Vec<f32>>>,
}

/// The queries whose entropies are averaged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rows {
    /// Those of the published calibration: n/4, n/2, 3n/4 and n-1.
    Published,
    /// All but the first, whose entropy is 0.
    All,
}

impl Rows {
    fn of(self, context: usize) -> Vec<usize> {
        match self {
            Rows::Published => {
                let rows = [context / 4, context / 2, 3 * context / 4, context - 1];
                rows.into_iter().filter(|&row| row > 0).collect()
            }
            Rows::All => (1..context).collect(),
        }
    }
}

/// Runs every window once. A causal model gives the first n tokens the same entropies whatever
/// follows, so one pass serves every shorter context.
///
/// # Errors
/// When there are no windows, they differ in length or are shorter than two tokens, or the model fails.
pub fn measure(subject: &Subject, windows: &[Window], steps: &Steps) -> Result<Entropies> {
    ensure!(!windows.is_empty(), "there are no calibration texts to profile {} on", subject.name);
    let context = windows[0].tokens.len();
    ensure!(
        context >= 2,
        "calibration windows of {context} tokens have no entropy to measure: use 2 tokens or more"
    );
    ensure!(windows.iter().all(|w| w.tokens.len() == context), "calibration windows must be of one length");
    let observe = Observe { entropy: true, ..Observe::default() };
    let mut bits = Vec::new();
    for window in windows {
        let output = subject.model.forward(&window.tokens, &mut subject.model.new_cache(), Some(&observe))?;
        let entropy = output.observed.map(|o| o.entropy).unwrap_or_default();
        bits.push(entropy.into_iter().flatten().collect());
        steps.advance();
    }
    let config = subject.config();
    let texts = windows.iter().map(|w| w.name.clone()).collect();
    Ok(Entropies {
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        context,
        texts,
        bits,
    })
}

impl Entropies {
    /// Mean entropy of each head in bits over texts and `rows` of the first `context` tokens, `[layers * heads]`.
    pub fn mean(&self, context: usize, rows: Rows) -> Vec<f64> {
        self.average(context, rows, |bits, _| bits)
    }

    /// The same divided, query by query, by the logarithm of the number of visible keys.
    pub fn mean_normalised(&self, context: usize, rows: Rows) -> Vec<f64> {
        self.average(context, rows, |bits, row| normalised(bits, row + 1))
    }

    fn average(&self, context: usize, rows: Rows, value: impl Fn(f64, usize) -> f64) -> Vec<f64> {
        let rows = rows.of(context.min(self.context));
        let count = (rows.len() * self.bits.len()) as f64;
        let of_head = |head: usize| {
            let each =
                self.bits.iter().flat_map(|text| rows.iter().map(move |&row| (text[head][row] as f64, row)));
            each.map(|(bits, row)| value(bits, row)).sum::<f64>() / count
        };
        (0..self.layers * self.heads).map(of_head).collect()
    }

    /// Rows for the record: the mean over texts, and each text by itself.
    pub fn rows(&self, model: &str, context: usize, rows: Rows) -> Vec<HeadRow> {
        let mut all = Vec::new();
        let alone = (0..self.texts.len()).map(|i| (self.texts[i].clone(), self.text(i)));
        for (name, part) in std::iter::once((String::new(), self.clone())).chain(alone) {
            let (bits, ratio) = (part.mean(context, rows), part.mean_normalised(context, rows));
            all.extend(bits.into_iter().zip(ratio).enumerate().map(|(i, (bits, ratio))| HeadRow {
                model: model.into(),
                profile: format!("calibration-{context}"),
                context,
                text: name.clone(),
                layer: i / self.heads,
                head: i % self.heads,
                entropy_bits: Some(bits),
                normalised_entropy: Some(ratio),
            }));
        }
        all
    }

    fn text(&self, index: usize) -> Entropies {
        Entropies {
            layers: self.layers,
            heads: self.heads,
            context: self.context,
            texts: vec![self.texts[index].clone()],
            bits: vec![self.bits[index].clone()],
        }
    }

    /// Means by layer, `[layer][head]`.
    pub fn by_layer(&self, context: usize, rows: Rows) -> Vec<Vec<f64>> {
        self.mean(context, rows).chunks(self.heads).map(<[f64]>::to_vec).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rows_are_the_quartiles() {
        assert_eq!(Rows::Published.of(64), [16, 32, 48, 63]);
        assert_eq!(Rows::Published.of(3), [1, 2, 2]);
        assert_eq!(Rows::All.of(4), [1, 2, 3]);
    }

    #[test]
    fn means_run_over_texts_and_rows() {
        let text = |scale: f32| vec![(0..8).map(|i| i as f32 * scale).collect::<Vec<f32>>()];
        let entropies = Entropies {
            layers: 1,
            heads: 1,
            context: 8,
            texts: vec!["a".into(), "b".into()],
            bits: vec![text(1.0), text(3.0)],
        };
        // Rows 2, 4, 6 and 7: 19 / 4, and thrice that, on average twice.
        assert_eq!(entropies.mean(8, Rows::Published), [9.5]);
        assert_eq!(entropies.mean(4, Rows::All), [(1.0 + 2.0 + 3.0) * 2.0 / 3.0]);
        assert_eq!(entropies.rows("m", 8, Rows::Published).len(), 3);
    }
}

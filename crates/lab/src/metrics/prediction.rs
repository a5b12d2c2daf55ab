//! Metrics of the predictions of a model through a compressed cache, with teacher forcing.
//!
//! Logits are `[scored tokens][vocabulary]`. The first row must come from a query that read the compressed
//! cache. The logits after the last token of the context come from the prefill with full attention, so
//! eviction does not change them.

use bitkv_kernels::prediction::{Divergence, Prediction, divergences, predictions};
use bitkv_record::GridRow;

use super::mean;
use crate::logits::Logits;

/// The predictions of full attention after each scored token, prepared once for all cells of a context.
pub struct Reference<'a> {
    logits: &'a Logits,
    predicted: Vec<Option<Prediction>>,
    targets: &'a [u32],
    /// The mean negative log-likelihood of the targets, in nats; NaN if the targets do not fit the logits.
    nll: f64,
}

/// The predictions of a compressed cache compared with those of the full cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The mean KL divergence of its next-token distributions from those of the full cache, in nats per
    /// token.
    pub kl: f64,
    /// The fraction of scored tokens after which both caches find the same token most likely, 0..1.
    pub agreement: f64,
    /// The mean negative log-likelihood of the tokens that follow in the text, in nats per token.
    pub nll: f64,
    /// `nll` minus that of the full cache on the same targets; negative if eviction helps.
    pub nll_difference: f64,
}

impl Comparison {
    /// Writes the values into the row of their cell.
    pub fn record(&self, row: &mut GridRow) {
        row.kl_nats = Some(self.kl);
        row.agreement = Some(self.agreement);
        row.nll_nats = Some(self.nll);
        row.nll_difference = Some(self.nll_difference);
    }
}

impl<'a> Reference<'a> {
    /// Prepares the logits of the full cache and the tokens that follow in the text, one per row.
    pub fn new(logits: &'a Logits, targets: &'a [u32]) -> Reference<'a> {
        let predicted = predictions(logits.values(), logits.classes());
        let nll = mean_nll(predicted.iter().copied(), logits.values(), targets);
        Reference { logits, predicted, targets, nll }
    }

    /// Compares the logits of several compressed caches, each `[scored tokens * vocabulary]`, with those of
    /// the full cache. A comparison is `None` if its logits are not finite, and NaN if its logits or the
    /// targets have the wrong length.
    pub fn compare(&self, compressed: &[&[f32]]) -> Vec<Option<Comparison>> {
        let values = self.logits.values();
        let same_length = compressed.iter().all(|logits| logits.len() == values.len());
        if !same_length || self.targets.len() != self.predicted.len() {
            let undefined =
                Comparison { kl: f64::NAN, agreement: f64::NAN, nll: f64::NAN, nll_difference: f64::NAN };
            return vec![Some(undefined); compressed.len()];
        }
        let found = divergences(values, &self.predicted, compressed, self.logits.classes());
        found.into_iter().zip(compressed).map(|(rows, logits)| self.comparison(&rows, logits)).collect()
    }

    /// Returns the comparison of one compressed cache; `None` if a row of logits is not finite.
    fn comparison(&self, rows: &[Option<Divergence>], logits: &[f32]) -> Option<Comparison> {
        let rows: Vec<Divergence> = rows.iter().copied().collect::<Option<_>>()?;
        // `max` would turn a NaN into a perfect score.
        let kl = mean(rows.iter().map(|row| if row.kl < 0.0 { 0.0 } else { row.kl }));
        let best = self.predicted.iter().map(|full| full.map(|full| full.best));
        let agreement =
            mean(rows.iter().zip(best).map(|(row, full)| same_best(full, Some(row.prediction.best))));
        let nll = mean_nll(rows.iter().map(|row| Some(row.prediction)), logits, self.targets);
        Some(Comparison { kl, agreement, nll, nll_difference: nll - self.nll })
    }
}

/// Returns the mean negative log-likelihood of the targets, from predictions whose log-sum-exp is already
/// known.
fn mean_nll(
    predicted: impl ExactSizeIterator<Item = Option<Prediction>>,
    logits: &[f32],
    targets: &[u32],
) -> f64 {
    if predicted.len() != targets.len() {
        return f64::NAN;
    }
    let rows = logits.chunks_exact((logits.len() / targets.len().max(1)).max(1));
    let row_nll = |((predicted, row), &target): ((Option<Prediction>, &[f32]), &u32)| {
        let logit = row.get(target as usize);
        predicted.zip(logit).map_or(f64::NAN, |(predicted, &logit)| predicted.nll(logit))
    };
    mean(predicted.zip(rows).zip(targets).map(row_nll))
}

/// Returns 1 if both rows have the same most likely token, and 0 if not. Returns NaN if one of them has no
/// most likely token, as a row of NaN.
fn same_best(full: Option<usize>, compressed: Option<usize>) -> f64 {
    match (full, compressed) {
        (Some(full), Some(compressed)) => f64::from(u8::from(full == compressed)),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use bitkv_stats::{argmax, kl_from_logits, nll_from_logits};

    use super::*;
    use crate::metrics::mean_over_pairs;

    /// Returns the mean KL divergence of the compressed cache's next-token distributions from the full
    /// cache's, in nats per token.
    fn kl(full: &[Vec<f32>], compressed: &[Vec<f32>]) -> f64 {
        mean_over_pairs(full, compressed, |full, compressed| kl_from_logits(full, compressed))
    }

    /// Returns the fraction of tokens after which both caches find the same token most likely, 0..1.
    fn agreement(full: &[Vec<f32>], compressed: &[Vec<f32>]) -> f64 {
        mean_over_pairs(full, compressed, |full, compressed| same_best(argmax(full), argmax(compressed)))
    }

    /// Returns the mean negative log-likelihood of the targets, `[scored tokens]`, in nats per token.
    fn nll(logits: &[Vec<f32>], targets: &[u32]) -> f64 {
        mean_over_pairs(logits, targets, |row, &target| nll_from_logits(row, target as usize))
    }

    /// Returns [`nll`] through the compressed cache minus [`nll`] through the full cache; negative if
    /// eviction helps.
    fn nll_difference(full: &[Vec<f32>], compressed: &[Vec<f32>], targets: &[u32]) -> f64 {
        nll(compressed, targets) - nll(full, targets)
    }

    /// Returns the logits of probabilities.
    fn row(p: &[f32]) -> Vec<f32> {
        p.iter().map(|p| p.ln()).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn a_prepared_reference_gives_the_same_values_as_direct_formulas() {
        let full = [row(&[0.5, 0.5]), row(&[0.75, 0.25]), row(&[0.1, 0.9])];
        let compressed = [row(&[0.5, 0.5]), row(&[0.25, 0.75]), row(&[0.3, 0.7])];
        let targets = [1, 0, 0];
        let logits = Logits::new(full.concat(), 2);
        let reference = Reference::new(&logits, &targets);
        let comparisons = reference.compare(&[&compressed.concat(), &full.concat()]);
        let (of_compressed, of_full) = (comparisons[0].unwrap(), comparisons[1].unwrap());
        let assert_close = |a: f64, b: f64| assert!((a - b).abs() < 1e-10, "{a} {b}");
        assert_close(of_compressed.kl, kl(&full, &compressed));
        assert_close(of_compressed.nll, nll(&compressed, &targets));
        assert_close(of_compressed.nll_difference, nll_difference(&full, &compressed, &targets));
        assert_eq!(of_compressed.agreement, agreement(&full, &compressed));
        assert_eq!((of_full.kl, of_full.agreement, of_full.nll_difference), (0.0, 1.0, 0.0));
    }

    #[test]
    fn wrong_lengths_give_nan_and_logits_that_are_not_finite_give_none() {
        let logits = Logits::new(vec![0.0, 1.0, 2.0, 3.0], 2);
        let is_nan = |found: Option<Comparison>| found.unwrap().kl.is_nan() && found.unwrap().nll.is_nan();
        assert!(is_nan(Reference::new(&logits, &[0, 1]).compare(&[&[0.0, 1.0]])[0]));
        assert!(is_nan(Reference::new(&logits, &[0]).compare(&[logits.values()])[0]));
        let outside = Reference::new(&logits, &[0, 2]).compare(&[logits.values()])[0].unwrap();
        assert!(outside.nll.is_nan() && outside.kl == 0.0);
        let damaged = [0.0, 1.0, f32::NAN, 3.0];
        let found = Reference::new(&logits, &[0, 1]).compare(&[&damaged, logits.values()]);
        assert!(found[0].is_none() && found[1].is_some());
    }

    #[test]
    fn values_worked_out_by_hand_are_reproduced() {
        let full = [row(&[0.5, 0.5]), row(&[0.75, 0.25])];
        let compressed = [row(&[0.5, 0.5]), row(&[0.25, 0.75])];
        // The second token costs 3/4 ln 3 + 1/4 ln 1/3 = ln 3 / 2, and the first costs nothing.
        assert!(close(kl(&full, &compressed), 3f64.ln() / 4.0));
        assert_eq!(agreement(&full, &compressed), 0.5);
        assert!(close(nll(&full, &[0, 0]), (2f64.ln() + (4f64 / 3.0).ln()) / 2.0));
        assert!(close(nll_difference(&full, &compressed, &[0, 0]), 3f64.ln() / 2.0));
        assert!(close(nll_difference(&full, &compressed, &[0, 1]), -3f64.ln() / 2.0));
    }

    #[test]
    fn a_full_cache_is_perfect() {
        let full = [row(&[0.1, 0.2, 0.7]), row(&[0.6, 0.3, 0.1])];
        assert_eq!(kl(&full, &full), 0.0);
        assert_eq!(agreement(&full, &full), 1.0);
        assert_eq!(nll_difference(&full, &full, &[1, 2]), 0.0);
    }

    #[test]
    fn each_further_changed_row_makes_every_metric_worse() {
        let full = vec![row(&[0.7, 0.2, 0.1]); 4];
        let mut compressed = full.clone();
        let mut before = (0.0, 1.0, 0.0);
        for at in 0..4 {
            compressed[at] = row(&[0.2, 0.7, 0.1]);
            let difference = nll_difference(&full, &compressed, &[0; 4]);
            let now = (kl(&full, &compressed), agreement(&full, &compressed), difference);
            assert!(now.0 > before.0 && now.1 < before.1 && now.2 > before.2, "{before:?} {now:?}");
            before = now;
        }
    }

    #[test]
    fn empty_and_unequal_inputs_give_nan() {
        let (one, two) = ([row(&[0.5, 0.5])], [row(&[0.5, 0.5]), row(&[0.5, 0.5])]);
        assert!(kl(&[], &[]).is_nan() && agreement(&[], &[]).is_nan() && nll(&[], &[]).is_nan());
        assert!(kl(&one, &two).is_nan() && agreement(&one, &two).is_nan() && nll(&two, &[0]).is_nan());
        assert!(agreement(&[vec![f32::NAN]], &[vec![f32::NAN]]).is_nan());
        assert!(nll_difference(&one, &two, &[0]).is_nan());
    }
}

//! Metrics of the predictions of a model through a compressed cache, with teacher forcing.
//!
//! Logits are `[scored tokens][vocabulary]`. The first row must come from a query that read the compressed
//! cache. The logits after the last token of the context come from the prefill with full attention, so
//! eviction does not change them.

use bitkv_kernels::prediction::{Divergence, Prediction, divergences, predictions};
use bitkv_record::GridRow;

use super::{KlQuantiles, mean};
use crate::logits::Logits;

/// The predictions of full attention after each scored token, prepared once for all cells of a context.
pub struct Reference<'a> {
    logits: &'a Logits,
    predicted: Vec<Option<Prediction>>,
    targets: &'a [u32],
    /// What the full cache gives each target, `[targets]`; empty if the targets do not fit the logits.
    found: Vec<TargetPrediction>,
}

/// What a prediction gives the token that follows in the text. Both values are NaN if the token is not in the
/// vocabulary.
#[derive(Clone, Copy, Debug)]
struct TargetPrediction {
    /// The negative log-likelihood, in nats.
    nll: f64,
    /// The probability, 0..1.
    p: f64,
}

/// The predictions of a compressed cache compared with those of the full cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The mean KL divergence of its next-token distributions from those of the full cache, in nats per
    /// token.
    pub kl: f64,
    /// The quantiles of the KL divergence over the scored tokens.
    pub kl_quantiles: KlQuantiles,
    /// The fraction of scored tokens after which both caches find the same token most likely, 0..1.
    pub agreement: f64,
    /// The mean over the scored tokens of the probability of the token that follows in the text, less its
    /// probability with the full cache, -1..1. It is the "Mean Δp" of llama.cpp.
    pub dp_mean: f64,
    /// The root mean square of the same differences, 0..1. It is the "RMS Δp" of llama.cpp.
    pub dp_rms: f64,
    /// The mean negative log-likelihood of the tokens that follow in the text, in nats per token.
    pub nll: f64,
    /// `nll` minus that of the full cache on the same targets; negative if eviction helps.
    pub nll_difference: f64,
}

impl Comparison {
    /// The comparison of logits that do not fit each other.
    const UNDEFINED: Comparison = Comparison {
        kl: f64::NAN,
        kl_quantiles: KlQuantiles::UNDEFINED,
        agreement: f64::NAN,
        dp_mean: f64::NAN,
        dp_rms: f64::NAN,
        nll: f64::NAN,
        nll_difference: f64::NAN,
    };

    /// Writes the values into the row of their cell.
    pub fn record(&self, row: &mut GridRow) {
        row.kl_nats = Some(self.kl);
        self.kl_quantiles.record(row);
        row.agreement = Some(self.agreement);
        row.dp_mean = Some(self.dp_mean);
        row.dp_rms = Some(self.dp_rms);
        row.nll_nats = Some(self.nll);
        row.nll_difference = Some(self.nll_difference);
    }
}

impl<'a> Reference<'a> {
    /// Prepares the logits of the full cache and the tokens that follow in the text, one per row.
    pub fn new(logits: &'a Logits, targets: &'a [u32]) -> Reference<'a> {
        let predicted = predictions(logits.values(), logits.classes());
        let found = target_predictions(predicted.iter().copied(), logits.values(), targets);
        Reference { logits, predicted, targets, found }
    }

    /// Compares the logits of several compressed caches, each `[scored tokens * vocabulary]`, with those of
    /// the full cache. A comparison is `None` if its logits are not finite, and NaN if its logits or the
    /// targets have the wrong length.
    pub fn compare(&self, compressed: &[&[f32]]) -> Vec<Option<Comparison>> {
        let values = self.logits.values();
        let same_length = compressed.iter().all(|logits| logits.len() == values.len());
        if !same_length || self.targets.len() != self.predicted.len() {
            return vec![Some(Comparison::UNDEFINED); compressed.len()];
        }
        let found = divergences(values, &self.predicted, compressed, self.logits.classes());
        found.into_iter().zip(compressed).map(|(rows, logits)| self.comparison(&rows, logits)).collect()
    }

    /// Returns the comparison of one compressed cache; `None` if a row of logits is not finite.
    fn comparison(&self, rows: &[Option<Divergence>], logits: &[f32]) -> Option<Comparison> {
        let rows: Vec<Divergence> = rows.iter().copied().collect::<Option<_>>()?;
        // `max` would turn a NaN into a perfect score.
        let kl: Vec<f64> = rows.iter().map(|row| if row.kl < 0.0 { 0.0 } else { row.kl }).collect();
        let best = self.predicted.iter().map(|full| full.map(|full| full.best));
        let agreement =
            mean(rows.iter().zip(best).map(|(row, full)| same_best(full, Some(row.prediction.best))));
        let found = target_predictions(rows.iter().map(|row| Some(row.prediction)), logits, self.targets);
        let dp: Vec<f64> = found.iter().zip(&self.found).map(|(found, full)| found.p - full.p).collect();
        let nll = mean_nll(&found);
        Some(Comparison {
            kl: mean(kl.iter().copied()),
            kl_quantiles: KlQuantiles::new(&kl),
            agreement,
            dp_mean: mean(dp.iter().copied()),
            dp_rms: mean(dp.iter().map(|dp| dp * dp)).sqrt(),
            nll,
            nll_difference: nll - mean_nll(&self.found),
        })
    }
}

/// Returns what each row of logits gives its target, from predictions whose log-sum-exp is already known.
/// Returns nothing if the numbers of predictions and targets differ.
fn target_predictions(
    predicted: impl ExactSizeIterator<Item = Option<Prediction>>,
    logits: &[f32],
    targets: &[u32],
) -> Vec<TargetPrediction> {
    if predicted.len() != targets.len() {
        return Vec::new();
    }
    let rows = logits.chunks_exact((logits.len() / targets.len().max(1)).max(1));
    let target_prediction = |((predicted, row), &target): ((Option<Prediction>, &[f32]), &u32)| {
        let logit = row.get(target as usize);
        match predicted.zip(logit) {
            Some((predicted, &logit)) => {
                TargetPrediction { nll: predicted.nll(logit), p: predicted.probability(logit) }
            }
            None => TargetPrediction { nll: f64::NAN, p: f64::NAN },
        }
    };
    predicted.zip(rows).zip(targets).map(target_prediction).collect()
}

/// Returns the mean negative log-likelihood of the targets, in nats; NaN without targets.
fn mean_nll(found: &[TargetPrediction]) -> f64 {
    mean(found.iter().map(|found| found.nll))
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
        assert_eq!((of_full.kl_quantiles.max, of_full.dp_mean, of_full.dp_rms), (0.0, 0.0, 0.0));
    }

    #[test]
    fn changes_of_the_right_probability_worked_out_by_hand_are_reproduced() {
        let full = [row(&[0.5, 0.5]), row(&[0.75, 0.25]), row(&[0.1, 0.9])];
        let compressed = [row(&[0.5, 0.5]), row(&[0.25, 0.75]), row(&[0.3, 0.7])];
        let logits = Logits::new(full.concat(), 2);
        let compare =
            |targets: &[u32]| Reference::new(&logits, targets).compare(&[&compressed.concat()])[0].unwrap();
        // The differences are 0, -0.5 and 0.2.
        let found = compare(&[1, 0, 0]);
        assert!(close(found.dp_mean, -0.1) && close(found.dp_rms, (0.29f64 / 3.0).sqrt()), "{found:?}");
        // With the other class of the last two rows they are 0, 0.5 and -0.2.
        let found = compare(&[1, 1, 1]);
        assert!(close(found.dp_mean, 0.1) && close(found.dp_rms, (0.29f64 / 3.0).sqrt()), "{found:?}");
        // The divergences are 0, ln 3 / 2 and 0.1 ln 1/3 + 0.9 ln 9/7; the last is the median.
        let last = 0.9 * (9f64 / 7.0).ln() - 0.1 * 3f64.ln();
        assert!(close(found.kl_quantiles.median, last));
        assert!(close(found.kl_quantiles.max, 3f64.ln() / 2.0));
        assert!(close(found.kl_quantiles.p90, last + 0.8 * (3f64.ln() / 2.0 - last)));
    }

    #[test]
    fn wrong_lengths_give_nan_and_logits_that_are_not_finite_give_none() {
        let logits = Logits::new(vec![0.0, 1.0, 2.0, 3.0], 2);
        let is_nan = |found: Option<Comparison>| {
            let found = found.unwrap();
            let undefined = [found.kl, found.kl_quantiles.max, found.dp_mean, found.dp_rms, found.nll];
            undefined.iter().all(|value| value.is_nan())
        };
        assert!(is_nan(Reference::new(&logits, &[0, 1]).compare(&[&[0.0, 1.0]])[0]));
        assert!(is_nan(Reference::new(&logits, &[0]).compare(&[logits.values()])[0]));
        let outside = Reference::new(&logits, &[0, 2]).compare(&[logits.values()])[0].unwrap();
        assert!(outside.nll.is_nan() && outside.dp_rms.is_nan() && outside.kl == 0.0);
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

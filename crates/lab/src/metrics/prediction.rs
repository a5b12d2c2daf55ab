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
pub struct Compared {
    /// Mean KL divergence of its next-token distributions from the full cache's, in nats per token.
    pub kl: f64,
    /// The fraction of scored tokens after which both caches find the same token most likely, 0..1.
    pub agreement: f64,
    /// The mean negative log-likelihood of the tokens that follow in the text, in nats per token.
    pub nll: f64,
    /// `nll` minus that of the full cache on the same targets; negative if eviction helps.
    pub nll_difference: f64,
}

impl Compared {
    /// Puts the values into the row of their cell.
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

    /// Compares the logits of several cut caches, each `[scored tokens * vocabulary]`, with the full one's. `None`
    /// where logits are not finite.
    pub fn compare(&self, cuts: &[&[f32]]) -> Vec<Option<Compared>> {
        let values = self.logits.values();
        if cuts.iter().any(|cut| cut.len() != values.len()) || self.targets.len() != self.predicted.len() {
            let none =
                Compared { kl: f64::NAN, agreement: f64::NAN, nll: f64::NAN, nll_difference: f64::NAN };
            return vec![Some(none); cuts.len()];
        }
        let found = divergences(values, &self.predicted, cuts, self.logits.classes());
        found.into_iter().zip(cuts).map(|(rows, cut)| self.compared(&rows, cut)).collect()
    }

    fn compared(&self, rows: &[Option<Divergence>], cut: &[f32]) -> Option<Compared> {
        let rows: Vec<Divergence> = rows.iter().copied().collect::<Option<_>>()?;
        // `max` would turn a NaN into a perfect score.
        let kl = mean(rows.iter().map(|row| if row.kl < 0.0 { 0.0 } else { row.kl }));
        let best = self.predicted.iter().map(|full| full.map(|full| full.best));
        let agreement =
            mean(rows.iter().zip(best).map(|(row, full)| same_best(full, Some(row.prediction.best))));
        let nll = mean_nll(rows.iter().map(|row| Some(row.prediction)), cut, self.targets);
        Some(Compared { kl, agreement, nll, nll_difference: nll - self.nll })
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
    let one = |((predicted, row), &target): ((Option<Prediction>, &[f32]), &u32)| {
        let logit = row.get(target as usize);
        predicted.zip(logit).map_or(f64::NAN, |(predicted, &logit)| predicted.nll(logit))
    };
    mean(predicted.zip(rows).zip(targets).map(one))
}

/// A row of NaN has no most likely token, and two such rows do not agree.
fn same_best(full: Option<usize>, cut: Option<usize>) -> f64 {
    match (full, cut) {
        (Some(full), Some(cut)) => f64::from(u8::from(full == cut)),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use bitkv_stats::{argmax, kl_from_logits, nll_from_logits};

    use super::*;
    use crate::metrics::of_pairs;

    /// Mean KL divergence of the cut cache's next-token distributions from the full cache's, in nats per token.
    fn kl(full: &[Vec<f32>], cut: &[Vec<f32>]) -> f64 {
        of_pairs(full, cut, |full, cut| kl_from_logits(full, cut))
    }

    /// Part of the tokens after which both caches find the same token most likely, 0..1.
    fn agreement(full: &[Vec<f32>], cut: &[Vec<f32>]) -> f64 {
        of_pairs(full, cut, |full, cut| same_best(argmax(full), argmax(cut)))
    }

    /// Returns the mean negative log-likelihood of the targets, `[scored tokens]`, in nats per token.
    fn nll(logits: &[Vec<f32>], targets: &[u32]) -> f64 {
        of_pairs(logits, targets, |row, &target| nll_from_logits(row, target as usize))
    }

    /// [`nll`] through the cut cache less that through the full one, on the same targets; negative where cutting helps.
    fn nll_difference(full: &[Vec<f32>], cut: &[Vec<f32>], targets: &[u32]) -> f64 {
        nll(cut, targets) - nll(full, targets)
    }

    /// Returns the logits of probabilities.
    fn row(p: &[f32]) -> Vec<f32> {
        p.iter().map(|p| p.ln()).collect()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn prepared_once_is_the_same() {
        let full = [row(&[0.5, 0.5]), row(&[0.75, 0.25]), row(&[0.1, 0.9])];
        let cut = [row(&[0.5, 0.5]), row(&[0.25, 0.75]), row(&[0.3, 0.7])];
        let targets = [1, 0, 0];
        let logits = Logits::new(full.concat(), 2);
        let reference = Reference::new(&logits, &targets);
        let compared = reference.compare(&[&cut.concat(), &full.concat()]);
        let (of_cut, itself) = (compared[0].unwrap(), compared[1].unwrap());
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-10, "{a} {b}");
        near(of_cut.kl, kl(&full, &cut));
        near(of_cut.nll, nll(&cut, &targets));
        near(of_cut.nll_difference, nll_difference(&full, &cut, &targets));
        assert_eq!(of_cut.agreement, agreement(&full, &cut));
        assert_eq!((itself.kl, itself.agreement, itself.nll_difference), (0.0, 1.0, 0.0));
    }

    #[test]
    fn what_does_not_fit_is_nan_and_what_is_damaged_is_nothing() {
        let logits = Logits::new(vec![0.0, 1.0, 2.0, 3.0], 2);
        let nan = |found: Option<Compared>| found.unwrap().kl.is_nan() && found.unwrap().nll.is_nan();
        assert!(nan(Reference::new(&logits, &[0, 1]).compare(&[&[0.0, 1.0]])[0]));
        assert!(nan(Reference::new(&logits, &[0]).compare(&[logits.values()])[0]));
        let outside = Reference::new(&logits, &[0, 2]).compare(&[logits.values()])[0].unwrap();
        assert!(outside.nll.is_nan() && outside.kl == 0.0);
        let damaged = [0.0, 1.0, f32::NAN, 3.0];
        let found = Reference::new(&logits, &[0, 1]).compare(&[&damaged, logits.values()]);
        assert!(found[0].is_none() && found[1].is_some());
    }

    #[test]
    fn worked_by_hand() {
        let full = [row(&[0.5, 0.5]), row(&[0.75, 0.25])];
        let cut = [row(&[0.5, 0.5]), row(&[0.25, 0.75])];
        // The second token costs 3/4 ln 3 + 1/4 ln 1/3 = ln 3 / 2, the first nothing.
        assert!(close(kl(&full, &cut), 3f64.ln() / 4.0));
        assert_eq!(agreement(&full, &cut), 0.5);
        assert!(close(nll(&full, &[0, 0]), (2f64.ln() + (4f64 / 3.0).ln()) / 2.0));
        assert!(close(nll_difference(&full, &cut, &[0, 0]), 3f64.ln() / 2.0));
        assert!(close(nll_difference(&full, &cut, &[0, 1]), -3f64.ln() / 2.0));
    }

    #[test]
    fn a_full_cache_is_perfect() {
        let full = [row(&[0.1, 0.2, 0.7]), row(&[0.6, 0.3, 0.1])];
        assert_eq!(kl(&full, &full), 0.0);
        assert_eq!(agreement(&full, &full), 1.0);
        assert_eq!(nll_difference(&full, &full, &[1, 2]), 0.0);
    }

    #[test]
    fn each_further_step_away_is_worse() {
        let full = vec![row(&[0.7, 0.2, 0.1]); 4];
        let mut cut = full.clone();
        let mut before = (0.0, 1.0, 0.0);
        for at in 0..4 {
            cut[at] = row(&[0.2, 0.7, 0.1]);
            let now = (kl(&full, &cut), agreement(&full, &cut), nll_difference(&full, &cut, &[0; 4]));
            assert!(now.0 > before.0 && now.1 < before.1 && now.2 > before.2, "{before:?} {now:?}");
            before = now;
        }
    }

    #[test]
    fn what_was_not_measured_is_nan() {
        let (one, two) = ([row(&[0.5, 0.5])], [row(&[0.5, 0.5]), row(&[0.5, 0.5])]);
        assert!(kl(&[], &[]).is_nan() && agreement(&[], &[]).is_nan() && nll(&[], &[]).is_nan());
        assert!(kl(&one, &two).is_nan() && agreement(&one, &two).is_nan() && nll(&two, &[0]).is_nan());
        assert!(agreement(&[vec![f32::NAN]], &[vec![f32::NAN]]).is_nan());
        assert!(nll_difference(&one, &two, &[0]).is_nan());
    }
}

//! Predictions from logits: negative log-likelihood, KL divergence and argmax.
//!
//! A [`ReferencePrediction`] is compared with many [`Prediction`]s and computes its probabilities once.
//! [`kl_from_logits`] and [`nll_from_logits`] are shorthands for single rows.

/// The normaliser of a softmax, `ln sum exp(logits)`, as a sum of two parts. The parts are stored separately,
/// because subtracting one after the other loses no digits if the peak is large.
#[derive(Debug)]
struct Normaliser {
    peak: f64,
    log_sum: f64,
}

impl Normaliser {
    fn new(logits: &[f32]) -> Normaliser {
        let peak = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = logits.iter().map(|&x| (f64::from(x) - peak).exp()).sum();
        Normaliser { peak, log_sum: sum.ln() }
    }

    /// Returns the log-probability of a logit in nats, or NaN if there is no softmax.
    fn log_p(&self, logit: f32) -> f64 {
        (f64::from(logit) - self.peak) - self.log_sum
    }
}

/// The softmax of a row of logits, which is the prediction of a model.
#[derive(Debug)]
pub struct Prediction<'a> {
    logits: &'a [f32],
    norm: Normaliser,
}

impl<'a> Prediction<'a> {
    /// Computes the softmax of a row of logits.
    pub fn new(logits: &'a [f32]) -> Prediction<'a> {
        Prediction { logits, norm: Normaliser::new(logits) }
    }

    /// Returns the negative log-likelihood of class `target` in nats, or NaN if there is no such class or no
    /// softmax.
    pub fn nll(&self, target: usize) -> f64 {
        self.logits.get(target).map_or(f64::NAN, |&x| 0.0 - self.norm.log_p(x))
    }

    /// Returns whether the row has no softmax: it is empty, it holds a NaN or a positive infinity, or all its
    /// values are negative infinities.
    fn has_no_softmax(&self) -> bool {
        self.logits.is_empty() || self.norm.log_sum.is_nan()
    }
}

/// A prediction that many others are compared with. Its probabilities are computed once.
#[derive(Debug)]
pub struct ReferencePrediction<'a> {
    prediction: Prediction<'a>,
    /// The probabilities, `[classes]`.
    probabilities: Vec<f64>,
}

impl<'a> ReferencePrediction<'a> {
    /// Computes the softmax of a row of logits.
    pub fn new(logits: &'a [f32]) -> ReferencePrediction<'a> {
        let prediction = Prediction::new(logits);
        let probabilities = logits.iter().map(|&x| prediction.norm.log_p(x).exp()).collect();
        ReferencePrediction { prediction, probabilities }
    }

    /// Returns the prediction.
    pub fn prediction(&self) -> &Prediction<'a> {
        &self.prediction
    }

    /// Returns the Kullback-Leibler divergence of `other` from this prediction, in nats.
    ///
    /// It is exactly 0 for identical rows and never negative by rounding. It is infinite if `other` gives
    /// probability 0 to a class that has a higher probability in this prediction. It is NaN if the rows
    /// differ in length, are empty or have no softmax.
    pub fn kl(&self, other: &Prediction<'_>) -> f64 {
        let reference = &self.prediction;
        if reference.logits.len() != other.logits.len()
            || reference.has_no_softmax()
            || other.has_no_softmax()
        {
            return f64::NAN;
        }
        let mut nats = 0.0;
        for ((&p, &x), &y) in self.probabilities.iter().zip(reference.logits).zip(other.logits) {
            let log_p = reference.norm.log_p(x);
            if log_p > f64::NEG_INFINITY {
                nats += p * (log_p - other.norm.log_p(y));
            }
        }
        // `max` would turn a NaN into 0, the perfect divergence.
        if nats < 0.0 { 0.0 } else { nats }
    }
}

/// Returns the Kullback-Leibler divergence of softmax(`other`) from softmax(`reference`), in nats; see
/// [`ReferencePrediction::kl`].
pub fn kl_from_logits(reference: &[f32], other: &[f32]) -> f64 {
    ReferencePrediction::new(reference).kl(&Prediction::new(other))
}

/// Returns the negative log-likelihood of class `target` under softmax(`logits`), in nats; see
/// [`Prediction::nll`].
pub fn nll_from_logits(logits: &[f32], target: usize) -> f64 {
    Prediction::new(logits).nll(target)
}

/// Returns the index of the largest value, or the lowest such index if several are equal. NaNs are ignored.
/// Returns `None` if there is no value except NaNs.
pub fn argmax(values: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (i, &v) in values.iter().enumerate() {
        if !v.is_nan() && best.is_none_or(|(_, b)| v > b) {
            best = Some((i, v));
        }
    }
    best.map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_softmax(logits: &[f32]) -> Vec<f64> {
        let norm = Normaliser::new(logits);
        logits.iter().map(|&x| norm.log_p(x)).collect()
    }

    use proptest::prelude::*;

    const LN: fn(f64) -> f64 = f64::ln;

    #[test]
    fn known_values() {
        let logits = [3f32.ln(), 0.0];
        let log = log_softmax(&logits);
        assert!((log[0] - LN(0.75)).abs() < 1e-7 && (log[1] - LN(0.25)).abs() < 1e-7);
        assert!((nll_from_logits(&logits, 1) - LN(4.0)).abs() < 1e-7);
        // KL((3/4, 1/4) || (1/2, 1/2)) = 3/4 ln 3/2 + 1/4 ln 1/2.
        let expected = 0.75 * LN(1.5) + 0.25 * LN(0.5);
        assert!((kl_from_logits(&logits, &[7.0, 7.0]) - expected).abs() < 1e-7);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        assert_eq!(log_softmax(&[3e38, 0.0])[0], 0.0);
        assert_eq!(nll_from_logits(&[1e4, 1e4], 0), LN(2.0));
    }

    #[test]
    fn masked_classes_have_no_probability() {
        let masked = [0.0, f32::NEG_INFINITY];
        assert_eq!(kl_from_logits(&masked, &masked), 0.0);
        assert!((kl_from_logits(&masked, &[0.0, 0.0]) - LN(2.0)).abs() < 1e-12);
        assert_eq!(kl_from_logits(&[0.0, 0.0], &masked), f64::INFINITY);
    }

    #[test]
    fn undefined_values_are_nan_rather_than_perfect() {
        assert!(kl_from_logits(&[0.0], &[0.0, 1.0]).is_nan());
        assert!(kl_from_logits(&[], &[]).is_nan());
        assert!(kl_from_logits(&[f32::NAN, 0.0], &[f32::NAN, 0.0]).is_nan());
        assert!(kl_from_logits(&[0.0, 0.0], &[0.0, f32::NAN]).is_nan());
        assert!(kl_from_logits(&[f32::INFINITY, 0.0], &[0.0, 0.0]).is_nan());
        assert!(nll_from_logits(&[0.0], 1).is_nan());
    }

    #[test]
    fn argmax_takes_the_lowest_index_of_equals() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), Some(1));
        assert_eq!(argmax(&[f32::NAN, -1.0, f32::NAN]), Some(1));
        assert_eq!(argmax(&[f32::NEG_INFINITY]), Some(0));
        assert_eq!(argmax(&[f32::NAN]), None);
        assert_eq!(argmax(&[]), None);
    }

    proptest! {
        #[test]
        fn kl_is_zero_to_itself_and_never_negative(
            pairs in prop::collection::vec((-30.0..30.0f32, -1e-4..1e-4f32), 1..100),
        ) {
            let p: Vec<f32> = pairs.iter().map(|x| x.0).collect();
            let q: Vec<f32> = pairs.iter().map(|x| x.0 + x.1).collect();
            prop_assert_eq!(kl_from_logits(&p, &p), 0.0);
            prop_assert!((0.0..1e-6).contains(&kl_from_logits(&p, &q)));
        }

        #[test]
        fn a_softmax_sums_to_one(logits in prop::collection::vec(-80.0..80.0f32, 1..200)) {
            let sum: f64 = log_softmax(&logits).iter().map(|x| x.exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }
    }
}

/// The normaliser of a softmax in two parts, whose sum is `ln sum exp(logits)`. Kept
/// apart because subtracting them one after the other loses no digits to a large peak.
struct Normaliser {
    peak: f64,
    log_sum: f64,
}

impl Normaliser {
    fn of(logits: &[f32]) -> Normaliser {
        let peak = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = logits.iter().map(|&x| (f64::from(x) - peak).exp()).sum();
        Normaliser { peak, log_sum: sum.ln() }
    }

    /// The log-probability of a logit; NaN if there is no softmax.
    fn log_p(&self, logit: f32) -> f64 {
        (f64::from(logit) - self.peak) - self.log_sum
    }
}

/// Natural logarithms of the softmax of `logits`, `[n]` to `[n]`.
///
/// A logit of negative infinity gives negative infinity. A row that holds a NaN
/// or positive infinity, or nothing but negative infinities, gives NaN throughout.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let norm = Normaliser::of(logits);
    logits.iter().map(|&x| norm.log_p(x)).collect()
}

/// Kullback-Leibler divergence of softmax(`other`) from softmax(`reference`), in nats.
///
/// Exactly 0 for identical rows and never negative by rounding. Infinite where
/// `other` rules out what `reference` allows. NaN for rows that differ in length, are
/// empty, or have no softmax.
pub fn kl_from_logits(reference: &[f32], other: &[f32]) -> f64 {
    if reference.len() != other.len() || reference.is_empty() {
        return f64::NAN;
    }
    let (norm_p, norm_q) = (Normaliser::of(reference), Normaliser::of(other));
    if norm_p.log_sum.is_nan() || norm_q.log_sum.is_nan() {
        return f64::NAN;
    }
    let mut nats = 0.0;
    for (&p, &q) in reference.iter().zip(other) {
        let log_p = norm_p.log_p(p);
        if log_p > f64::NEG_INFINITY {
            nats += log_p.exp() * (log_p - norm_q.log_p(q));
        }
    }
    // Not `max`, which would turn a NaN into a perfect score.
    if nats < 0.0 { 0.0 } else { nats }
}

/// Negative log-likelihood of class `target` under softmax(`logits`), in nats;
/// NaN when there is no such class or no softmax.
pub fn nll_from_logits(logits: &[f32], target: usize) -> f64 {
    logits.get(target).map_or(f64::NAN, |&x| 0.0 - Normaliser::of(logits).log_p(x))
}

/// Index of the largest value, the lowest index of equal ones. NaNs are passed
/// over; `None` when nothing else is there.
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
    fn masked_classes() {
        let masked = [0.0, f32::NEG_INFINITY];
        assert_eq!(kl_from_logits(&masked, &masked), 0.0);
        assert!((kl_from_logits(&masked, &[0.0, 0.0]) - LN(2.0)).abs() < 1e-12);
        assert_eq!(kl_from_logits(&[0.0, 0.0], &masked), f64::INFINITY);
    }

    #[test]
    fn what_has_no_value_is_nan_rather_than_perfect() {
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

//! Confidence intervals of means by bootstrap resampling.

use crate::{Rng, summary::quantile_of_sorted};

/// A mean with its two-sided 95 % interval. All three numbers are NaN if there are no values or one is not
/// finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean of the values.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

const UNDEFINED: Interval = Interval { mean: f64::NAN, low: f64::NAN, high: f64::NAN };

/// Returns the mean of paired `differences` with its 95 % bootstrap interval: the 2.5 % and 97.5 % quantiles
/// of the means of `resamples` samples. A paired difference compares two policies on the same text.
///
/// The same arguments give the same interval on every machine. If `resamples` is 0, both ends of the interval
/// are the mean.
pub fn paired_bootstrap(differences: &[f64], resamples: usize, seed: u64) -> Interval {
    let Some(mean) = mean(differences) else { return UNDEFINED };
    let n = differences.len();
    let mut rng = Rng::new(seed);
    let mut means: Vec<f64> =
        (0..resamples).map(|_| (0..n).map(|_| differences[rng.below(n)]).sum::<f64>() / n as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    let end = |q| quantile_of_sorted(&means, q).unwrap_or(mean);
    Interval { mean, low: end(0.025), high: end(0.975) }
}

fn mean(values: &[f64]) -> Option<f64> {
    let finite = !values.is_empty() && values.iter().all(|v| v.is_finite());
    finite.then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bootstrap_of_a_mean_approaches_its_normal_interval() {
        let differences: Vec<f64> = (0..400).map(|i| f64::from(i % 20) - 9.5).collect();
        let std = crate::Summary::new(&differences).unwrap().std;
        let reach = 1.96 * std / 20.0;
        let i = paired_bootstrap(&differences, 4000, 11);
        assert_eq!(i.mean, 0.0);
        assert!((i.low + reach).abs() < 0.06 * reach && (i.high - reach).abs() < 0.06 * reach, "{i:?}");
    }

    #[test]
    fn the_interval_depends_on_the_seed_alone() {
        let values = [1.0, 4.0, 2.0, 8.0, 5.0];
        assert_eq!(paired_bootstrap(&values, 200, 1), paired_bootstrap(&values, 200, 1));
        assert_ne!(paired_bootstrap(&values, 200, 1), paired_bootstrap(&values, 200, 2));
    }

    #[test]
    fn without_finite_values_the_interval_is_nan() {
        for i in [paired_bootstrap(&[], 10, 0), paired_bootstrap(&[1.0, f64::NAN], 10, 0)] {
            assert!(i.mean.is_nan() && i.low.is_nan() && i.high.is_nan());
        }
        let alone = paired_bootstrap(&[1.0, 3.0], 0, 0);
        assert_eq!((alone.low, alone.high), (2.0, 2.0));
    }

    proptest! {
        #[test]
        fn intervals_are_within_the_values(values in prop::collection::vec(-5.0..5.0f64, 1..40), seed: u64) {
            let i = paired_bootstrap(&values, 50, seed);
            let min = values.iter().copied().fold(f64::INFINITY, f64::min) - 1e-9;
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 1e-9;
            prop_assert!(min <= i.low && i.low <= i.high && i.high <= max);
        }
    }
}

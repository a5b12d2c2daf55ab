//! Means with 95 % intervals from a bootstrap over texts.

use bitkv_stats::{Interval, paired_bootstrap};
use serde::Serialize;

/// The number of bootstrap resamples.
const RESAMPLES: usize = 2000;

/// A value and its 95 % interval. A single observation has no interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value itself.
    pub value: f64,
    /// The low and the high end of the 95 % interval.
    pub interval: Option<(f64, f64)>,
}

/// Returns the mean of one value per text, with the interval of a percentile bootstrap over texts (Efron and
/// Tibshirani 1993, chapter 13), or `None` if there are no values, or if one of them is not finite.
pub(crate) fn mean(values: &[f64], seed: u64) -> Option<Estimate> {
    let Interval { mean: value, low, high } = paired_bootstrap(values, RESAMPLES, seed);
    let interval = (values.len() > 1).then_some((low, high));
    value.is_finite().then_some(Estimate { value, interval })
}

/// Returns the mean without an interval, or `None` if there are no values, or if one of them is not finite.
pub(crate) fn point(values: &[f64]) -> Option<f64> {
    let mean = paired_bootstrap(values, 0, 0).mean;
    mean.is_finite().then_some(mean)
}

/// Returns the mean of `own - reference` over texts. The bootstrap resamples texts, so pairs stay together.
pub(crate) fn paired_difference(own: &[f64], reference: &[f64], seed: u64) -> Option<Estimate> {
    let differences: Vec<f64> = own.iter().zip(reference).map(|(a, b)| a - b).collect();
    mean(&differences, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two-sided 95 % quantile of the normal distribution.
    const Z: f64 = 1.959_963_984_540_054;

    #[test]
    fn intervals_have_about_the_width_of_the_standard_error() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let Estimate { value, interval: Some((low, high)) } = mean(&values, 3).unwrap() else { panic!() };
        let standard_error = (9999.0f64 / 12.0).sqrt() / 10.0;
        assert_eq!(value, 49.5);
        assert!(((high - low) / (2.0 * Z * standard_error) - 1.0).abs() < 0.1, "{low} {high}");
    }

    #[test]
    fn constant_differences_have_an_interval_of_no_width() {
        let reference = [1.0, 2.0, 4.0, 8.0];
        let own = reference.map(|x| x + 0.25);
        assert_eq!(paired_difference(&own, &reference, 9).unwrap().interval, Some((0.25, 0.25)));
    }

    #[test]
    fn one_observation_has_no_interval_and_no_observation_has_no_value() {
        assert_eq!(mean(&[2.0], 0), Some(Estimate { value: 2.0, interval: None }));
        assert_eq!((mean(&[], 0), point(&[])), (None, None));
        assert_eq!(point(&[1.0, 2.0]), Some(1.5));
        assert_eq!(mean(&[1.0, f64::NAN], 0), None);
    }
}

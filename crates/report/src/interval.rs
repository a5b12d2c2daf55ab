//! Estimates with 95 % intervals.

use bitkv_stats::{Interval, paired_bootstrap};

/// Two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

const RESAMPLES: usize = 2000;

/// A value and the ends of its 95 % interval; no interval where there is only one observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value itself.
    pub value: f64,
    /// Low and high end.
    pub interval: Option<(f64, f64)>,
}

/// Mean of one value a text, with the percentile bootstrap over texts (Efron and Tibshirani 1993, chapter 13).
/// None without values, or when one is not finite.
pub(crate) fn mean(values: &[f64], seed: u64) -> Option<Estimate> {
    let Interval { mean: value, low, high } = paired_bootstrap(values, RESAMPLES, seed);
    let interval = (values.len() > 1).then_some((low, high));
    value.is_finite().then_some(Estimate { value, interval })
}

/// Mean of `own - reference`, text by text; resampling texts keeps the pairs together.
pub(crate) fn paired_difference(own: &[f64], reference: &[f64], seed: u64) -> Option<Estimate> {
    let differences: Vec<f64> = own.iter().zip(reference).map(|(a, b)| a - b).collect();
    mean(&differences, seed)
}

/// `right` of `all` with Wilson's score interval (Wilson 1927), which stays honest at none and at all.
pub(crate) fn proportion(right: usize, all: usize) -> Option<Estimate> {
    if all == 0 {
        return None;
    }
    let (n, p) = (all as f64, right as f64 / all as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding must not push an end past the value at 0 and at 1.
    Some(Estimate {
        value: p,
        interval: Some(((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn one_observation_has_no_interval_and_none_no_value() {
        assert_eq!(mean(&[2.0], 0), Some(Estimate { value: 2.0, interval: None }));
        assert_eq!(mean(&[], 0), None);
        assert_eq!(mean(&[1.0, f64::NAN], 0), None);
        assert_eq!(proportion(0, 0), None);
    }

    #[test]
    fn proportions_have_wilsons_interval() {
        let ends = |right, all| proportion(right, all).unwrap().interval.unwrap();
        let (low, high) = ends(5, 10);
        assert!((low - 0.236_593).abs() < 1e-6 && (high - 0.763_407).abs() < 1e-6);
        let (low, high) = ends(10, 10);
        assert!((low - 0.722_467).abs() < 1e-6 && high == 1.0);
        assert_eq!(ends(0, 10).0, 0.0);
    }
}

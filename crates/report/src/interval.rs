//! Means over texts with 95 % intervals.

use bitkv_stats::{Interval, mean_interval};
use serde::Serialize;

/// The fewest texts whose mean has an interval. For fewer, no interval that was tried covers the truth often
/// enough (docs/METRICS.md, "Intervals").
pub(crate) const FEWEST: usize = 5;

/// The fewest texts for which tables mark differences. With fewer, the test finds too many.
pub(crate) const FEWEST_FOR_STARS: usize = 8;

/// A value and its 95 % interval. A mean over fewer than five texts has no interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value itself.
    pub value: f64,
    /// The low and the high end of the 95 % interval.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    /// Returns the estimate with the interval limited to `low..=high`, the range that the quantity can have.
    pub(crate) fn within(self, low: f64, high: f64) -> Self {
        let limited = |(a, b): (f64, f64)| (a.clamp(low, high), b.clamp(low, high));
        Self { interval: self.interval.map(limited), ..self }
    }
}

/// Returns the mean of one value per text, with the interval of [`mean_interval`] if there are at least
/// [`FEWEST`] texts. Returns `None` if there are no values, or if one of them is not finite.
pub(crate) fn mean(values: &[f64]) -> Option<Estimate> {
    let value = point(values)?;
    let interval = mean_interval(values).filter(|_| values.len() >= FEWEST);
    Some(Estimate { value, interval: interval.map(|Interval { low, high, .. }| (low, high)) })
}

/// Returns the mean without an interval, or `None` if there are no values, or if one of them is not finite.
pub(crate) fn point(values: &[f64]) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    mean.is_finite().then_some(mean)
}

/// Returns why a mean over `texts` texts has no interval, or `None` if it has one.
pub(crate) fn few_texts(texts: usize) -> Option<String> {
    (texts < FEWEST).then(|| {
        format!("Means over {texts} texts or contexts have no interval: at least {FEWEST} are needed.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 97.5 % quantile of the t distribution with 99 degrees of freedom.
    const T_99: f64 = 1.984_216_951_5;

    #[test]
    fn symmetric_values_have_the_width_of_the_standard_error() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let Estimate { value, interval: Some((low, high)) } = mean(&values).unwrap() else { panic!() };
        // The sample variance of 0..n is n (n + 1) / 12.
        let standard_error = (100.0f64 * 101.0 / 12.0).sqrt() / 10.0;
        assert_eq!(value, 49.5);
        assert!(((high - low) / (2.0 * T_99 * standard_error) - 1.0).abs() < 1e-3, "{low} {high}");
    }

    #[test]
    fn constant_differences_have_an_interval_of_no_width() {
        assert_eq!(mean(&[0.25; 5]).unwrap().interval, Some((0.25, 0.25)));
    }

    #[test]
    fn few_observations_have_no_interval_and_no_observation_has_no_value() {
        assert_eq!(mean(&[2.0]), Some(Estimate { value: 2.0, interval: None }));
        assert_eq!(mean(&[1.0, 2.0, 3.0, 4.0]), Some(Estimate { value: 2.5, interval: None }));
        assert!(mean(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap().interval.is_some());
        assert_eq!((mean(&[]), point(&[])), (None, None));
        assert_eq!(point(&[1.0, 2.0]), Some(1.5));
        assert_eq!(mean(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn few_texts_are_a_reason() {
        assert!(few_texts(4).unwrap().contains("at least 5 are needed"));
        assert_eq!(few_texts(5), None);
    }

    #[test]
    fn intervals_are_limited_to_the_range_of_the_quantity() {
        let wide = Estimate { value: 0.1, interval: Some((-0.1, 1.2)) };
        assert_eq!(wide.within(0.0, 1.0).interval, Some((0.0, 1.0)));
        assert_eq!(wide.within(0.0, f64::INFINITY).interval, Some((0.0, 1.2)));
    }
}

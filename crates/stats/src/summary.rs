//! Summary statistics: mean, standard deviation, range, quantiles.

/// Summary statistics of a set of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The number of values.
    pub count: usize,
    /// The arithmetic mean.
    pub mean: f64,
    /// The population standard deviation (divided by `count`).
    pub std: f64,
    /// The coefficient of variation, `std / mean`; 0 if all values are equal.
    pub cv: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Summary {
    /// Returns the statistics of `values`, or `None` if there are no values or one is not finite.
    pub fn new(values: &[f64]) -> Option<Summary> {
        if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let count = values.len();
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // The rounded mean of equal values may differ from them; without the clamp they would have a spread.
        let mean = (values.iter().sum::<f64>() / count as f64).clamp(min, max);
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64).sqrt();
        let cv = if std == 0.0 { 0.0 } else { std / mean };
        Some(Summary { count, mean, std, cv, min, max })
    }
}

/// Returns the `q` quantile (0..1) with linear interpolation between order statistics, as numpy does by
/// default. Returns `None` if there are no values, if one is NaN, or if `q` is outside 0..1.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    quantiles(values, [q]).map(|[quantile]| quantile)
}

/// Returns several quantiles of the same values, each as [`quantile`] does. Returns `None` if one of them is
/// undefined.
pub fn quantiles<const N: usize>(values: &[f64], q: [f64; N]) -> Option<[f64; N]> {
    if values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let found = q.map(|q| quantile_of_sorted(&sorted, q));
    found.iter().all(Option::is_some).then(|| found.map(Option::unwrap_or_default))
}

/// Returns the same as [`quantile`] for values that are in ascending order already.
fn quantile_of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    if sorted.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let at = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    // Equal neighbours may be infinite, and inf - inf is NaN.
    Some(if below == above { below } else { below + (above - below) * at.fract() })
}

/// Returns the common value of `values`, or `None` if there is no value or if they differ.
///
/// The comparison is exact. The rounded mean of equal values may differ from them, so that a spread computed
/// from it would not be 0.
pub(crate) fn constant(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    values.iter().all(|v| *v == first).then_some(first)
}

/// Returns the middle value, or the mean of the two middle values. Returns `None` if there are no values or
/// one is NaN.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_summarised() {
        let s = Summary::new(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(s, Summary { count: 8, mean: 5.0, std: 2.0, cv: 0.4, min: 2.0, max: 9.0 });
    }

    #[test]
    fn equal_values_have_no_spread() {
        let s = Summary::new(&[0.1; 7]).unwrap();
        assert_eq!((s.mean, s.std, s.cv), (0.1, 0.0, 0.0));
        assert_eq!(Summary::new(&[0.0, 0.0]).unwrap().cv, 0.0);
    }

    #[test]
    fn values_without_a_summary_are_none() {
        assert_eq!(Summary::new(&[]), None);
        assert_eq!(Summary::new(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::new(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn quantiles_equal_those_of_numpy() {
        let values = [3.0, 1.0, 2.0, 4.0];
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 0.25), Some(1.75));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(median(&[5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&values, 1.5), None);
        assert_eq!(quantile(&values, f64::NAN), None);
        assert_eq!(quantile(&[1.0, f64::NAN], 0.5), None);
    }
}

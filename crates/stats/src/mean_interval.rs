//! The confidence interval of a mean of skewed values, and the test that belongs to it.

use crate::student::{Sample, student, upper_quantile};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with its two-sided 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean of the values.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Returns the mean of `values` with its 95 % interval, or `None` if there are fewer than four values or one
/// is not finite. The values may be paired differences of two policies on the same texts.
///
/// Per-text means of the KL divergence are skewed: a few texts have most of the sum. The interval is the
/// smallest that contains two others, so that neither tail is too short:
///
/// - Student's t interval, `mean -+ t s / sqrt n`;
/// - the t interval on the scale of Hall's transformation, which removes the skewness of the studentised mean
///   (Hall 1992, "On the removal of skewness by transformation"),
///   `g(S) = S + G S^2 / 3 + G^2 S^3 / 27 + G / (6 n)` with `S = (mean - truth) / s` and the sample skewness
///   G.
///
/// t is the 97.5 % quantile with `2 / (2 / (n - 1) + K / n)` degrees of freedom, at most n - 1, where K is
/// the sample excess kurtosis. This number matches the variance of s^2, as Satterthwaite 1946 does. G and K
/// have the corrections for small samples that `scipy.stats` applies with `bias=False`. If all values are
/// equal, the interval has no width.
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    let shape = Shape::new(values)?;
    let Sample { count, mean, deviation } = shape.sample;
    if deviation == 0.0 {
        return Some(Interval { mean, low: mean, high: mean });
    }
    let reach = shape.reach / count.sqrt();
    let (below, above) = (shape.inverse(reach).max(reach), shape.inverse(-reach).min(-reach));
    Some(Interval { mean, low: mean - deviation * below, high: mean - deviation * above })
}

/// Returns the two-sided p-value of the hypothesis that the mean of paired `differences` is 0, or `None` if
/// there are fewer than four values or one is not finite.
///
/// It is below 0.05 exactly if the interval of [`mean_interval`] excludes 0. Its statistic is the smaller of
/// `sqrt n S` and `sqrt n g(S)`, divided by the ratio of the 97.5 % quantiles that the kurtosis and n - 1
/// allow, and its distribution has n - 1 degrees of freedom. With the fewer degrees of freedom instead of
/// the ratio, small p-values would be larger and false ones as frequent. If all differences are equal, the
/// p-value is 0, or 1 if they are 0.
pub fn paired_test(differences: &[f64]) -> Option<f64> {
    let shape = Shape::new(differences)?;
    let Sample { count, mean, deviation } = shape.sample;
    if deviation == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    let distance = mean / deviation;
    let smaller = distance.abs().min(shape.transform(distance).abs());
    let normal_reach = upper_quantile(&shape.student, 0.975);
    Some(2.0 * shape.student.sf(smaller * count.sqrt() * normal_reach / shape.reach))
}

/// A sample with its skewness and kurtosis, as far as intervals need them.
struct Shape {
    sample: Sample,
    /// The sample skewness; 0 if all values are equal.
    skewness: f64,
    /// The t distribution with n - 1 degrees of freedom.
    student: StudentsT,
    /// The 97.5 % quantile of the t distribution with the degrees of freedom that the kurtosis allows.
    reach: f64,
}

impl Shape {
    /// Returns the shape of at least four finite values, and `None` otherwise.
    fn new(values: &[f64]) -> Option<Self> {
        let sample = Sample::new(values).filter(|_| values.len() >= 4)?;
        let n = sample.count;
        // The moments are those of standardised values, so that small values do not underflow.
        let moment = |power| {
            let standard = |v: &f64| ((v - sample.mean) / sample.deviation).powi(power);
            if sample.deviation == 0.0 { 0.0 } else { values.iter().map(standard).sum::<f64>() }
        };
        let skewness = n / ((n - 1.0) * (n - 2.0)) * moment(3);
        let fourth = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0)) * moment(4);
        let kurtosis = fourth - 3.0 * (n - 1.0).powi(2) / ((n - 2.0) * (n - 3.0));
        let freedom = 2.0 / (2.0 / (n - 1.0) + kurtosis.max(0.0) / n);
        let reach = upper_quantile(&student(freedom)?, 0.975);
        Some(Self { sample, skewness, student: sample.student()?, reach })
    }

    /// Returns Hall's transformation of a studentised distance from the mean, without the factor sqrt n. It
    /// does not decrease.
    fn transform(&self, distance: f64) -> f64 {
        let (s, g) = (distance, self.skewness);
        s + g * s * s / 3.0 + g * g * s.powi(3) / 27.0 + g / (6.0 * self.sample.count)
    }

    /// Returns the distance whose transformation is `transformed`.
    fn inverse(&self, transformed: f64) -> f64 {
        let shifted = transformed - self.skewness / (6.0 * self.sample.count);
        let root = (1.0 + self.skewness * shifted).cbrt();
        // This equals 3 (root - 1) / skewness and is exact for a skewness of 0 too.
        3.0 * shifted / (root * root + root + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_values_have_a_normal_interval() {
        let differences: Vec<f64> = (0..400).map(|i| f64::from(i % 20) - 9.5).collect();
        let std = crate::Summary::new(&differences).unwrap().std;
        let reach = 1.96 * std / 20.0;
        let i = mean_interval(&differences).unwrap();
        assert_eq!(i.mean, 0.0);
        assert!((i.low + reach).abs() < 0.01 * reach && (i.high - reach).abs() < 0.01 * reach, "{i:?}");
    }

    #[test]
    fn a_dominant_text_extends_its_side_of_the_interval() {
        let mut values = [0.01; 22];
        values[7] = 0.2;
        values[8] = 0.012;
        let i = mean_interval(&values).unwrap();
        assert!(i.high - i.mean > 1.5 * (i.mean - i.low), "{i:?}");
    }

    #[test]
    fn equal_values_have_no_width() {
        assert_eq!(mean_interval(&[0.1; 7]), Some(Interval { mean: 0.1, low: 0.1, high: 0.1 }));
        assert_eq!((paired_test(&[0.1; 7]), paired_test(&[0.0; 7])), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn few_or_infinite_values_have_no_interval() {
        for values in [&[1.0, 2.0, 3.0][..], &[1.0, 2.0, 3.0, f64::NAN], &[]] {
            assert_eq!((mean_interval(values), paired_test(values)), (None, None));
        }
    }

    #[test]
    fn small_p_values_are_resolved() {
        let differences: Vec<f64> = (0..22).map(|i| 1.0 + 0.01 * f64::from(i % 5)).collect();
        let p = paired_test(&differences).unwrap();
        assert!(0.0 < p && p < 1e-20, "{p}");
    }

    proptest! {
        #[test]
        fn the_p_value_and_the_interval_agree(
            values in prop::collection::vec(-3.0..3.0f64, 4..40), power in 1..4i32, shift in -2.0..2.0f64,
        ) {
            let values: Vec<f64> = values.iter().map(|v| v.powi(power) + shift).collect();
            let (i, p) = (mean_interval(&values).unwrap(), paired_test(&values).unwrap());
            prop_assume!((p - 0.05).abs() > 1e-9);
            prop_assert_eq!(p < 0.05, i.low > 0.0 || i.high < 0.0);
        }

        #[test]
        fn the_inverse_inverts(values in prop::collection::vec(-3.0..3.0f64, 4..40), at in -1.5..1.5f64) {
            let shape = Shape::new(&values).unwrap();
            // Where the transformation is flat, its inverse is ill-conditioned.
            prop_assume!((1.0 + shape.skewness * at / 3.0).abs() > 0.01);
            prop_assert!((shape.inverse(shape.transform(at)) - at).abs() < 1e-9);
        }

        #[test]
        fn the_interval_follows_scale_and_sign(values in prop::collection::vec(-3.0..3.0f64, 4..40)) {
            let i = mean_interval(&values).unwrap();
            let scaled: Vec<f64> = values.iter().map(|v| -1e-9 * v).collect();
            let j = mean_interval(&scaled).unwrap();
            prop_assert!((j.low + 1e-9 * i.high).abs() < 1e-18 && (j.high + 1e-9 * i.low).abs() < 1e-18);
            prop_assert!(i.low <= i.mean && i.mean <= i.high);
        }
    }
}

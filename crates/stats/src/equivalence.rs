//! A test of equivalence: whether a mean difference is smaller than a margin.

use crate::student::{Sample, upper_quantile};
use statrs::distribution::ContinuousCDF;

/// The result of a test of equivalence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Equivalence {
    /// The p-value of the hypothesis that the mean difference is at least the margin in either direction,
    /// 0..1. Below 0.05 the two are equivalent within the margin.
    pub p_value: f64,
    /// The lower end of the 90 % interval of the mean difference.
    pub low: f64,
    /// The upper end of the 90 % interval of the mean difference.
    pub high: f64,
}

/// Tests whether the mean of paired `differences` is within `-margin..margin`: two one-sided t tests, of
///
/// ```text
/// t1 = (mean + margin) / (s / sqrt n) and t2 = (mean - margin) / (s / sqrt n).
/// ```
///
/// The p-value is the larger of P(T >= t1) and P(T <= t2), with n - 1 degrees of freedom. It is below 0.05
/// exactly if the 90 % interval is within the margin. If all differences are equal, the p-value is 0 within
/// the margin and 1 otherwise. Source: Schuirmann 1987.
///
/// Returns `None` if there are fewer than two differences, if one is not finite, or if `margin` is not a
/// finite number above 0.
pub fn equivalence(differences: &[f64], margin: f64) -> Option<Equivalence> {
    let sample = Sample::new(differences).filter(|_| margin > 0.0 && margin.is_finite())?;
    let (mean, error) = (sample.mean, sample.error());
    if error == 0.0 {
        let p_value = if mean.abs() < margin { 0.0 } else { 1.0 };
        return Some(Equivalence { p_value, low: mean, high: mean });
    }
    let student = sample.student()?;
    let above = student.sf((mean + margin) / error);
    let below = student.cdf((mean - margin) / error);
    let reach = upper_quantile(&student, 0.95) * error;
    Some(Equivalence { p_value: above.max(below), low: mean - reach, high: mean + reach })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_differences_are_equivalent_within_the_margin_alone() {
        assert_eq!(equivalence(&[0.1; 7], 0.2), Some(Equivalence { p_value: 0.0, low: 0.1, high: 0.1 }));
        assert_eq!(equivalence(&[0.1; 7], 0.1).unwrap().p_value, 1.0);
        assert_eq!(equivalence(&[-0.3; 7], 0.2).unwrap().p_value, 1.0);
    }

    #[test]
    fn undefined_tests_are_none() {
        assert_eq!(equivalence(&[0.1], 1.0), None);
        assert_eq!(equivalence(&[0.1, f64::NAN], 1.0), None);
        for margin in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(equivalence(&[0.1, 0.2], margin), None);
        }
    }

    proptest! {
        #[test]
        fn the_p_value_and_the_interval_agree(
            differences in prop::collection::vec(-1.0..1.0f64, 2..40),
            margin in 0.01..2.0f64,
        ) {
            let result = equivalence(&differences, margin).unwrap();
            prop_assume!((result.p_value - 0.05).abs() > 1e-9);
            let within = -margin < result.low && result.high < margin;
            prop_assert_eq!(result.p_value < 0.05, within);
        }
    }
}

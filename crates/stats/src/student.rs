//! The moments of a sample and Student's t distribution, as the tests and intervals of a mean use them.

use crate::summary::constant;
use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};

/// The mean and the spread of at least two finite values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The number of values as a float.
    pub(crate) count: f64,
    /// The arithmetic mean.
    pub(crate) mean: f64,
    /// The sample standard deviation, divided by `count - 1`; 0 if all values are equal.
    pub(crate) deviation: f64,
}

impl Sample {
    /// Returns the mean and the spread of `values`, or `None` if there are fewer than two values or one is
    /// not finite.
    pub(crate) fn new(values: &[f64]) -> Option<Self> {
        if values.len() < 2 || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let count = values.len() as f64;
        if let Some(mean) = constant(values) {
            return Some(Self { count, mean, deviation: 0.0 });
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { count, mean, deviation: (squares / (count - 1.0)).sqrt() })
    }

    /// Returns the standard error of the mean.
    pub(crate) fn error(&self) -> f64 {
        self.deviation / self.count.sqrt()
    }

    /// Returns the t distribution of the studentised mean of normal values: `count - 1` degrees of freedom.
    pub(crate) fn student(&self) -> Option<StudentsT> {
        student(self.count - 1.0)
    }
}

/// Returns the t distribution with `freedom` degrees of freedom, or `None` if `freedom` is not above 0.
pub(crate) fn student(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

/// Returns the `q` quantile of a t distribution, with `q` in 0.5..1.
pub(crate) fn upper_quantile(student: &StudentsT, q: f64) -> f64 {
    let rough = student.inverse_cdf(q);
    // The library's search stops before the last digits are right. A step of Newton's method corrects them.
    rough + (student.sf(rough) - (1.0 - q)) / student.pdf(rough)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_equal_those_of_scipy() {
        // scipy.stats.t.ppf of scipy 1.17.1.
        for (freedom, q, expected) in SCIPY {
            let found = upper_quantile(&student(freedom).unwrap(), q);
            assert!((found / expected - 1.0).abs() < 1e-11, "{freedom} {q}: {found}");
        }
        assert!(student(0.0).is_none());
    }

    /// Degrees of freedom, the probability and the quantile.
    const SCIPY: [(f64, f64, f64); 8] = [
        (1.5, 0.975, 6.016663104427929),
        (1.83, 0.975, 4.709322973057562),
        (4.0, 0.95, 2.1318467863266495),
        (6.37, 0.975, 2.412869029761572),
        (21.0, 0.8, 0.8590740351948252),
        (21.0, 0.975, 2.0796138447276795),
        (49.0, 0.95, 1.6765508926168535),
        (9999.0, 0.975, 1.960201263621357),
    ];

    #[test]
    fn equal_values_have_no_deviation() {
        assert_eq!(Sample::new(&[0.1; 7]), Some(Sample { count: 7.0, mean: 0.1, deviation: 0.0 }));
        assert_eq!(Sample::new(&[0.1]), None);
        assert_eq!(Sample::new(&[0.1, f64::INFINITY]), None);
    }
}

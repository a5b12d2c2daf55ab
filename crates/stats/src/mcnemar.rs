//! McNemar's test: whether a change loses more answers than it gains.

use statrs::function::beta::beta_reg;

/// Returns the exact one-sided p-value of McNemar's test, 0..1: the probability of at least `lost` losses
/// among `lost + gained` changed answers if each change is as likely to be a gain,
///
/// ```text
/// P(X >= lost) with X ~ Binomial(lost + gained, 1/2).
/// ```
///
/// `lost` counts the questions that were answered correctly before the change and wrongly after it, and
/// `gained` the opposite. Answers that did not change carry no information about the direction. Without any
/// change the p-value is 1. Source: McNemar 1947; "When LLMs get significantly worse" (arXiv:2602.10144)
/// recommends the exact one-sided form.
pub fn mcnemar(lost: u64, gained: u64) -> f64 {
    if lost == 0 {
        return 1.0;
    }
    // The upper tail of a binomial distribution is a regularised incomplete beta function.
    beta_reg(lost as f64, gained as f64 + 1.0, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_tails() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(0, 9), 1.0);
        // All of five coins, and 8, 9 or 10 of ten: 56 / 1024.
        assert!((mcnemar(5, 0) - 1.0 / 32.0).abs() < 1e-15);
        assert!((mcnemar(8, 2) - 56.0 / 1024.0).abs() < 1e-14);
    }

    #[test]
    fn large_counts_are_finite() {
        let p = mcnemar(500_000, 500_000);
        assert!((p - 0.5).abs() < 1e-3, "{p}");
        assert!(mcnemar(1_000_000, 0) < 1e-300);
    }

    proptest! {
        #[test]
        fn it_is_the_sum_of_the_outcomes(lost in 0u64..40, gained in 0u64..40) {
            let changes = lost + gained;
            // The number of ways to have k losses is the one for k - 1 times (changes - k + 1) / k.
            let mut outcome = 0.5f64.powi(changes as i32);
            let mut sum = 0.0;
            for k in 0..=changes {
                sum += if k >= lost { outcome } else { 0.0 };
                outcome *= (changes - k) as f64 / (k + 1) as f64;
            }
            prop_assert!((mcnemar(lost, gained) / sum - 1.0).abs() < 1e-11);
        }
    }
}

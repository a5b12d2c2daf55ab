//! The difference between two policies, paired by text.

use crate::interval::{self, Estimate, FEWEST_FOR_STARS};
use bitkv_stats::{minimum_detectable_effect, paired_test};

/// The difference between two policies on the texts that both have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    /// The mean with its interval.
    pub(crate) estimate: Estimate,
    /// The difference on each text that both have.
    pub(crate) values: Vec<f64>,
    /// The number of texts that only one of the two has.
    pub(crate) unpaired: usize,
}

impl Difference {
    /// Returns the difference with these values, one per text that both have, or `None` if there are no
    /// values, or if one of them is not finite.
    pub(crate) fn new(values: Vec<f64>, unpaired: usize) -> Option<Self> {
        Some(Self { estimate: interval::mean(&values)?, values, unpaired })
    }

    /// Returns whether there are enough texts for a test, and some of them differ.
    pub(crate) fn is_testable(&self) -> bool {
        self.values.len() >= FEWEST_FOR_STARS && self.values.iter().any(|value| *value != 0.0)
    }

    /// Returns the two-sided p-value, before any correction for the number of comparisons. It is below 0.05
    /// exactly if the interval excludes 0. It is `None` for too few texts, and if no text differs, because
    /// then there is nothing to test.
    pub(crate) fn p_value(&self) -> Option<f64> {
        if self.is_testable() { paired_test(&self.values) } else { None }
    }

    /// Returns the smallest true difference that a test of one comparison finds with 80 % power. It is `None`
    /// for too few texts to mark a difference, and if all texts differ alike.
    pub(crate) fn detectable(&self) -> Option<f64> {
        // Without a spread the effect is 0.
        minimum_detectable_effect(&self.values).filter(|effect| *effect > 0.0 && self.is_testable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_differences_have_no_p_value() {
        let p_value = |differences: &[f64]| Difference::new(differences.to_vec(), 0).unwrap().p_value();
        let differences = [0.9, 1.0, 1.1, 1.0, 0.9, 1.1, 1.0, 1.05];
        assert_eq!(p_value(&differences[..7]), None);
        assert!(p_value(&differences).unwrap() < 1e-4);
        assert_eq!(p_value(&[0.0; 8]), None, "nothing differs");
    }

    #[test]
    fn equal_differences_have_no_detectable_effect() {
        assert_eq!(Difference::new(vec![0.1; 8], 0).unwrap().detectable(), None);
    }
}

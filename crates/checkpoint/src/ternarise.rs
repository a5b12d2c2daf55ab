//! Absmean ternarisation of full-precision master weights.
//!
//! Reference: transformers `integrations/bitnet.py`, `WeightQuant`, in f32.

use rayon::prelude::*;

use crate::StoredTensor;

/// The number of values that one parallel task adds up. It is fixed, so that a sum does not depend on the
/// number of threads.
const TASK: usize = 1 << 16;

/// The scale with which master weights are ternarised: `weight = code * multiplier`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TernaryScale {
    /// The factor by which master weights are multiplied before rounding: `1 / max(mean|W|, 1e-5)`.
    pub inverse: f32,
    /// The factor by which codes are multiplied: `1 / inverse`.
    pub multiplier: f32,
}

impl TernaryScale {
    /// Returns the scale of one tensor. The mean is taken in f64, so that the order of summation hardly
    /// matters.
    pub fn new(masters: &[f32]) -> Self {
        let sums: Vec<f64> = masters.par_chunks(TASK).map(absolute_sum).collect();
        TernaryScale::from_sum(sums.iter().sum(), masters.len())
    }

    /// Returns the scale of a stored tensor, which is decoded a part at a time.
    pub(crate) fn from_stored(masters: &StoredTensor) -> Self {
        let part = |first: usize| {
            let mut values = vec![0.0; TASK.min(masters.len() - first)];
            masters.read_f32(first, &mut values);
            absolute_sum(&values)
        };
        let firsts: Vec<usize> = (0..masters.len()).step_by(TASK).collect();
        let sums: Vec<f64> = firsts.into_par_iter().map(part).collect();
        TernaryScale::from_sum(sums.iter().sum(), masters.len())
    }

    /// Returns the scale for `count` values whose absolute values add up to `sum`.
    fn from_sum(sum: f64, count: usize) -> Self {
        let mean = (sum / count.max(1) as f64) as f32;
        let inverse = 1.0 / mean.max(1e-5);
        TernaryScale { inverse, multiplier: 1.0 / inverse }
    }

    /// Returns the code of a master weight: -1, 0 or 1, whichever is nearest to `master / mean|W|`, ties to
    /// even.
    pub fn code(self, master: f32) -> i8 {
        (master * self.inverse).round_ties_even().clamp(-1.0, 1.0) as i8
    }
}

/// Returns the sum of the absolute values.
fn absolute_sum(values: &[f32]) -> f64 {
    values.iter().map(|w| f64::from(w.abs())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_round_to_zero_below_half_the_mean() {
        let scale = TernaryScale::new(&[2.0, -2.0, 0.0, 4.0]);
        assert_eq!((scale.inverse, scale.multiplier), (0.5, 2.0));
        assert_eq!([0.9, 1.0, 1.1, -0.9, -1.1, 99.0, -99.0].map(|w| scale.code(w)), [0, 0, 1, 0, -1, 1, -1]);
    }

    #[test]
    fn tensors_of_tiny_values_become_zeros() {
        let scale = TernaryScale::new(&[1e-34, -1e-34]);
        assert_eq!((scale.code(1e-34), scale.code(0.0)), (0, 0));
        assert!(scale.multiplier > 0.0);
    }
}

//! What several methods compute, as functions of one head's numbers. Sums are taken in `f64`
//! and rounded once, so that a score does not depend on the order of summation.

mod expected_attention;
mod key_diff;
mod lag;
mod mean_rotation;
mod norms;
mod smoothing;
mod two_stage;

pub(crate) use expected_attention::{QueryMoments, expected_attention};
pub(crate) use key_diff::key_diff;
pub(crate) use lag::{lag_scores, ranks};
pub(crate) use mean_rotation::MeanRotation;
pub(crate) use norms::{mean_rows, row_norms};
pub(crate) use smoothing::smoothed;
pub(crate) use two_stage::two_stage;

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// Softmax, in place. An empty slice stays empty.
fn softmax(values: &mut [f64]) {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter_mut().for_each(|v| *v = (*v - most).exp());
    let sum: f64 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_does_not_overflow() {
        let mut values = [1000.0, 1000.0, -1000.0];
        softmax(&mut values);
        assert_eq!(values, [0.5, 0.5, 0.0]);
        softmax(&mut []);
    }
}

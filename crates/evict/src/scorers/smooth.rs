//! How scorers smooth attention over neighbouring tokens.

use serde::{Deserialize, Serialize};

use crate::formulas::smoothed;

/// How attention is smoothed over neighbouring tokens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Smoothing {
    /// The centred mean. Numbers beyond both ends count as zeros.
    Mean,
    /// The centred maximum.
    Max,
}

impl Smoothing {
    /// Returns each number smoothed with its neighbours: the mean or the maximum of the `kernel` (odd)
    /// numbers around it.
    pub(super) fn smooth(self, row: &[f32], kernel: usize) -> Vec<f32> {
        let reach = kernel / 2;
        let most = |i: usize| {
            let around = &row[i.saturating_sub(reach)..(i + reach + 1).min(row.len())];
            around.iter().copied().fold(f32::NEG_INFINITY, f32::max)
        };
        match self {
            Smoothing::Mean => smoothed(row, kernel),
            Smoothing::Max => (0..row.len()).map(most).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_ignores_the_padding() {
        assert_eq!(Smoothing::Max.smooth(&[-3.0, -1.0, -2.0, -5.0], 3), [-1.0, -1.0, -1.0, -2.0]);
        assert_eq!(Smoothing::Max.smooth(&[1.0, 7.0, 2.0], 1), [1.0, 7.0, 2.0]);
        assert!(Smoothing::Max.smooth(&[], 3).is_empty());
        assert_eq!(Smoothing::Mean.smooth(&[3.0, 0.0, 6.0], 3), [1.0, 3.0, 2.0]);
    }
}

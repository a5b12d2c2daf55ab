//! How scorers smooth attention over neighbouring tokens.

use serde::{Deserialize, Serialize};

use crate::formulas::smoothed;

/// How attention is smoothed over neighbouring tokens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Smooth {
    /// The centred mean, in which zeros beyond both ends count.
    Mean,
    /// The centred maximum.
    Max,
}

impl Smooth {
    /// Each number with its neighbours, `kernel` of them with itself; `kernel` is odd.
    pub(super) fn over(self, row: &[f32], kernel: usize) -> Vec<f32> {
        let reach = kernel / 2;
        let most = |i: usize| {
            let around = &row[i.saturating_sub(reach)..(i + reach + 1).min(row.len())];
            around.iter().copied().fold(f32::NEG_INFINITY, f32::max)
        };
        match self {
            Smooth::Mean => smoothed(row, kernel),
            Smooth::Max => (0..row.len()).map(most).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_knows_no_padding() {
        assert_eq!(Smooth::Max.over(&[-3.0, -1.0, -2.0, -5.0], 3), [-1.0, -1.0, -1.0, -2.0]);
        assert_eq!(Smooth::Max.over(&[1.0, 7.0, 2.0], 1), [1.0, 7.0, 2.0]);
        assert!(Smooth::Max.over(&[], 3).is_empty());
        assert_eq!(Smooth::Mean.over(&[3.0, 0.0, 6.0], 3), [1.0, 3.0, 2.0]);
    }
}

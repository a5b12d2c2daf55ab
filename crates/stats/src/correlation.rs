//! Linear and rank correlation of two sets of values.

use crate::summary::constant;

/// Returns Pearson's linear correlation of `x` and `y`, -1..1.
///
/// Returns `None` if the lengths differ, if there are fewer than two pairs, if a value is not finite, or if
/// all values of one side are equal.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() || x.len() < 2 || x.iter().chain(y).any(|v| !v.is_finite()) {
        return None;
    }
    if constant(x).is_some() || constant(y).is_some() {
        return None;
    }
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    let r = xy / (xx * yy).sqrt();
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Returns Spearman's rank correlation, -1..1: Pearson's correlation of the [`ranks`]. Returns `None` if the
/// lengths differ, if there are fewer than two pairs, if a value is not finite, or if all values of one side
/// are equal.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.iter().chain(y).any(|v| !v.is_finite()) {
        return None;
    }
    pearson(&ranks(x), &ranks(y))
}

/// Returns the ascending ranks of the values, from 1. Equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for run in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = before as f64 + (run.len() + 1) as f64 / 2.0;
        run.iter().for_each(|&i| ranks[i] = shared);
        before += run.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_rank() {
        assert_eq!(ranks(&[10.0, 20.0, 20.0, 5.0]), [2.0, 3.5, 3.5, 1.0]);
        assert_eq!(ranks(&[-0.0, 0.0]), [1.5, 1.5]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn pearson_measures_lines_and_spearman_order() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let cubes = [1.0, 8.0, 27.0, 64.0];
        assert_eq!(pearson(&x, &[2.0, 4.0, 6.0, 8.0]), Some(1.0));
        assert_eq!(spearman(&x, &cubes), Some(1.0));
        assert!(pearson(&x, &cubes).unwrap() < 0.97);
        assert_eq!(spearman(&x, &[4.0, 3.0, 2.0, 1.0]), Some(-1.0));
    }

    #[test]
    fn ties_are_ranked_as_in_scipy() {
        // Ranks 1, 2.5, 2.5, 4 against 1..4: 4.5 / sqrt(4.5 * 5).
        let r = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((r - 0.948_683_298_050_513_8).abs() < 1e-12);
    }

    #[test]
    fn undefined_correlations_are_none() {
        assert_eq!(pearson(&[1.0, 2.0], &[1.0]), None);
        assert_eq!(pearson(&[1.0], &[1.0]), None);
        assert_eq!(pearson(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
    }
}

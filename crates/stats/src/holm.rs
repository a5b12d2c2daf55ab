//! Holm's correction of p-values for the number of comparisons.

/// Returns Holm's adjusted p-values in the order of `p`, each 0..1.
///
/// With m p-values in ascending order, the adjusted value of the i-th (from 1) is the largest
/// `(m - j + 1) p_j` over `j <= i`, and at most 1. Rejecting all hypotheses whose adjusted value is below
/// 0.05 keeps the probability of at least one false rejection below 0.05, for any dependence of the tests.
/// A p-value that is NaN stays NaN and is not counted. Source: Holm 1979.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut largest = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((order.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(holm(&[0.25, 0.0625, 0.125]), [0.25, 0.1875, 0.25]);
        assert_eq!(holm(&[0.75, 0.75]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn nan_is_not_counted() {
        let adjusted = holm(&[0.25, f64::NAN, 0.125]);
        assert_eq!((adjusted[0], adjusted[2]), (0.25, 0.25));
        assert!(adjusted[1].is_nan());
    }

    proptest! {
        #[test]
        fn lies_between_the_value_and_bonferroni(p in prop::collection::vec(0.0..=1.0f64, 1..40)) {
            let adjusted = holm(&p);
            let m = p.len() as f64;
            prop_assert!(p.iter().zip(&adjusted).all(|(p, a)| *a >= *p && *a <= (m * p).min(1.0)));
        }
    }
}

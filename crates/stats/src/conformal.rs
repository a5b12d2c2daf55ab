//! Upper bounds for the next value, without assumptions about the distribution.

/// Returns the split conformal upper bound at `level` (0..1): the k-th smallest of the n values, with
/// k = ceil((n + 1) level). If the next value is exchangeable with `values`, it is at most this bound with a
/// probability of at least `level`. Source: Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173, section 2.
///
/// Returns `None` if `level` is above [`attainable_level`] or outside (0, 1), or if a value is NaN.
pub fn conformal_bound(values: &[f64], level: f64) -> Option<f64> {
    if !(level > 0.0 && level < 1.0) || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    // A product such as 20 * 0.95 must not exceed the whole number that it is by a rounding error.
    let rank = ((values.len() + 1) as f64 * level - 1e-9).ceil() as usize;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(rank.max(1) - 1).copied()
}

/// Returns the highest level at which `count` values have a conformal bound, n / (n + 1): that of their
/// maximum.
pub fn attainable_level(count: usize) -> f64 {
    count as f64 / (count + 1) as f64
}

/// Returns the smallest number of values that have a conformal bound at `level`, which is in (0, 1).
pub fn values_for_level(level: f64) -> usize {
    (level / (1.0 - level) - 1e-9).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascending(count: usize) -> Vec<f64> {
        (1..=count).rev().map(|value| value as f64).collect()
    }

    #[test]
    fn the_bound_is_an_order_statistic() {
        // ceil(23 * 0.95) = 22, ceil(23 * 0.9) = 21, ceil(101 * 0.95) = 96.
        assert_eq!(conformal_bound(&ascending(22), 0.95), Some(22.0));
        assert_eq!(conformal_bound(&ascending(22), 0.9), Some(21.0));
        assert_eq!(conformal_bound(&ascending(100), 0.95), Some(96.0));
        // 20 * 0.95 is 19 exactly.
        assert_eq!(conformal_bound(&ascending(19), 0.95), Some(19.0));
        assert_eq!(conformal_bound(&ascending(3), 0.01), Some(1.0));
    }

    #[test]
    fn a_level_that_the_number_of_values_does_not_attain_has_no_bound() {
        assert_eq!(conformal_bound(&ascending(18), 0.95), None);
        assert_eq!(conformal_bound(&[], 0.5), None);
        assert_eq!(conformal_bound(&[1.0, f64::NAN], 0.5), None);
        assert_eq!([0.0, 1.0, f64::NAN].map(|level| conformal_bound(&ascending(5), level)), [None; 3]);
        assert_eq!((attainable_level(22), attainable_level(0)), (22.0 / 23.0, 0.0));
        assert_eq!([0.95, 0.9, 0.5].map(values_for_level), [19, 9, 1]);
    }

    #[test]
    fn the_smallest_number_of_values_just_attains_the_level() {
        for level in [0.5, 0.8, 0.9, 0.95, 0.99] {
            let count = values_for_level(level);
            assert!(conformal_bound(&ascending(count), level).is_some(), "{level}");
            assert_eq!(conformal_bound(&ascending(count - 1), level), None, "{level}");
        }
    }
}

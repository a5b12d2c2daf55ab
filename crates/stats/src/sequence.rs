//! Comparison of two sequences, such as the tokens of two continuations.

/// Returns the length of the common prefix of two sequences.
pub fn first_difference<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns the fraction of the positions at which two sequences of equal length have the same item, 0..1.
///
/// Items are compared position by position: if one sequence has an additional item, the items after it
/// usually differ. The result is NaN if the sequences differ in length or are empty.
pub fn matching_fraction<T: PartialEq>(a: &[T], b: &[T]) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_sequences() {
        let (a, b) = ([5, 6, 7, 8], [5, 6, 9, 8]);
        assert_eq!((first_difference(&a, &b), matching_fraction(&a, &b)), (2, 0.75));
        assert_eq!((first_difference(&a, &a), matching_fraction(&a, &a)), (4, 1.0));
        // With one additional item at the start, nothing matches, although both sequences share items.
        assert_eq!(matching_fraction(&[1, 2, 3], &[0, 1, 2]), 0.0);
    }

    #[test]
    fn sequences_of_different_lengths() {
        assert_eq!(first_difference(&[1, 2], &[1, 2, 3]), 2);
        assert!(matching_fraction(&[1, 2], &[1, 2, 3]).is_nan());
        assert!(matching_fraction::<u32>(&[], &[]).is_nan());
    }

    proptest! {
        #[test]
        fn each_change_lowers_both(a in prop::collection::vec(0u32..5, 1..50), at: prop::sample::Index) {
            let at = at.index(a.len());
            let mut b = a.clone();
            b[at] += 1;
            prop_assert_eq!(first_difference(&a, &b), at);
            prop_assert!((matching_fraction(&a, &b) - (1.0 - 1.0 / a.len() as f64)).abs() < 1e-12);
            // Everything before the first difference matches.
            prop_assert!(matching_fraction(&a, &b) >= at as f64 / a.len() as f64);
        }
    }
}

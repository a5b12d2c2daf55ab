/// How many items two sequences share before they differ for the first time; all of them when one
/// begins with the other.
pub fn first_difference<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The part of the places at which two sequences of one length have the same item, 0..1.
///
/// Items are compared where they stand: one word more or less makes all behind it differ. NaN for sequences
/// that differ in length or are empty.
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
    fn worked_by_hand() {
        let (a, b) = ([5, 6, 7, 8], [5, 6, 9, 8]);
        assert_eq!((first_difference(&a, &b), matching_fraction(&a, &b)), (2, 0.75));
        assert_eq!((first_difference(&a, &a), matching_fraction(&a, &a)), (4, 1.0));
        // One item more in front: nothing matches although everything is there.
        assert_eq!(matching_fraction(&[1, 2, 3], &[0, 1, 2]), 0.0);
    }

    #[test]
    fn what_cannot_be_compared() {
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
            // What is the same up to the first difference is at least so much of the whole.
            prop_assert!(matching_fraction(&a, &b) >= at as f64 / a.len() as f64);
        }
    }
}

//! The relative error of a vector.

/// Returns the distance of `other` from `reference`, relative to the length of `reference`:
/// `||other - reference||_2 / ||reference||_2`.
///
/// It is 0 for equal vectors, 1 if `other` is zero or if the error is as long as the reference, and has no
/// upper limit. It is NaN if the vectors differ in length or hold a NaN, or if the reference is zero.
pub fn relative_error(reference: &[f32], other: &[f32]) -> f64 {
    if reference.len() != other.len() {
        return f64::NAN;
    }
    let pairs = reference.iter().zip(other).map(|(&r, &o)| (f64::from(r), f64::from(o)));
    let (error, length) =
        pairs.fold((0.0, 0.0), |(error, length), (r, o)| (error + (o - r).powi(2), length + r * r));
    // If the reference is zero, the result is NaN even if the error is not zero; the quotient would be
    // infinite.
    if length == 0.0 { f64::NAN } else { (error / length).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_vectors() {
        assert_eq!(relative_error(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        assert_eq!(relative_error(&[3.0, 4.0], &[0.0, 0.0]), 1.0);
        assert_eq!(relative_error(&[3.0, 4.0], &[3.0, 6.5]), 0.5);
        assert_eq!(relative_error(&[3.0, 4.0], &[-3.0, -4.0]), 2.0);
    }

    #[test]
    fn undefined_values_are_nan_rather_than_perfect() {
        assert!(relative_error(&[], &[]).is_nan());
        assert!(relative_error(&[1.0], &[1.0, 1.0]).is_nan());
        assert!(relative_error(&[0.0], &[1.0]).is_nan());
        assert!(relative_error(&[1.0, 1.0], &[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        assert!((relative_error(&[3e38; 4], &[0.0; 4]) - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn grows_with_the_error_and_ignores_the_scale(
            reference in prop::collection::vec(prop_oneof![Just(0.0f32), -9.0..9.0f32], 1..60),
            at: prop::sample::Index,
            error in 0.125..4.0f32,
        ) {
            prop_assume!(reference.iter().any(|&r| r != 0.0));
            let off = |by: f32| {
                let mut other = reference.clone();
                other[at.index(reference.len())] += by;
                other
            };
            let twice = |v: &[f32]| v.iter().map(|x| 2.0 * x).collect::<Vec<_>>();
            let (small, large) = (off(error), off(2.0 * error));
            prop_assert_eq!(relative_error(&reference, &reference), 0.0);
            prop_assert!(relative_error(&reference, &small) > 0.0);
            prop_assert!(relative_error(&reference, &large) > relative_error(&reference, &small));
            prop_assert_eq!(
                relative_error(&twice(&reference), &twice(&small)),
                relative_error(&reference, &small)
            );
        }
    }
}

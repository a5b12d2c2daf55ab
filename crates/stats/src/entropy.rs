//! Shannon entropy of attention rows.

/// Probabilities at or below this add nothing to the entropy, as in the published calibration
/// (microsoft/BitNet pull request 497, `calibrate_entropy.py`).
const NEGLIGIBLE: f64 = 1e-10;

/// Returns the Shannon entropy of a row of probabilities, in bits.
///
/// The row is not renormalised. The entropy is never negative, and it is NaN if the row holds a NaN.
pub fn entropy_bits(p: &[f32]) -> f64 {
    let mut bits = 0.0;
    for p in p.iter().map(|&p| f64::from(p)) {
        // Without `is_nan`, the comparison would drop a NaN with the negligible terms.
        if p > NEGLIGIBLE || p.is_nan() {
            bits -= p * p.log2();
        }
    }
    // A probability rounded above 1 must not make the entropy negative, nor -0.
    if bits <= 0.0 { 0.0 } else { bits }
}

/// Returns the entropy as a fraction of the highest entropy over `keys` keys, `H / log2(keys)`, so that
/// contexts of different lengths can be compared. It is 0 for fewer than two keys.
pub fn normalised(bits: f64, keys: usize) -> f64 {
    if keys < 2 { 0.0 } else { bits / (keys as f64).log2() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_rows() {
        assert_eq!(entropy_bits(&[1.0]), 0.0);
        assert!(entropy_bits(&[1.0]).is_sign_positive());
        assert_eq!(entropy_bits(&[0.25; 4]), 2.0);
        assert_eq!(entropy_bits(&[0.5, 0.25, 0.25, 0.0]), 1.5);
        assert_eq!(entropy_bits(&[]), 0.0);
        assert!(entropy_bits(&[0.5, f32::NAN]).is_nan());
    }

    #[test]
    fn negligible_terms_are_dropped_as_published() {
        // A million terms of 9e-11 would otherwise add 0.003 bits.
        let mut row = vec![9e-11f32; 1_000_000];
        assert_eq!(entropy_bits(&row), 0.0);
        row.push(0.5);
        assert_eq!(entropy_bits(&row), 0.5);
    }

    #[test]
    fn normalised_is_one_for_a_flat_row() {
        assert_eq!(normalised(entropy_bits(&[0.125; 8]), 8), 1.0);
        assert_eq!(normalised(0.0, 1), 0.0);
    }

    proptest! {
        #[test]
        fn entropy_is_between_zero_and_log_n(raw in prop::collection::vec(0.0..1.0f32, 1..200)) {
            let sum: f32 = raw.iter().sum::<f32>().max(1e-6);
            let row: Vec<f32> = raw.iter().map(|p| p / sum).collect();
            let bits = entropy_bits(&row);
            prop_assert!((0.0..=(row.len() as f64).log2() + 1e-4).contains(&bits));
        }
    }
}

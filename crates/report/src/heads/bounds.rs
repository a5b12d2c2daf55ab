//! The bounds between the classes of heads.

use bitkv_record::Thresholds;

/// The two published sets of class bounds, with their names in tables.
pub(super) const BOUNDS: [(&str, Thresholds); 2] =
    [("code: 0.5/1.5/3.0/4.0", Thresholds::CODE), ("printed: 0.5/1.5/2.5/3.5", Thresholds::PRINTED)];
/// The entropy in bits below which a head is a sink or focused, under both sets of bounds.
const FOCUSED_BITS: f64 = 1.5;

/// Returns the number of heads below 1.5 bits.
pub(crate) fn count_below(bits: &[f64]) -> usize {
    bits.iter().filter(|&&b| b < FOCUSED_BITS).count()
}

/// Returns the share of heads below 1.5 bits, or 0 if there are no heads.
pub(crate) fn below(bits: &[f64]) -> f64 {
    count_below(bits) as f64 / bits.len().max(1) as f64
}

//! Computes powers of two in a way that the compiler can vectorise.

/// Coefficients of the minimax polynomial of `2^f` on [-0.5, 0.5], highest power first. Its relative error is
/// below 7.8e-13.
const POLYNOMIAL: [f64; 9] = [
    1.317_585_882_142_459e-6,
    1.530_973_729_473_456e-5,
    1.540_385_174_451_419_4e-4,
    1.333_345_206_279_178e-3,
    9.618_128_542_870_54e-3,
    5.550_410_939_340_891e-2,
    0.240_226_506_988_803_2,
    0.693_147_180_546_514_4,
    0.999_999_999_999_762_3,
];
/// Adding this number, 1.5 * 2^52, leaves the nearest integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Smaller exponents are replaced by this one. `2^-1000` is about 1e-301, too small to change a sum that
/// contains 1.
const LOWEST: f64 = -1000.0;

/// Returns `2^t` for `t <= 1023`. The relative error is below 1e-12 for `t >= -1000`.
///
/// Each multiply-add rounds once: it is one instruction if the machine has it, and a library call with the
/// same bits otherwise.
#[inline(always)]
pub(super) fn exp2(t: f64) -> f64 {
    let t = if t > LOWEST { t } else { LOWEST };
    let shifted = t + ROUND;
    let f = t - (shifted - ROUND);
    let mut p = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        p = p.mul_add(f, *coefficient);
    }
    f64::from_bits((shifted.to_bits() << 52).wrapping_add(p.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_within_its_bound() {
        for step in -1_000_000..20_000 {
            let t = f64::from(step) * 0.001;
            let error = exp2(t) / t.exp2() - 1.0;
            assert!(error.abs() < 1e-12, "2^{t} is off by {error}");
        }
        assert_eq!(exp2(f64::NEG_INFINITY), exp2(LOWEST));
        assert!(exp2(-1e300) < 1e-300);
    }
}

//! Vectors of sixteen f32 lanes that behave the same with every instruction set.
//!
//! Kernels are generic over the trait [`Lanes`], which [`Avx512`], [`Avx2`] and [`Portable`] implement. The
//! order of summation is fixed, so AVX-512 and AVX2 give the same bits. The portable implementation has no
//! fused multiply-add and differs from them in the last bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(target_arch = "x86_64")]
mod quarters;

use half::{bf16, f16};

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

use crate::{Level, level};

/// Number of lanes.
pub(crate) const LANES: usize = 16;

/// Rounds `x` up to a multiple of [`LANES`].
pub(crate) fn padded(x: usize) -> usize {
    x.next_multiple_of(LANES)
}

/// Returns the level that implementations of [`Lanes`] use. It is [`level`], or `Portable` if that is AVX2 on
/// a machine without F16C, which converts half floats.
pub(crate) fn lanes_level() -> Level {
    if level() == Level::Avx2 && !has_halves() { Level::Portable } else { level() }
}

#[cfg(target_arch = "x86_64")]
fn has_halves() -> bool {
    crate::extension::Extension::Halves.works()
}

#[cfg(not(target_arch = "x86_64"))]
fn has_halves() -> bool {
    false
}

/// Returns every level that this machine supports, regardless of `BITKV_ISA`.
#[cfg(test)]
pub(crate) fn available() -> Vec<Level> {
    let isas = crate::Isa::available();
    let is_available = |level: &Level| match level {
        Level::Portable => true,
        Level::Avx2 => isas.contains(&crate::Isa::Avx2) && has_halves(),
        Level::Avx512 => isas.contains(&crate::Isa::Avx512),
    };
    [Level::Portable, Level::Avx2, Level::Avx512].into_iter().filter(is_available).collect()
}

/// A vector of sixteen f32 lanes.
///
/// # Safety
/// Every method needs the instructions of the implementing type; pointers must be valid for 16 values.
pub(crate) trait Lanes: Copy {
    /// A vector of sixteen f64 lanes.
    type Wide: Copy;
    /// The largest tile of sums that fits the registers together with its operands: the number of rows, and
    /// of vectors per row.
    const TILE: [usize; 2];

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    unsafe fn load_f16(at: *const f16) -> Self;
    unsafe fn load_bf16(at: *const bf16) -> Self;
    unsafe fn store(self, at: *mut f32);
    /// Returns `self + a * b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// Returns `self` in lanes where `x > threshold`, and 0 in the others.
    unsafe fn where_above(self, x: Self, threshold: Self) -> Self;
    /// Returns `2^n` if `self` is `n + MAGIC`.
    unsafe fn power_of_two(self) -> Self;
    /// Returns the sum over the lanes of each of four registers. It adds the halves of a register, then the
    /// quarters, then the last four lanes as `(0 + 1) + (2 + 3)`.
    unsafe fn sum4(registers: [Self; 4]) -> [f32; 4];
    /// Transposes: lane `i` of register `j` becomes lane `j` of register `i`.
    unsafe fn transpose(registers: [Self; LANES]) -> [Self; LANES];
    unsafe fn widen(self) -> Self::Wide;
    unsafe fn splat_wide(x: f64) -> Self::Wide;
    /// The pointer must be valid for 16 f64 values, here and in `store_wide`.
    unsafe fn load_wide(at: *const f64) -> Self::Wide;
    unsafe fn store_wide(wide: Self::Wide, at: *mut f64);
    unsafe fn add_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    unsafe fn sub_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide;

    /// Returns `e^x` for `x <= 0`, and 0 for `x` below -87. The relative error is below 2e-7.
    #[inline(always)]
    unsafe fn exp(self) -> Self {
        // SAFETY: the caller guarantees the instructions.
        unsafe {
            // The result is meaningless in lanes far below -87; the last step replaces it by 0.
            let shifted = Self::splat(MAGIC).fma(self, Self::splat(std::f32::consts::LOG2_E));
            let n = shifted.add(Self::splat(-MAGIC));
            let r = self.fma(n, Self::splat(-LN2_HIGH)).fma(n, Self::splat(-LN2_LOW));
            let mut y = Self::splat(POLYNOMIAL[0]);
            for c in &POLYNOMIAL[1..] {
                y = Self::splat(*c).fma(y, r);
            }
            y.mul(shifted.power_of_two()).where_above(self, Self::splat(LOWEST))
        }
    }
}

/// Adding this number to a small f32 leaves the nearest integer in the low bits.
pub(crate) const MAGIC: f32 = 12_582_912.0;
/// Below this exponent `e^x` is subnormal and is replaced by 0.
const LOWEST: f32 = -87.0;
/// `ln 2` is `LN2_HIGH + LN2_LOW`.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Coefficients of the polynomial for `e^r`, highest power first. Among the polynomials of this degree that
/// are 1 at 0, it has the smallest maximum relative error for |r| <= ln 2 / 2, which is 2e-9. It was found by
/// iteratively reweighted least squares.
const POLYNOMIAL: [f32; 7] =
    [1.384_360_7e-3, 8.374_196e-3, 4.166_800_5e-2, 0.166_664_3, 0.499_999_94, 1.0, 1.0];

#[cfg(test)]
mod tests {
    use super::*;

    fn exp_of<L: Lanes>(xs: [f32; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: the caller has checked the level.
        unsafe { L::load(xs.as_ptr()).exp().store(out.as_mut_ptr()) };
        out
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn exp_avx512(xs: [f32; LANES]) -> [f32; LANES] {
        exp_of::<Avx512>(xs)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn exp_avx2(xs: [f32; LANES]) -> [f32; LANES] {
        exp_of::<Avx2>(xs)
    }

    #[test]
    fn exp_is_accurate_and_zero_far_below() {
        for step in 0..6000 {
            let xs: [f32; LANES] = std::array::from_fn(|i| -(step as f32 * 16.0 + i as f32) * 0.001);
            let mut results = vec![exp_of::<Portable>(xs)];
            #[cfg(target_arch = "x86_64")]
            {
                // SAFETY: each call is guarded by a check of the level.
                unsafe {
                    if available().contains(&Level::Avx2) {
                        results.push(exp_avx2(xs));
                    }
                    if available().contains(&Level::Avx512) {
                        results.push(exp_avx512(xs));
                    }
                }
            }
            for (result, i) in results.iter().flat_map(|r| (0..LANES).map(move |i| (r[i], i))) {
                let exact = f64::from(xs[i]).exp();
                let error = (f64::from(result) - exact).abs();
                let allowed = if xs[i] > LOWEST { 3e-7 * exact } else { 2e-38 };
                assert!(error <= allowed, "exp({}) = {result}, not {exact}", xs[i]);
            }
        }
        assert_eq!(exp_of::<Portable>([f32::NEG_INFINITY; LANES]), [0.0; LANES]);
        assert_eq!(exp_of::<Portable>([0.0; LANES]), [1.0; LANES]);
    }
}

//! Sixteen f32 lanes with one meaning on every machine.
//!
//! Sums are taken in an order fixed here, so that AVX-512 and AVX2 give the same bits. The
//! portable form has no fused multiply-add and differs from them in the last bits.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::{bf16, f16};

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

use crate::{Level, level};

/// How many lanes there are.
pub(crate) const LANES: usize = 16;

/// `x` rounded up to whole registers.
pub(crate) fn padded(x: usize) -> usize {
    x.next_multiple_of(LANES)
}

/// The level at which [`Lanes`] may run here: half floats need F16C besides AVX2.
pub(crate) fn lanes_level() -> Level {
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx2 && !is_x86_feature_detected!("f16c") {
        return Level::Portable;
    }
    level()
}

/// Sixteen lanes.
///
/// # Safety
/// Every method needs the instructions of the implementing type; pointers must be valid for 16 values.
pub(crate) trait Lanes: Copy {
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    unsafe fn load_f16(at: *const f16) -> Self;
    unsafe fn load_bf16(at: *const bf16) -> Self;
    unsafe fn store(self, at: *mut f32);
    /// `self + a * b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// `self` where `x > threshold`, elsewhere 0.
    unsafe fn where_above(self, x: Self, threshold: Self) -> Self;
    /// `2^n` from `n + MAGIC`.
    unsafe fn power_of_two(self) -> Self;
    /// The sum over the lanes of each of four registers: halves, quarters, then `(0 + 1) + (2 + 3)`.
    unsafe fn sum4(of: [Self; 4]) -> [f32; 4];

    /// `e^x` for `x <= 0`, 0 below -87; relative error below 2e-7.
    #[inline(always)]
    unsafe fn exp(self) -> Self {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let x = self.max(Self::splat(LOWEST));
            let shifted = Self::splat(MAGIC).fma(x, Self::splat(std::f32::consts::LOG2_E));
            let n = shifted.add(Self::splat(-MAGIC));
            let r = x.fma(n, Self::splat(-LN2_HIGH)).fma(n, Self::splat(-LN2_LOW));
            let mut y = Self::splat(TAYLOR[0]);
            for c in &TAYLOR[1..] {
                y = Self::splat(*c).fma(y, r);
            }
            y.mul(shifted.power_of_two()).where_above(self, Self::splat(LOWEST))
        }
    }
}

/// Adding it to a small f32 leaves the nearest integer in the low bits.
pub(crate) const MAGIC: f32 = 12_582_912.0;
/// Below it `e^x` is a subnormal; taken as 0.
const LOWEST: f32 = -87.0;
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// 1/7!, 1/6! ... 1/0!: enough for |r| <= ln 2 / 2.
const TAYLOR: [f32; 8] =
    [1.984_127e-4, 1.388_888_9e-3, 8.333_334e-3, 4.166_666_8e-2, 0.166_666_67, 0.5, 1.0, 1.0];

/// `R` rows of `a` times 4 rows of `b`, both of `width` floats (a multiple of 16) `stride` apart.
///
/// Each result depends on its own two rows only, never on `R`.
///
/// # Safety
/// The instructions of `L` must be there and the rows valid.
#[inline(always)]
pub(crate) unsafe fn dots<L: Lanes, const R: usize>(
    a: *const f32,
    b: *const f32,
    stride: usize,
    width: usize,
) -> [[f32; 4]; R] {
    // SAFETY: the caller vouches for the instructions and the rows.
    unsafe {
        let mut sums = [[L::splat(0.0); 4]; R];
        let mut i = 0;
        while i < width {
            // No `from_fn` or `map` on registers: they are not compiled for the wide instructions, and a
            // register that passes through them goes by way of memory.
            let mut columns = [L::splat(0.0); 4];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = L::load(b.add(j * stride + i));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let a = L::load(a.add(r * stride + i));
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    *sum = sum.fma(a, *column);
                }
            }
            i += LANES;
        }
        let mut out = [[0.0; 4]; R];
        for (out, sums) in out.iter_mut().zip(&sums) {
            *out = L::sum4(*sums);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp_of<L: Lanes>(xs: [f32; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        // SAFETY: the caller checked the level.
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
                // SAFETY: guarded by the level.
                unsafe {
                    if lanes_level() >= Level::Avx2 {
                        results.push(exp_avx2(xs));
                    }
                    if lanes_level() >= Level::Avx512 {
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

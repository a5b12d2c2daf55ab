//! The implementation of [`Lanes`] with plain arrays, for any machine.

use half::{bf16, f16};

use super::{LANES, Lanes};

/// A vector of sixteen f32 in a plain array.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

/// Returns the vector whose lane `i` is `f(i)`.
#[inline(always)]
fn from_lanes(f: impl Fn(usize) -> f32) -> Portable {
    Portable(std::array::from_fn(f))
}

impl Lanes for Portable {
    type Wide = [f64; LANES];
    /// On a machine with 16 registers of 128 bits a vector takes four, so the two sums take 8 registers.
    const TILE: [usize; 2] = [2, 1];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Portable([x; LANES])
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller promises 16 values.
        from_lanes(|i| unsafe { *at.add(i) })
    }

    #[inline(always)]
    unsafe fn load_f16(at: *const f16) -> Self {
        // SAFETY: the caller promises 16 values.
        from_lanes(|i| unsafe { *at.add(i) }.to_f32())
    }

    #[inline(always)]
    unsafe fn load_bf16(at: *const bf16) -> Self {
        // SAFETY: the caller promises 16 values.
        from_lanes(|i| unsafe { *at.add(i) }.to_f32())
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller promises room for 16 values.
        unsafe { at.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // This is not `mul_add`, which is a slow library call on machines without the instruction.
        from_lanes(|i| self.0[i] + a.0[i] * b.0[i])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        from_lanes(|i| self.0[i] + other.0[i])
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        from_lanes(|i| self.0[i] * other.0[i])
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        from_lanes(|i| self.0[i].max(other.0[i]))
    }

    #[inline(always)]
    unsafe fn where_above(self, x: Self, threshold: Self) -> Self {
        from_lanes(|i| if x.0[i] > threshold.0[i] { self.0[i] } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        from_lanes(|i| f32::from_bits((self.0[i].to_bits() << 23).wrapping_add(1.0f32.to_bits())))
    }

    #[inline(always)]
    unsafe fn sum4(registers: [Self; 4]) -> [f32; 4] {
        registers.map(|v| {
            let half: [f32; 8] = std::array::from_fn(|i| v.0[i] + v.0[i + 8]);
            let quarter: [f32; 4] = std::array::from_fn(|i| half[i] + half[i + 4]);
            (quarter[0] + quarter[1]) + (quarter[2] + quarter[3])
        })
    }

    #[inline(always)]
    unsafe fn transpose(registers: [Self; LANES]) -> [Self; LANES] {
        std::array::from_fn(|i| from_lanes(|j| registers[j].0[i]))
    }

    #[inline(always)]
    unsafe fn widen(self) -> Self::Wide {
        self.0.map(f64::from)
    }

    #[inline(always)]
    unsafe fn splat_wide(x: f64) -> Self::Wide {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn load_wide(at: *const f64) -> Self::Wide {
        // SAFETY: the caller promises 16 values.
        unsafe { at.cast::<[f64; LANES]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_wide(wide: Self::Wide, at: *mut f64) {
        // SAFETY: the caller promises room for 16 values.
        unsafe { at.cast::<[f64; LANES]>().write_unaligned(wide) }
    }

    #[inline(always)]
    unsafe fn add_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn sub_wide(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        std::array::from_fn(|i| a[i] - b[i])
    }
}

//! The kernel for NEON. `sdot` on 128-bit registers multiplies four rows at a time. `sdot` reads codes as
//! signed numbers, which is correct because codes are 0 to 2.

use std::arch::{aarch64::*, asm};

/// Adds four dot products of four codes with the four activations of lane `$lane`. It is assembly because the
/// intrinsic is not stable.
macro_rules! dot {
    ($sum:expr, $codes:expr, $x:expr, $lane:literal) => {
        asm!(concat!("sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[", $lane, "]"),
            inout(vreg) $sum, in(vreg) $codes, in(vreg) $x, options(pure, nomem, nostack))
    };
}

/// Multiplies `T` tokens by one packed group and writes the sums to `out[token][row]`.
///
/// # Safety
/// Needs NEON with dot products; every pointer must be valid for its shape.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn packed<const T: usize>(
    (x, x_stride): (*const i8, usize),
    (weights, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let mask = vdupq_n_u8(3);
    // SAFETY: 64 bytes from `i` on are inside the group, and their sixteen activations are inside each token.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 4]; T];
        for i in (0..group_bytes).step_by(64) {
            let mut columns = [vdupq_n_s8(0); T];
            for (t, columns) in columns.iter_mut().enumerate() {
                *columns = vld1q_s8(x.add(t * x_stride + i / 4));
            }
            for quarter in 0..4 {
                let bytes = vld1q_u8(weights.add(i + quarter * 16));
                let planes = [
                    vandq_u8(bytes, mask),
                    vandq_u8(vshrq_n_u8::<2>(bytes), mask),
                    vandq_u8(vshrq_n_u8::<4>(bytes), mask),
                    vshrq_n_u8::<6>(bytes),
                ];
                for (sums, columns) in sums.iter_mut().zip(&columns) {
                    dot!(sums[quarter], planes[0], *columns, "0");
                    dot!(sums[quarter], planes[1], *columns, "1");
                    dot!(sums[quarter], planes[2], *columns, "2");
                    dot!(sums[quarter], planes[3], *columns, "3");
                }
            }
        }
        for (t, sums) in sums.iter().enumerate() {
            for (quarter, sum) in sums.iter().enumerate() {
                vst1q_s32(out.add(t * out_stride + quarter * 4), *sum);
            }
        }
    }
}

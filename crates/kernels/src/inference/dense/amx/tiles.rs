//! The inner loop, by inline assembly: the intrinsics are not stable.

use std::arch::{
    asm,
    x86_64::{_MM_HINT_T0, _mm_prefetch},
};

use half::bf16;

use super::{DEPTH, PARTS, ROWS, SIDE};
use crate::amx;

/// Steps from the weights in use to those fetched ahead.
const AHEAD: usize = 8;

/// Neighbouring rows times a group of tokens.
pub(super) struct Product<'a> {
    /// Rows of weights, `stride` apart.
    pub(super) left: &'a [bf16],
    /// A multiple of 32.
    pub(super) stride: usize,
    /// As [`Packed`](super::Packed) holds them.
    pub(super) right: &'a [u32],
    /// At most 16.
    pub(super) tokens: usize,
}

/// One block of 16 rows: its sums, where they are, and its weights.
macro_rules! block {
    ($sums:literal, $at:expr, $bytes:expr) => {
        asm!(
            "tileloadd tmm4, [{at} + {bytes}]",
            concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm5"),
            concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm6"),
            concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm7"),
            at = in(reg) $at, bytes = in(reg) $bytes, options(nostack, readonly))
    };
}

macro_rules! store {
    ($sums:literal, $at:expr) => {
        asm!(
            concat!("tilestored [{at} + {bytes}], tmm", $sums),
            at = in(reg) $at, bytes = in(reg) SIDE * size_of::<f32>(), options(nostack))
    };
}

impl Product<'_> {
    /// The first `BLOCKS * 16` rows: 1, 2 or 4 blocks. Columns of `sums` past the tokens mean nothing.
    ///
    /// Each step adds the products with the high, the middle and the low part, in this order.
    ///
    /// # Safety
    /// The tile unit must be present.
    pub(super) unsafe fn sum<const BLOCKS: usize>(&self, sums: &mut [[f32; SIDE]; ROWS]) {
        let Product { left, stride, right, tokens } = *self;
        let (steps, part) = (stride / DEPTH, SIDE * tokens);
        assert!(left.len() >= BLOCKS * SIDE * stride && right.len() >= steps * PARTS * part + SIDE - tokens);
        let (bytes, row) = (stride * size_of::<bf16>(), tokens * size_of::<u32>());
        // SAFETY: the operands are long enough: a tile of fewer tokens than 16 ends `16 - tokens` words behind its own.
        // Tiles are outside the compiler's allocation, so that separate statements may hand values over in them;
        // nothing between them touches tiles. What is fetched ahead is not read.
        unsafe {
            amx::configure();
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nomem, nostack));
            for step in 0..steps {
                let (a, b) = (left.as_ptr().add(step * DEPTH), right.as_ptr().add(step * PARTS * part));
                // Behind the end of these rows are the next ones.
                let next = if step + AHEAD < steps { 0 } else { (BLOCKS * SIDE - 1) * stride };
                for r in 0..BLOCKS * SIDE {
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD * DEPTH + next + r * stride).cast());
                }
                asm!(
                    "tileloadd tmm5, [{high} + {row}]",
                    "tileloadd tmm6, [{middle} + {row}]",
                    "tileloadd tmm7, [{low} + {row}]",
                    high = in(reg) b, middle = in(reg) b.add(part), low = in(reg) b.add(2 * part),
                    row = in(reg) row, options(nostack, readonly));
                block!("0", a, bytes);
                if BLOCKS > 1 {
                    block!("1", a.add(SIDE * stride), bytes);
                }
                if BLOCKS > 2 {
                    block!("2", a.add(2 * SIDE * stride), bytes);
                    block!("3", a.add(3 * SIDE * stride), bytes);
                }
            }
            let at = sums.as_mut_ptr();
            store!("0", at);
            if BLOCKS > 1 {
                store!("1", at.add(SIDE));
            }
            if BLOCKS > 2 {
                store!("2", at.add(2 * SIDE));
                store!("3", at.add(3 * SIDE));
            }
        }
    }
}

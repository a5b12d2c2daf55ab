//! The inner loop of the product, in inline assembly because the AMX intrinsics are not stable in Rust.

use std::arch::{
    asm,
    x86_64::{_MM_HINT_T0, _mm_prefetch},
};

use half::bf16;

use super::{DEPTH, ROWS, SIDE};
use crate::amx;

/// Prefetch distance of the weights, in steps.
const AHEAD: usize = 8;

/// The operands of a product of neighbouring rows and a group of tokens.
pub(super) struct Product<'a> {
    /// Rows of weights, `stride` values apart.
    pub(super) left: &'a [bf16],
    /// Distance between rows, a multiple of 32.
    pub(super) stride: usize,
    /// Activations in the layout of [`Packed`](super::Packed).
    pub(super) right: &'a [u32],
    /// Number of tokens, at most 16.
    pub(super) tokens: usize,
}

/// Multiplies one block of 16 rows. The arguments are the number of parts of the activations, the tile of the
/// sums, the address of the weights and their stride in bytes.
macro_rules! block {
    ($parts:expr, $sums:literal, $at:expr, $bytes:expr) => {
        if $parts == 1 {
            asm!(
                "tileloadd tmm4, [{at} + {bytes}]",
                concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm5"),
                at = in(reg) $at, bytes = in(reg) $bytes, options(nostack, readonly))
        } else {
            asm!(
            "tileloadd tmm4, [{at} + {bytes}]",
            concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm5"),
            concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm6"),
            concat!("tdpbf16ps tmm", $sums, ", tmm4, tmm7"),
            at = in(reg) $at, bytes = in(reg) $bytes, options(nostack, readonly))
        }
    };
}

/// Stores a tile of sums.
macro_rules! store {
    ($sums:literal, $at:expr) => {
        asm!(
            concat!("tilestored [{at} + {bytes}], tmm", $sums),
            at = in(reg) $at, bytes = in(reg) SIDE * size_of::<f32>(), options(nostack))
    };
}

impl Product<'_> {
    /// Computes the sums of the first `BLOCKS * 16` rows, for 1, 2 or 4 blocks. Columns of `sums` after the
    /// last token are unspecified.
    ///
    /// Each activation has one part or three. A step adds the products with the high, the middle and the low
    /// part, in this order.
    ///
    /// # Safety
    /// The machine must have the tile unit.
    pub(super) unsafe fn sum<const PARTS: usize, const BLOCKS: usize>(&self, sums: &mut [[f32; SIDE]; ROWS]) {
        const { assert!(PARTS == 1 || PARTS == 3) }
        let Product { left, stride, right, tokens } = *self;
        let (steps, part) = (stride / DEPTH, SIDE * tokens);
        assert!(left.len() >= BLOCKS * SIDE * stride && right.len() >= steps * PARTS * part + SIDE - tokens);
        let (bytes, row) = (stride * size_of::<bf16>(), tokens * size_of::<u32>());
        // SAFETY: the operands are long enough: a tile of fewer than 16 tokens reads `16 - tokens` words
        // after its own. The compiler does not allocate tile registers, so separate statements may pass
        // values in them; no code between them uses tiles. Prefetched addresses are not read.
        unsafe {
            amx::configure();
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nomem, nostack));
            for step in 0..steps {
                let (a, b) = (left.as_ptr().add(step * DEPTH), right.as_ptr().add(step * PARTS * part));
                // Near the end of these rows, the loop prefetches the start of the next ones.
                let next = if step + AHEAD < steps { 0 } else { (BLOCKS * SIDE - 1) * stride };
                for r in 0..BLOCKS * SIDE {
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD * DEPTH + next + r * stride).cast());
                }
                asm!("tileloadd tmm5, [{high} + {row}]", high = in(reg) b, row = in(reg) row,
                    options(nostack, readonly));
                if PARTS == 3 {
                    asm!(
                        "tileloadd tmm6, [{middle} + {row}]",
                        "tileloadd tmm7, [{low} + {row}]",
                        middle = in(reg) b.add(part), low = in(reg) b.add(2 * part), row = in(reg) row,
                        options(nostack, readonly));
                }
                block!(PARTS, "0", a, bytes);
                if BLOCKS > 1 {
                    block!(PARTS, "1", a.add(SIDE * stride), bytes);
                }
                if BLOCKS > 2 {
                    block!(PARTS, "2", a.add(2 * SIDE * stride), bytes);
                    block!(PARTS, "3", a.add(3 * SIDE * stride), bytes);
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

//! Peak rate of AMX tiles, used as in a real kernel: each step loads two tiles of either operand and computes
//! four products.

use std::arch::asm;

use crate::{Isa, amx};

/// Size of a tile in bytes.
const TILE: usize = 1024;
/// Number of tile pairs of each operand: 16 KiB, so that both operands stay in the first-level cache.
const STEPS: usize = 8;
/// Number of passes over the operands in one call.
const PASSES: usize = 16;

#[repr(C, align(64))]
struct Operand([u8; 2 * STEPS * TILE]);

/// Bytes that are all 1. Read as bf16 they are the tiny number 0x0101, so no product overflows in either
/// type.
static OPERAND: Operand = Operand([1; 2 * STEPS * TILE]);

/// Returns whether this machine has AMX.
pub(super) fn available() -> bool {
    Isa::available().contains(&Isa::Amx) && amx::available()
}

/// Returns the number of multiplications and additions of one call for tiles that sum over `depth` columns.
const fn operations(depth: usize) -> u64 {
    (PASSES * STEPS * 4 * 16 * 16 * depth * 2) as u64
}

macro_rules! products {
    ($instruction:literal) => {{
        assert!(available());
        let (a, b) = (std::hint::black_box(&OPERAND), std::hint::black_box(&OPERAND));
        // SAFETY: the tile unit is available, and this configures it.
        unsafe { amx::configure() };
        for _ in 0..PASSES {
            // SAFETY: each step reads two tiles of either operand, which hold `2 * STEPS`. No kernel keeps
            // values in the tile registers after it ends.
            unsafe {
                asm!(
                    "2:",
                    "tileloadd tmm4, [{a} + {row}]",
                    "tileloadd tmm6, [{b} + {row}]",
                    concat!($instruction, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm7, [{b} + {row} + 1024]",
                    concat!($instruction, " tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{a} + {row} + 1024]",
                    concat!($instruction, " tmm2, tmm5, tmm6"),
                    concat!($instruction, " tmm3, tmm5, tmm7"),
                    "add {a}, 2048", "add {b}, 2048", "dec {count}", "jnz 2b",
                    a = inout(reg) a.0.as_ptr() => _, b = inout(reg) b.0.as_ptr() => _,
                    count = inout(reg) STEPS => _, row = in(reg) 64usize);
            }
        }
    }};
}

/// Multiplies int8 tiles with `tdpbusd`. Returns the number of operations.
pub(super) fn int8() -> u64 {
    products!("tdpbusd");
    operations(64)
}

/// Multiplies bf16 tiles with `tdpbf16ps`. Returns the number of operations.
pub(super) fn bf16() -> u64 {
    products!("tdpbf16ps");
    operations(32)
}

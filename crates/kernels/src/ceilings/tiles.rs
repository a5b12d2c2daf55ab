//! Products of AMX tiles as a kernel makes them: two tiles of each operand loaded, four products of them.

use std::arch::asm;

use crate::{Isa, amx};

/// Bytes of a tile.
const TILE: usize = 1024;
/// Pairs of tiles of each operand: 16 KiB, so that both stay in the first-level cache.
const STEPS: usize = 8;
/// Passes over the operands in one call.
const PASSES: usize = 16;

#[repr(C, align(64))]
struct Operand([u8; 2 * STEPS * TILE]);

/// bf16 numbers of 0x0101 are tiny, and bytes of 1 are 1: no product overflows.
static OPERAND: Operand = Operand([1; 2 * STEPS * TILE]);

pub(super) fn available() -> bool {
    Isa::available().contains(&Isa::Amx) && amx::available()
}

/// Operations of one call.
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
            // SAFETY: each step reads two tiles of either operand, which hold `2 * STEPS`. The tile registers belong to
            // no one between kernels, and no value is kept in them.
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

/// One call's `tdpbusd`: operations done.
pub(super) fn int8() -> u64 {
    products!("tdpbusd");
    operations(64)
}

/// One call's `tdpbf16ps`: operations done.
pub(super) fn bf16() -> u64 {
    products!("tdpbf16ps");
    operations(32)
}

//! `tdpbsud`: sixteen tokens times sixteen rows of 64 columns in one instruction.

use std::arch::asm;

use crate::amx;

/// Tiles of columns that are multiplied before going on to other tokens: the codes of two groups then stay in the
/// first-level cache, which the second one's bandwidth needs.
const CHUNK: usize = 16;
const CODE_TILE: usize = 1024;

/// `tokens` tokens times `groups` unpacked groups: `out[token][16 * group + row]`. What is beyond them up to the next
/// 16 tokens and the next even group must be readable and writable too.
///
/// # Safety
/// The tile unit must be available; every pointer must be valid for its shape.
pub(super) unsafe fn block(
    tokens: usize,
    groups: usize,
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let tiles = group_bytes / CODE_TILE;
    // SAFETY: the caller vouches for the unit and the shapes.
    unsafe {
        amx::configure();
        for group in (0..groups).step_by(2) {
            for first in (0..tiles).step_by(CHUNK) {
                let codes = (codes.add(group * group_bytes + first * CODE_TILE), group_bytes);
                let count = CHUNK.min(tiles - first);
                for token in (0..tokens).step_by(32) {
                    let x = (x.add(token * x_stride + first * 64), x_stride);
                    let out = (out.add(token * out_stride + group * 16), out_stride);
                    let multiply = if tokens - token > 16 { two_by_two } else { one_by_two };
                    multiply(x, codes, count, out, first > 0);
                }
            }
        }
    }
}

/// `count` tiles of columns of 32 tokens times two groups. Two tiles of tokens and two of rows make four products from
/// four loads.
///
/// # Safety
/// The tiles must be configured; every pointer must be valid for its shape.
unsafe fn two_by_two(
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    count: usize,
    (out, out_stride): (*mut i32, usize),
    resume: bool,
) {
    // SAFETY: the caller vouches for the shapes. Tile registers are outside the compiler's allocation, so that separate
    // statements may hand values over in them; nothing between these touches tiles.
    unsafe {
        let (below, bytes) = (out.add(16 * out_stride), out_stride * 4);
        if resume {
            asm!(
                "tileloadd tmm0, [{upper} + {bytes}]", "tileloadd tmm1, [{upper} + {bytes} + 64]",
                "tileloadd tmm2, [{lower} + {bytes}]", "tileloadd tmm3, [{lower} + {bytes} + 64]",
                upper = in(reg) out, lower = in(reg) below, bytes = in(reg) bytes, options(nostack));
        } else {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack));
        }
        asm!(
            "2:",
            "tileloadd tmm4, [{x} + {x_stride}]",
            "tileloadd tmm6, [{codes} + {line}]",
            "tdpbsud tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{next} + {line}]",
            "tdpbsud tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower} + {x_stride}]",
            "tdpbsud tmm2, tmm5, tmm6",
            "tdpbsud tmm3, tmm5, tmm7",
            "add {x}, 64", "add {lower}, 64", "add {codes}, 1024", "add {next}, 1024",
            "dec {steps}", "jnz 2b",
            x = inout(reg) x => _, lower = inout(reg) x.add(16 * x_stride) => _, x_stride = in(reg) x_stride,
            codes = inout(reg) codes => _, next = inout(reg) codes.add(group_bytes) => _, line = in(reg) 64usize,
            steps = inout(reg) count => _, options(nostack));
        asm!(
            "tilestored [{upper} + {bytes}], tmm0", "tilestored [{upper} + {bytes} + 64], tmm1",
            "tilestored [{lower} + {bytes}], tmm2", "tilestored [{lower} + {bytes} + 64], tmm3",
            upper = in(reg) out, lower = in(reg) below, bytes = in(reg) bytes, options(nostack));
    }
}

/// [`two_by_two`] for sixteen tokens.
///
/// # Safety
/// As [`two_by_two`].
unsafe fn one_by_two(
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    count: usize,
    (out, out_stride): (*mut i32, usize),
    resume: bool,
) {
    // SAFETY: as above.
    unsafe {
        let bytes = out_stride * 4;
        if resume {
            asm!(
                "tileloadd tmm0, [{out} + {bytes}]", "tileloadd tmm1, [{out} + {bytes} + 64]",
                out = in(reg) out, bytes = in(reg) bytes, options(nostack));
        } else {
            asm!("tilezero tmm0", "tilezero tmm1", options(nostack));
        }
        asm!(
            "2:",
            "tileloadd tmm4, [{x} + {x_stride}]",
            "tileloadd tmm6, [{codes} + {line}]",
            "tdpbsud tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{next} + {line}]",
            "tdpbsud tmm1, tmm4, tmm7",
            "add {x}, 64", "add {codes}, 1024", "add {next}, 1024",
            "dec {steps}", "jnz 2b",
            x = inout(reg) x => _, x_stride = in(reg) x_stride, codes = inout(reg) codes => _,
            next = inout(reg) codes.add(group_bytes) => _, line = in(reg) 64usize,
            steps = inout(reg) count => _, options(nostack));
        asm!(
            "tilestored [{out} + {bytes}], tmm0", "tilestored [{out} + {bytes} + 64], tmm1",
            out = in(reg) out, bytes = in(reg) bytes, options(nostack));
    }
}

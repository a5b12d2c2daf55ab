//! The kernel for AMX. `tdpbsud` multiplies sixteen tokens by sixteen rows of 64 columns in one instruction.

use std::arch::asm;

use crate::amx;

/// Number of tiles of columns that are multiplied before the loop moves to other tokens. It is so small that
/// the codes of two groups stay in the first-level cache; reading them from the second-level cache would be
/// too slow.
const CHUNK: usize = 16;
/// Number of unpacked bytes in a tile.
const CODE_TILE: usize = 1024;

/// Multiplies `tokens` tokens by `groups` unpacked groups and writes the sums to
/// `out[token][16 * group + row]`.
///
/// # Safety
/// The tile unit must be available, and every pointer must be valid for its shape. Memory up to the next
/// multiple of 16 tokens and up to the next even number of groups must also be readable and writable.
pub(super) unsafe fn block(
    tokens: usize,
    groups: usize,
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    let tiles = group_bytes / CODE_TILE;
    // SAFETY: the caller guarantees the unit and the shapes.
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

/// Multiplies 32 tokens by two groups over `count` tiles of columns. If `resume` is true, it adds to the sums
/// in `out`.
///
/// Two tiles of tokens and two tiles of rows give four products from four loads.
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
    // SAFETY: the caller guarantees the shapes. The compiler does not allocate tile registers, so separate
    // statements may pass values in them; no code between these statements uses tiles.
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

/// Does the same as [`two_by_two`] for sixteen tokens.
///
/// # Safety
/// The caller must uphold the contract of [`two_by_two`].
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

//! `tdpbsud`: sixteen tokens times sixteen rows of 64 columns in one instruction.

use std::arch::asm;

use crate::amx;

/// 32 tokens times two unpacked groups: `out[token][16 * group + row]`. Two tiles of tokens and two of rows make four
/// products from four loads.
///
/// # Safety
/// The tile unit must be available; every pointer must be valid for its shape.
pub(super) unsafe fn two_by_two(
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    // SAFETY: the caller vouches for the unit and the shapes. Tile registers are outside the compiler's allocation, so
    // that separate statements may hand values over in them; nothing between these touches tiles.
    unsafe {
        amx::configure();
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
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
            steps = inout(reg) group_bytes / 1024 => _, options(nostack));
        asm!(
            "tilestored [{upper} + {bytes}], tmm0", "tilestored [{upper} + {bytes} + 64], tmm1",
            "tilestored [{lower} + {bytes}], tmm2", "tilestored [{lower} + {bytes} + 64], tmm3",
            upper = in(reg) out, lower = in(reg) out.add(16 * out_stride), bytes = in(reg) out_stride * 4,
            options(nostack));
    }
}

/// Sixteen tokens times two unpacked groups.
///
/// # Safety
/// As [`two_by_two`].
pub(super) unsafe fn one_by_two(
    (x, x_stride): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, out_stride): (*mut i32, usize),
) {
    // SAFETY: as above.
    unsafe {
        amx::configure();
        asm!(
            "tilezero tmm0", "tilezero tmm1",
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
            steps = inout(reg) group_bytes / 1024 => _, options(nostack));
        asm!(
            "tilestored [{out} + {bytes}], tmm0", "tilestored [{out} + {bytes} + 64], tmm1",
            out = in(reg) out, bytes = in(reg) out_stride * 4, options(nostack));
    }
}

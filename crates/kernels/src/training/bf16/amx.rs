//! Block products with `tdpbf16ps`, in inline assembly because the AMX intrinsics are not stable in Rust.

use std::arch::asm;

use super::Blocks;
use crate::amx;

/// Computes [`multiply`](super::multiply) with AMX tiles.
///
/// # Safety
/// [`amx::available`] must be true; `a` and `b` must hold `count` blocks and `c` 32 rows.
pub(super) unsafe fn multiply(
    c: *mut f32,
    stride: usize,
    a: Blocks<'_>,
    b: Blocks<'_>,
    count: usize,
    accumulate: bool,
) {
    let bytes = stride * 4;
    // SAFETY: the caller guarantees the unit and the lengths. The compiler does not allocate tile registers,
    // so the three separate statements may pass values in them; no code between them uses tiles.
    unsafe {
        amx::configure();
        let lower = c.add(16 * stride);
        if accumulate {
            asm!(
                "tileloadd tmm0, [{upper} + {bytes}]", "tileloadd tmm1, [{upper} + {bytes} + 64]",
                "tileloadd tmm2, [{lower} + {bytes}]", "tileloadd tmm3, [{lower} + {bytes} + 64]",
                upper = in(reg) c, lower = in(reg) lower, bytes = in(reg) bytes);
        } else {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3");
        }
        asm!(
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b} + {row} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, {a_step}", "add {b}, {b_step}", "dec {count}", "jnz 2b",
            a = inout(reg) a.data.as_ptr() => _, b = inout(reg) b.data.as_ptr() => _, count = inout(reg) count => _,
            row = in(reg) 64usize, a_step = in(reg) a.step * 2, b_step = in(reg) b.step * 2);
        asm!(
            "tilestored [{upper} + {bytes}], tmm0", "tilestored [{upper} + {bytes} + 64], tmm1",
            "tilestored [{lower} + {bytes}], tmm2", "tilestored [{lower} + {bytes} + 64], tmm3",
            upper = in(reg) c, lower = in(reg) lower, bytes = in(reg) bytes);
    }
}

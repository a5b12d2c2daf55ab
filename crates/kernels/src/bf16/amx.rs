//! `tdpbf16ps` by inline assembly: the intrinsics are not stable.

use std::{arch::asm, arch::x86_64::__cpuid_count, cell::Cell, sync::OnceLock};

use super::Blocks;

/// Tile shapes for `ldtilecfg`: eight tiles of 16 rows x 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Linux asks a process to request the tile state before its first use.
const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
const XFEATURE_XTILEDATA: libc::c_long = 18;

thread_local! {
    static CONFIGURED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the CPU has AMX-BF16 and the kernel grants the tile state.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        // Leaf 7, EDX: bit 22 is AMX-BF16, bit 24 AMX-TILE.
        let edx = __cpuid_count(7, 0).edx;
        let present = edx & (1 << 22) != 0 && edx & (1 << 24) != 0;
        present && cfg!(target_os = "linux") && granted()
    })
}

#[cfg(target_os = "linux")]
fn granted() -> bool {
    // SAFETY: the call takes plain numbers and changes nothing but this process' permission.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}

/// # Safety
/// [`available`] must be true; `a` and `b` must hold `count` blocks and `c` 32 rows.
pub(super) unsafe fn multiply(
    c: *mut f32,
    stride: usize,
    a: Blocks<'_>,
    b: Blocks<'_>,
    count: usize,
    accumulate: bool,
) {
    CONFIGURED.with(|configured| {
        if !configured.replace(true) {
            // SAFETY: `SHAPES` is a valid 64-byte configuration. The tiles stay configured for the thread's life.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES) };
        }
    });
    let bytes = stride * 4;
    // SAFETY: the caller vouches for the lengths. The tile registers are outside the compiler's allocation,
    // so three separate statements may hand values over in them; nothing between them touches tiles.
    unsafe {
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

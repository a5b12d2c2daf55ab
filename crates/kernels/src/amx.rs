//! Detects and configures AMX, the matrix unit of recent Intel processors, which multiplies tiles of int8 or
//! bf16.
//!
//! All kernels use one configuration, eight tiles of 16 rows x 64 bytes, and pad their operands to it. The
//! AMX intrinsics are not stable in Rust, so each kernel loads and multiplies tiles by inline assembly.

use std::{arch::asm, arch::x86_64::__cpuid_count, cell::Cell, sync::OnceLock};

/// The operand of `ldtilecfg`: the shape of each tile.
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

thread_local! {
    static CONFIGURED: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether the CPU has AMX-TILE, AMX-INT8 and AMX-BF16 and the operating system lets this process use
/// them.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        // Leaf 7, EDX: bit 22 is AMX-BF16, bit 24 AMX-TILE, bit 25 AMX-INT8.
        const NEEDED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        __cpuid_count(7, 0).edx & NEEDED == NEEDED && granted()
    })
}

/// Requests permission to use the tiles. Linux requires this request before the first use; threads inherit
/// the permission.
#[cfg(target_os = "linux")]
fn granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes plain integers and changes only the permissions of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}

/// Configures the tiles of this thread on the first call. The configuration remains until the thread ends.
///
/// # Safety
/// [`available`] must be true.
#[inline]
pub(crate) unsafe fn configure() {
    CONFIGURED.with(|configured| {
        if !configured.replace(true) {
            // SAFETY: `SHAPES` is a valid 64-byte configuration.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES) };
        }
    });
}

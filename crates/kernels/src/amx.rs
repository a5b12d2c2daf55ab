//! The tile unit: whether it is there, and its configuration. The intrinsics are not stable, so tiles are moved and
//! multiplied by inline assembly where they are used.
//!
//! There is one configuration for all kernels, eight tiles of 16 rows x 64 bytes; operands are padded to it.

use std::{arch::asm, arch::x86_64::__cpuid_count, cell::Cell, sync::OnceLock};

/// Tile shapes for `ldtilecfg`.
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

/// Whether the CPU has AMX-TILE, AMX-INT8 and AMX-BF16 and the kernel lets this process use them.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        // Leaf 7, EDX: bit 22 is AMX-BF16, bit 24 AMX-TILE, bit 25 AMX-INT8.
        const NEEDED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        __cpuid_count(7, 0).edx & NEEDED == NEEDED && granted()
    })
}

/// Linux asks a process to request the tile state before its first use; threads inherit the grant.
#[cfg(target_os = "linux")]
fn granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes plain numbers and changes nothing but this process' permission.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}

/// Configures this thread's tiles at their first use; they stay so for the thread's life.
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

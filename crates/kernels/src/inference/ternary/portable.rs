//! The kernels with plain loops. Tests compare the other kernels with these.

use std::slice;

use super::{GROUP, TILE};

/// Unpacks groups into one byte per code. 64 packed bytes give four blocks of 64 codes, each with four
/// columns of sixteen rows.
pub(super) fn unpack(packed: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in packed.chunks_exact(TILE).zip(codes.chunks_exact_mut(4 * TILE)) {
        for (plane, codes) in codes.chunks_exact_mut(TILE).enumerate() {
            for (code, byte) in codes.iter_mut().zip(bytes) {
                *code = (byte >> (2 * plane)) & 3;
            }
        }
    }
}

/// Multiplies one token by the sixteen rows of an unpacked group and writes the sums to `out[row]`.
///
/// # Safety
/// Every pointer must be valid for its shape.
pub(super) unsafe fn unpacked(
    (x, _): (*const i8, usize),
    (codes, group_bytes): (*const u8, usize),
    (out, _): (*mut i32, usize),
) {
    // SAFETY: the caller guarantees the shapes: the group has sixteen codes per activation and sixteen
    // results.
    let (x, codes, out) = unsafe {
        (
            slice::from_raw_parts(x, group_bytes / GROUP),
            slice::from_raw_parts(codes, group_bytes),
            slice::from_raw_parts_mut(out, GROUP),
        )
    };
    out.fill(0);
    for (x, codes) in x.chunks_exact(4).zip(codes.chunks_exact(4 * GROUP)) {
        for (sum, codes) in out.iter_mut().zip(codes.chunks_exact(4)) {
            *sum += codes.iter().zip(x).map(|(&code, &x)| i32::from(code) * i32::from(x)).sum::<i32>();
        }
    }
}

//! Chooses the kernel that multiplies a block of tokens by a block of groups.

use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx512};
use crate::Isa;

/// The largest number of tokens in a block.
pub(super) const TOKENS: usize = 64;
/// The largest number of groups in a block.
pub(super) const GROUPS: usize = 4;
/// Distance between the results of neighbouring tokens for the same row, in results.
pub(super) const OUT_STRIDE: usize = GROUPS * super::GROUP;

/// Equally spaced rows: a pointer to the first row and the distance between rows.
pub(super) type Rows<T> = (*const T, usize);

/// The kernels of an instruction set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Engine {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Amx,
}

impl Engine {
    /// Returns the engine of an instruction set that this machine has. AVX-512 without VNNI uses the kernels
    /// of AVX2.
    pub(super) fn new(isa: Isa) -> Engine {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Engine::Amx,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if crate::extension::Extension::Vnni.works() => Engine::Avx512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => Engine::Avx2,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Engine::Neon,
            _ => Engine::Portable,
        }
    }

    /// Returns the smallest number of tokens for which unpacking the weights before multiplying is faster
    /// than unpacking them in registers.
    pub(super) fn min_tokens_to_unpack(self) -> usize {
        match self {
            Engine::Portable => 1,
            #[cfg(target_arch = "aarch64")]
            Engine::Neon => usize::MAX,
            #[cfg(target_arch = "x86_64")]
            Engine::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Engine::Avx512 => 12,
            #[cfg(target_arch = "x86_64")]
            Engine::Amx => 8,
        }
    }

    /// Returns the bytes of a block of activations, which is multiplied by all weights before the next block.
    /// With AMX it is the size that fits a second-level cache of 2 MiB together with the codes of a task.
    pub(super) fn resident_bytes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Engine::Amx => 11 << 17,
            _ => usize::MAX,
        }
    }

    /// Multiplies `tokens` (at most 64) tokens by `groups` (at most 4) packed groups.
    ///
    /// # Safety
    /// The machine must have the instructions, and the pointers must be valid for these shapes.
    pub(super) unsafe fn packed(
        self,
        tokens: usize,
        groups: usize,
        x: Rows<i8>,
        weights: Rows<u8>,
        out: &mut [i32; TOKENS * OUT_STRIDE],
    ) {
        for first in (0..tokens).step_by(4) {
            let count = (tokens - first).min(4);
            // SAFETY: tokens, groups and results from here on are inside their slices.
            unsafe {
                let x = (x.0.add(first * x.1), x.1);
                let out = &mut out[first * OUT_STRIDE..];
                #[cfg(target_arch = "x86_64")]
                if matches!(self, Engine::Avx512 | Engine::Amx) && groups == GROUPS && count == 1 {
                    // Four groups are read at once, because a single stream does not use the full memory
                    // bandwidth.
                    avx512::packed::<1, GROUPS>(x, weights, (out.as_mut_ptr(), OUT_STRIDE));
                    continue;
                }
                for group in 0..groups {
                    let weights = (weights.0.add(group * weights.1), weights.1);
                    self.packed_group(count, x, weights, &mut out[group * super::GROUP..]);
                }
            }
        }
    }

    /// Multiplies up to four tokens by one packed group.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Engine::packed`].
    unsafe fn packed_group(self, tokens: usize, x: Rows<i8>, weights: Rows<u8>, out: &mut [i32]) {
        let out = (out.as_mut_ptr(), OUT_STRIDE);
        // SAFETY: the caller upholds the contract.
        unsafe {
            match (self, tokens) {
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx2, 1) => avx2::packed::<1>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx2, 2) => avx2::packed::<2>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx2, 3) => avx2::packed::<3>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx2, _) => avx2::packed::<4>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx512 | Engine::Amx, 1) => avx512::packed::<1, 1>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx512 | Engine::Amx, 2) => avx512::packed::<2, 1>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx512 | Engine::Amx, 3) => avx512::packed::<3, 1>(x, weights, out),
                #[cfg(target_arch = "x86_64")]
                (Engine::Avx512 | Engine::Amx, _) => avx512::packed::<4, 1>(x, weights, out),
                #[cfg(target_arch = "aarch64")]
                (Engine::Neon, 1) => super::neon::packed::<1>(x, weights, out),
                #[cfg(target_arch = "aarch64")]
                (Engine::Neon, 2) => super::neon::packed::<2>(x, weights, out),
                #[cfg(target_arch = "aarch64")]
                (Engine::Neon, 3) => super::neon::packed::<3>(x, weights, out),
                #[cfg(target_arch = "aarch64")]
                (Engine::Neon, _) => super::neon::packed::<4>(x, weights, out),
                (Engine::Portable, _) => unreachable!("plain loops always unpack"),
            }
        }
    }

    /// Unpacks the codes into one byte per code.
    ///
    /// # Safety
    /// The machine must have the instructions.
    pub(super) unsafe fn unpack(self, packed: &[u8], codes: &mut [u8]) {
        assert_eq!(packed.len() * 4, codes.len(), "a packed byte holds four codes");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the caller guarantees the instructions; the lengths were checked above.
            Engine::Avx512 | Engine::Amx => unsafe { avx512::unpack(packed, codes) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Engine::Avx2 => unsafe { avx2::unpack(packed, codes) },
            _ => portable::unpack(packed, codes),
        }
    }

    /// Multiplies `tokens` (at most 64) tokens by `groups` (at most 4) unpacked groups. The results after the
    /// last token and after the last group are unspecified.
    ///
    /// # Safety
    /// The machine must have the instructions. Memory must be valid for tokens up to the next multiple of 16
    /// and for an even number of groups.
    pub(super) unsafe fn unpacked(
        self,
        tokens: usize,
        groups: usize,
        x: Rows<i8>,
        codes: Rows<u8>,
        out: &mut [i32; TOKENS * OUT_STRIDE],
    ) {
        // SAFETY: every access is inside the shapes that the caller guarantees or inside `out`.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Engine::Amx => amx::block(tokens, groups, x, codes, (out.as_mut_ptr(), OUT_STRIDE)),
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512 => run_kernel(tokens, 8, groups, 2, x, codes, out, avx512::unpacked),
                #[cfg(target_arch = "x86_64")]
                Engine::Avx2 => run_kernel(tokens, 4, groups, 1, x, codes, out, avx2::unpacked),
                _ => run_kernel(tokens, 1, groups, 1, x, codes, out, portable::unpacked),
            }
        }
    }
}

/// Multiplies a whole block by calling `kernel`, which multiplies `token_step` tokens by `group_step` groups,
/// as often as necessary.
///
/// # Safety
/// The caller must uphold the contract of [`Engine::unpacked`], and `kernel` must be safe for these shapes.
#[allow(clippy::too_many_arguments, reason = "a block and the steps of a kernel")]
unsafe fn run_kernel(
    tokens: usize,
    token_step: usize,
    groups: usize,
    group_step: usize,
    x: Rows<i8>,
    codes: Rows<u8>,
    out: &mut [i32; TOKENS * OUT_STRIDE],
    kernel: unsafe fn(Rows<i8>, Rows<u8>, (*mut i32, usize)),
) {
    for group in (0..groups).step_by(group_step) {
        for token in (0..tokens).step_by(token_step) {
            // SAFETY: the caller upholds the contract.
            unsafe {
                let to = out.as_mut_ptr().add(token * OUT_STRIDE + group * super::GROUP);
                let x = (x.0.add(token * x.1), x.1);
                kernel(x, (codes.0.add(group * codes.1), codes.1), (to, OUT_STRIDE));
            }
        }
    }
}

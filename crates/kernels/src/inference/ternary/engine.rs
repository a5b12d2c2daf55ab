//! Which kernel multiplies a block of tokens and groups.

use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx512};
use crate::Isa;

/// Tokens of a block.
pub(super) const TOKENS: usize = 64;
/// Groups of a block.
pub(super) const GROUPS: usize = 4;
/// From a result to the same row's of the next token.
pub(super) const OUT_STRIDE: usize = GROUPS * super::GROUP;

/// Rows of bytes equally far apart: the first and the distance.
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
    /// Of an available instruction set. AVX-512 without VNNI multiplies as AVX2 does.
    pub(super) fn new(isa: Isa) -> Engine {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Engine::Amx,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if is_x86_feature_detected!("avx512vnni") => Engine::Avx512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => Engine::Avx2,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Engine::Neon,
            _ => Engine::Portable,
        }
    }

    /// From this many tokens on it pays to unpack weights before multiplying.
    pub(super) fn many(self) -> usize {
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

    /// Bytes of activations that are multiplied by all weights before others are: with tiles, what a second-level cache
    /// of 2 MiB holds besides a task's codes.
    pub(super) fn resident(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Engine::Amx => 11 << 17,
            _ => usize::MAX,
        }
    }

    /// `tokens` (at most 64) tokens times `groups` (at most 4) groups from their packed bytes.
    ///
    /// # Safety
    /// The instructions must be there, and the pointers valid for these shapes.
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
                    // Four streams of weights at once: one would leave the memory waiting.
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

    /// # Safety
    /// As [`Engine::packed`], for up to four tokens and one group.
    unsafe fn packed_group(self, tokens: usize, x: Rows<i8>, weights: Rows<u8>, out: &mut [i32]) {
        let out = (out.as_mut_ptr(), OUT_STRIDE);
        // SAFETY: the caller's promise.
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

    /// One byte a code.
    ///
    /// # Safety
    /// The instructions must be there.
    pub(super) unsafe fn unpack(self, packed: &[u8], codes: &mut [u8]) {
        assert_eq!(packed.len() * 4, codes.len(), "four codes a byte");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the caller's promise; the lengths were compared.
            Engine::Avx512 | Engine::Amx => unsafe { avx512::unpack(packed, codes) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Engine::Avx2 => unsafe { avx2::unpack(packed, codes) },
            _ => portable::unpack(packed, codes),
        }
    }

    /// `tokens` (at most 64) tokens times `groups` (at most 4) unpacked groups.
    ///
    /// # Safety
    /// The instructions must be there. Memory must be valid for tokens up to the next multiple of 16 and for an even
    /// number of groups; what is beyond `tokens` and `groups` gives results that mean nothing.
    pub(super) unsafe fn unpacked(
        self,
        tokens: usize,
        groups: usize,
        x: Rows<i8>,
        codes: Rows<u8>,
        out: &mut [i32; TOKENS * OUT_STRIDE],
    ) {
        // SAFETY: all that is read or written is inside the shapes the caller vouches for, or inside `out`.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Engine::Amx => amx::block(tokens, groups, x, codes, (out.as_mut_ptr(), OUT_STRIDE)),
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512 => each(tokens, 8, groups, 2, x, codes, out, avx512::unpacked),
                #[cfg(target_arch = "x86_64")]
                Engine::Avx2 => each(tokens, 4, groups, 1, x, codes, out, avx2::unpacked),
                _ => each(tokens, 1, groups, 1, x, codes, out, portable::unpacked),
            }
        }
    }
}

/// Runs a kernel of `token_step` tokens and `group_step` groups over a block.
///
/// # Safety
/// As [`Engine::unpacked`], and `kernel` must be safe for these shapes.
#[allow(clippy::too_many_arguments, reason = "a block, and how far a kernel reaches")]
unsafe fn each(
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
            // SAFETY: the caller's promise.
            unsafe {
                let to = out.as_mut_ptr().add(token * OUT_STRIDE + group * super::GROUP);
                let x = (x.0.add(token * x.1), x.1);
                kernel(x, (codes.0.add(group * codes.1), codes.1), (to, OUT_STRIDE));
            }
        }
    }
}

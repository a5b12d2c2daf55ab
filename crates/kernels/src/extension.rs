//! Instruction-set extensions of x86-64, and whether they really work here.
//!
//! What the processor names is not always what works: a virtual machine may name an extension and stop the
//! process at its first instruction, or compute it wrongly. So an extension counts only after a small
//! computation with it had the right result, in a child process that may die.

use std::{
    arch::{asm, x86_64::*},
    sync::OnceLock,
};

use crate::amx;

/// An extension that some kernel needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extension {
    /// AVX2 and FMA.
    Avx2,
    /// F16C, which converts half floats.
    Halves,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX-512 VNNI, products of int8.
    Vnni,
    /// AVX-512 BF16, products of bf16.
    Bf16,
    /// AMX with tiles of int8 and bf16.
    Tiles,
}

use Extension::{Avx2, Avx512, Bf16, Halves, Tiles, Vnni};

/// All extensions, in the order of their discriminants.
const ALL: [Extension; 6] = [Avx2, Halves, Avx512, Vnni, Bf16, Tiles];

impl Extension {
    /// Returns whether this process can use the extension. It is tried once.
    pub(crate) fn works(self) -> bool {
        static WORKS: [OnceLock<bool>; ALL.len()] = [const { OnceLock::new() }; ALL.len()];
        *WORKS[self as usize].get_or_init(|| self.is_named() && self.passes())
    }

    /// Returns whether the processor and the operating system name the extension.
    pub(crate) fn is_named(self) -> bool {
        match self {
            Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Halves => is_x86_feature_detected!("f16c"),
            Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Vnni => is_x86_feature_detected!("avx512vnni"),
            Bf16 => is_x86_feature_detected!("avx512bf16"),
            Tiles => amx::available(),
        }
    }

    /// Computes with the extension in a child process, and returns whether the result is right.
    #[cfg(target_os = "linux")]
    fn passes(self) -> bool {
        // SAFETY: the child only computes on its stack and then ends. It allocates nothing and takes no lock,
        // so it does not matter what other threads of this process were doing.
        let child = unsafe { libc::fork() };
        match child {
            // There is no process to try it in. The processor is believed.
            -1 => true,
            0 => {
                // A wrong instruction ends the child. It must not write a core file or a message.
                // SAFETY: plain integers, and the signal's own default.
                unsafe {
                    libc::signal(libc::SIGILL, libc::SIG_DFL);
                    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                    libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
                    libc::_exit(i32::from(!self.computes()))
                }
            }
            child => has_succeeded(child),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn passes(self) -> bool {
        // SAFETY: the caller has checked that the processor names the extension.
        unsafe { self.computes() }
    }

    /// Computes a product whose result is known, and returns whether it is right.
    ///
    /// # Safety
    /// The processor must name the extension.
    unsafe fn computes(self) -> bool {
        // SAFETY: the caller guarantees the extension.
        unsafe {
            match self {
                Avx2 => avx2(),
                Halves => halves(),
                Avx512 => avx512(),
                Vnni => vnni(),
                Bf16 => bf16(),
                Tiles => tiles(),
            }
        }
    }
}

/// Waits for a child process and returns whether it ended with the exit code 0.
#[cfg(target_os = "linux")]
fn has_succeeded(child: libc::pid_t) -> bool {
    let mut status = 0;
    loop {
        // SAFETY: `status` lives until the call returns.
        let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
        let interrupted = || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted;
        if ended == child {
            return libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
        } else if ended != -1 || !interrupted() {
            // Another part of the program has waited for the child. The processor is believed.
            return true;
        }
    }
}

/// Computes 3 * 5 + 7 in floats, and 3 * 5 + 3 * 5 in bytes.
#[target_feature(enable = "avx2,fma")]
fn avx2() -> bool {
    let (mut floats, mut words) = ([0.0f32; 8], [0i16; 16]);
    let sum = _mm256_fmadd_ps(_mm256_set1_ps(3.0), _mm256_set1_ps(5.0), _mm256_set1_ps(7.0));
    let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(3), _mm256_set1_epi8(5));
    // SAFETY: the arrays have the size of the registers.
    unsafe {
        _mm256_storeu_ps(floats.as_mut_ptr(), sum);
        _mm256_storeu_si256(words.as_mut_ptr().cast(), pairs);
    }
    floats == [22.0; 8] && words == [30; 16]
}

/// Converts 1.5 to a half float and back.
#[target_feature(enable = "avx,f16c")]
fn halves() -> bool {
    let mut floats = [0.0f32; 8];
    let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_set1_ps(1.5));
    // SAFETY: the array has the size of the register.
    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), _mm256_cvtph_ps(half)) };
    floats == [1.5; 8]
}

/// Computes as [`avx2`] does, with a mask that keeps every second word.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512() -> bool {
    let (mut floats, mut words) = ([0.0f32; 16], [0i16; 32]);
    let sum = _mm512_fmadd_ps(_mm512_set1_ps(3.0), _mm512_set1_ps(5.0), _mm512_set1_ps(7.0));
    let pairs = _mm512_maddubs_epi16(_mm512_set1_epi8(3), _mm512_set1_epi8(5));
    // SAFETY: the arrays have the size of the registers.
    unsafe {
        _mm512_storeu_ps(floats.as_mut_ptr(), sum);
        _mm512_storeu_si512(words.as_mut_ptr().cast(), _mm512_maskz_mov_epi16(0x5555_5555, pairs));
    }
    let right = |(i, word): (usize, &i16)| *word == if i % 2 == 0 { 30 } else { 0 };
    floats == [22.0; 16] && words.iter().enumerate().all(right)
}

/// Adds 4 * 3 * -5 to 7.
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni() -> bool {
    let mut sums = [0i32; 16];
    let sum = _mm512_dpbusd_epi32(_mm512_set1_epi32(7), _mm512_set1_epi8(3), _mm512_set1_epi8(-5));
    // SAFETY: the array has the size of the register.
    unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), sum) };
    sums == [-53; 16]
}

/// The bits of 1.0 in bf16.
const ONE: u16 = 0x3F80;

/// Adds 1 * 1 + 1 * 1 to 7.
#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16() -> bool {
    let mut sums = [0.0f32; 16];
    let ones = [ONE; 32];
    // SAFETY: the arrays have the size of the registers, and a vector of bf16 is 64 bytes of any value.
    unsafe {
        let ones: __m512bh = std::mem::transmute(ones);
        _mm512_storeu_ps(sums.as_mut_ptr(), _mm512_dpbf16_ps(_mm512_set1_ps(7.0), ones, ones));
    }
    sums == [9.0; 16]
}

/// Multiplies tiles of ones: each sum has 32 products of bf16, and 64 products of int8.
///
/// # Safety
/// The processor and the operating system must name AMX.
unsafe fn tiles() -> bool {
    let (halves, bytes) = ([ONE; 16 * 32], [1u8; 16 * 64]);
    let (mut floats, mut words) = ([0.0f32; 256], [0i32; 256]);
    // SAFETY: every tile has 16 rows of 64 bytes, as the arrays have, and no other code uses tiles here.
    unsafe {
        amx::configure();
        asm!(
            "tilezero tmm0", "tileloadd tmm4, [{a} + {row}]", "tileloadd tmm5, [{a} + {row}]", "tdpbf16ps tmm0, tmm4, tmm5",
            "tilestored [{c} + {row}], tmm0",
            a = in(reg) halves.as_ptr(), c = in(reg) floats.as_mut_ptr(), row = in(reg) 64usize);
        asm!(
            "tilezero tmm0", "tileloadd tmm4, [{a} + {row}]", "tileloadd tmm5, [{a} + {row}]", "tdpbsud tmm0, tmm4, tmm5",
            "tilestored [{c} + {row}], tmm0",
            a = in(reg) bytes.as_ptr(), c = in(reg) words.as_mut_ptr(), row = in(reg) 64usize);
    }
    floats == [32.0; 256] && words == [64; 256]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_works_here() {
        for (number, extension) in ALL.into_iter().enumerate() {
            assert_eq!(extension as usize, number);
            assert_eq!(extension.works(), extension.is_named(), "{extension:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_extension_that_the_processor_lacks_ends_only_the_child() {
        for extension in ALL.into_iter().filter(|extension| !extension.is_named()) {
            // The tiles are not tried, because their configuration needs a permission of the system.
            assert!(extension == Tiles || !extension.passes(), "{extension:?}");
        }
    }
}

//! Matrix products of 32 x 32 blocks in bf16 with f32 sums, for training.
//!
//! A block is 1,024 bf16 values. *A* blocks are row-major, 32 rows of 32. *B* blocks hold two
//! halves of 16 columns; each half is 16 rows of 16 pairs `(b[2k][n], b[2k+1][n])`: the layout of
//! `tdpbf16ps` and `vdpbf16ps`. Small integers (int8 activations, ternary weights) are exact in
//! bf16, so a quantised product is exact up to the order of f32 summation.

mod gemm;
mod pack;
mod portable;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::sync::OnceLock;

pub use gemm::{gemm_rows, gemm_weight_gradient};
pub use pack::{
    pack_a, pack_a_transposed, pack_b, pack_b_all, pack_b_transposed, pack_b_transposed_all, round,
};

use crate::{Isa, isa};

/// Rows and columns of a block.
pub const SIDE: usize = 32;
/// Values in a block.
pub const BLOCK: usize = SIDE * SIDE;

/// Which instructions multiply blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// Plain loops.
    Portable,
    /// `vdpbf16ps` on 512-bit registers.
    Avx512,
    /// `tdpbf16ps` on tiles.
    Amx,
}

impl Engine {
    /// The fastest engine of the instruction set in use, found once.
    pub fn best() -> Engine {
        static BEST: OnceLock<Engine> = OnceLock::new();
        *BEST.get_or_init(|| {
            let within = Isa::available().iter().filter(|other| **other <= isa());
            within.filter_map(|isa| Engine::of(*isa)).next_back().expect("plain loops run everywhere")
        })
    }

    /// Every engine this machine can run, slowest first.
    pub fn available() -> Vec<Engine> {
        Isa::available().iter().filter_map(|isa| Engine::of(*isa)).collect()
    }

    /// The engine of an instruction set, if it has one of its own.
    fn of(isa: Isa) -> Option<Engine> {
        match isa {
            Isa::Scalar => Some(Engine::Portable),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512bf16").then_some(Engine::Avx512),
            Isa::Amx => Some(Engine::Amx),
            _ => None,
        }
    }
}

/// A run of equally spaced blocks.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// The first block and everything after it.
    pub data: &'a [u16],
    /// Values from the start of one block to the start of the next.
    pub step: usize,
}

impl<'a> Blocks<'a> {
    /// Blocks that follow each other.
    pub fn dense(data: &'a [u16]) -> Blocks<'a> {
        Blocks { data, step: BLOCK }
    }
}

/// `c[32 x 32] (+)= sum of a[i] * b[i]` over `count` pairs of blocks; `stride` is the distance of
/// `c`'s rows in floats.
///
/// # Panics
/// When a slice is too short for `count` blocks or for 32 rows of `c`.
pub fn multiply(c: &mut [f32], stride: usize, a: Blocks<'_>, b: Blocks<'_>, count: usize, accumulate: bool) {
    // SAFETY: `best` is one of the engines that were found on this machine.
    unsafe { run(Engine::best(), c, stride, a, b, count, accumulate) }
}

/// [`multiply`] by a chosen engine.
///
/// # Panics
/// As [`multiply`], and when the engine is not [available](Engine::available).
pub fn multiply_with(
    engine: Engine,
    c: &mut [f32],
    stride: usize,
    a: Blocks<'_>,
    b: Blocks<'_>,
    count: usize,
    accumulate: bool,
) {
    assert!(Engine::available().contains(&engine), "{engine:?} is not available on this machine");
    // SAFETY: the engine's instructions are there.
    unsafe { run(engine, c, stride, a, b, count, accumulate) }
}

/// # Safety
/// The machine must have the engine's instructions.
unsafe fn run(
    engine: Engine,
    c: &mut [f32],
    stride: usize,
    a: Blocks<'_>,
    b: Blocks<'_>,
    count: usize,
    accumulate: bool,
) {
    assert!(count > 0 && stride >= SIDE && c.len() >= (SIDE - 1) * stride + SIDE);
    assert!(a.data.len() >= (count - 1) * a.step + BLOCK && b.data.len() >= (count - 1) * b.step + BLOCK);
    match engine {
        Engine::Portable => portable::multiply(c, stride, a, b, count, accumulate),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the lengths were checked above; the caller vouches for the instructions.
        Engine::Avx512 => unsafe { avx512::multiply(c.as_mut_ptr(), stride, a, b, count, accumulate) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Engine::Amx => unsafe { amx::multiply(c.as_mut_ptr(), stride, a, b, count, accumulate) },
        #[cfg(not(target_arch = "x86_64"))]
        Engine::Avx512 | Engine::Amx => unreachable!("only x86-64 lists these engines"),
    }
}

#[cfg(test)]
mod tests;

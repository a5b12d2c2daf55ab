//! Matrix products of 32 x 32 blocks in bf16 with f32 sums, for training.
//!
//! A block is 1,024 bf16 values. *A* blocks are left operands and row-major: 32 rows of 32. *B* blocks are
//! right operands and consist of two halves of 16 columns; each half is 16 rows of 16 pairs
//! `(b[2k][n], b[2k+1][n])`. This is the layout that `tdpbf16ps` and `vdpbf16ps` read. The `pack_` functions
//! create blocks, [`multiply`] multiplies them, and [`gemm_rows`] and [`gemm_weight_gradient`] multiply whole
//! matrices.
//!
//! Small integers (int8 activations, ternary weights) are exact in bf16, so only the f32 sums of a quantised
//! product are rounded.

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

/// Number of rows and of columns of a block.
pub const SIDE: usize = 32;
/// Number of values in a block.
pub const BLOCK: usize = SIDE * SIDE;

/// The instructions that multiply blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// Plain loops.
    Portable,
    /// `vdpbf16ps` on 512-bit registers.
    Avx512,
    /// `tdpbf16ps` on AMX tiles.
    Amx,
}

impl Engine {
    /// Returns the fastest engine that the instruction set in use allows.
    pub fn best() -> Engine {
        static BEST: OnceLock<Engine> = OnceLock::new();
        *BEST.get_or_init(|| {
            let allowed = Isa::available().iter().filter(|other| **other <= isa());
            allowed.filter_map(|isa| Engine::new(*isa)).next_back().expect("plain loops run everywhere")
        })
    }

    /// Returns every engine that this machine can run, slowest first.
    pub fn available() -> Vec<Engine> {
        Isa::available().iter().filter_map(|isa| Engine::new(*isa)).collect()
    }

    /// Returns the engine that uses an instruction set; `None` if no engine does or this machine cannot run
    /// it.
    fn new(isa: Isa) -> Option<Engine> {
        match isa {
            Isa::Scalar => Some(Engine::Portable),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => crate::extension::Extension::Bf16.works().then_some(Engine::Avx512),
            Isa::Amx => Some(Engine::Amx),
            _ => None,
        }
    }
}

/// A sequence of equally spaced blocks.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// The values, which begin with the first block.
    pub data: &'a [u16],
    /// Distance between the starts of neighbouring blocks, in values.
    pub step: usize,
}

impl<'a> Blocks<'a> {
    /// Returns contiguous blocks.
    pub fn dense(data: &'a [u16]) -> Blocks<'a> {
        Blocks { data, step: BLOCK }
    }
}

/// Writes the sum of the products `a[i] * b[i]` of `count` pairs of blocks to `c`, 32 rows of 32. If
/// `accumulate` is true, it adds this sum to `c`.
///
/// `stride` is the distance between rows of `c` in floats.
///
/// # Panics
/// Panics if a slice is too short for `count` blocks or for 32 rows of `c`.
pub fn multiply(c: &mut [f32], stride: usize, a: Blocks<'_>, b: Blocks<'_>, count: usize, accumulate: bool) {
    // SAFETY: `best` is an engine that was detected on this machine.
    unsafe { run(Engine::best(), c, stride, a, b, count, accumulate) }
}

/// Computes [`multiply`] with a given engine.
///
/// # Panics
/// Panics as [`multiply`] does, and if the engine is not [available](Engine::available).
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
    // SAFETY: the machine has the engine's instructions.
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
        // SAFETY: the lengths were checked above; the caller guarantees the instructions.
        Engine::Avx512 => unsafe { avx512::multiply(c.as_mut_ptr(), stride, a, b, count, accumulate) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Engine::Amx => unsafe { amx::multiply(c.as_mut_ptr(), stride, a, b, count, accumulate) },
        #[cfg(not(target_arch = "x86_64"))]
        Engine::Avx512 | Engine::Amx => unreachable!("only x86-64 lists these engines"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn naive(x: &[f32], w: &[f32], rows: usize, k: usize, n: usize) -> Vec<f64> {
        let rounded = |v: f32| f32::from_bits((round(v) as u32) << 16) as f64;
        let cell = |i: usize| (0..k).map(|j| rounded(x[i / n * k + j]) * rounded(w[i % n * k + j])).sum();
        (0..rows * n).map(cell).collect()
    }

    /// The largest allowed difference between f32 sums of at most 160 products of values below 1 in different
    /// orders.
    const TOLERANCE: f64 = 1e-4;

    #[test]
    fn engines_agree_with_plain_loops() {
        let (x, w) = (values(1, 32 * 160), values(2, 32 * 160));
        let expected = naive(&x, &w, 32, 160, 32);
        let (mut a, mut b) = (vec![0; 5 * BLOCK], vec![0; 5 * BLOCK]);
        for j in 0..5 {
            pack_a(&mut a[j * BLOCK..], &x[j * SIDE..], 160);
            pack_b_transposed(&mut b[j * BLOCK..], &w[j * SIDE..], 160);
        }
        for engine in Engine::available() {
            let mut c = vec![1.0; 32 * 40];
            multiply_with(engine, &mut c, 40, Blocks::dense(&a), Blocks::dense(&b), 5, true);
            for (i, e) in expected.iter().enumerate() {
                let got = c[i / 32 * 40 + i % 32] as f64 - 1.0;
                assert!((got - e).abs() < TOLERANCE, "{engine:?} [{i}]: {got} for {e}");
            }
            assert!(
                c.chunks(40).all(|row| row[32..].iter().all(|&v| v == 1.0)),
                "{engine:?} wrote past its block"
            );
        }
    }

    #[test]
    fn amx_is_tested_or_a_skip_is_printed() {
        if !Isa::available().contains(&Isa::Amx) {
            eprintln!("skipped: this machine has no AMX, so only the other engines were compared");
        }
        assert_eq!(Isa::available().contains(&Isa::Amx), Engine::available().contains(&Engine::Amx));
    }

    proptest! {
        #[test]
        fn products_match_in_every_orientation(seed: u64, rows in 1usize..4, k in 1usize..4, n in 1usize..4) {
            let (rows, k, n) = (rows * SIDE, k * SIDE, n * SIDE);
            let (x, w) = (values(seed, rows * k), values(!seed, n * k));
            let expected = naive(&x, &w, rows, k, n);
            let close = |got: &[f32]| got.iter().zip(&expected).all(|(g, e)| (*g as f64 - e).abs() < TOLERANCE);
            prop_assert!(close(&gemm_rows(&x, k, &pack_b_transposed_all(&w, n, k), n, None, None)));

            let transposed: Vec<f32> = (0..k * n).map(|i| w[i % n * k + i / n]).collect();
            prop_assert!(close(&gemm_rows(&x, k, &pack_b_all(&transposed, k, n), n, None, None)));

            let columns: Vec<f32> = (0..k * rows).map(|i| x[i % rows * k + i / rows]).collect();
            let mut c = vec![0.0; rows * n];
            gemm_weight_gradient(&mut c, &columns, rows, None, &pack_b_all(&transposed, k, n), n, false);
            prop_assert!(close(&c));
        }

        #[test]
        fn scales_multiply_rows_and_columns(seed: u64) {
            let (x, w, rows, columns) = (values(seed, 32 * 32), values(!seed, 32 * 32), values(seed ^ 7, 32), values(seed ^ 9, 32));
            let b = pack_b_transposed_all(&w, 32, 32);
            let plain = gemm_rows(&x, 32, &b, 32, None, None);
            let scaled = gemm_rows(&x, 32, &b, 32, Some(&rows), Some(&columns));
            for (i, (p, s)) in plain.iter().zip(&scaled).enumerate() {
                prop_assert_eq!(*s, p * (rows[i / 32] * columns[i % 32]));
            }
        }

        #[test]
        fn rounding_is_to_nearest_even(bits: u32) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite());
            prop_assert_eq!(round(x), half::bf16::from_f32(x).to_bits());
        }
    }
}

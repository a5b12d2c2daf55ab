//! Exact products of int8 activations with ternary weights.

mod pack;
mod portable;
mod quantize;
#[cfg(target_arch = "x86_64")]
mod x86;

use rayon::prelude::*;

pub use pack::InvalidCode;
pub use quantize::quantize_activations;

use crate::{Level, level, scatter::Scatter};

/// Columns in a block of 64 packed bytes.
const BLOCK: usize = 256;
/// Rows that one task handles, and unpacks together when there are several tokens.
const TASK_ROWS: usize = 32;
/// From this many tokens on, unpacking a tile of weights pays.
const TILE_TOKENS: usize = 4;
/// Products below this many multiplications are not worth waking another thread.
const SERIAL: usize = 1 << 16;

/// A ternary matrix `[rows, cols]`, two bits a weight.
///
/// Rows are padded to blocks of 256 columns. Byte `j` of a block holds the codes of columns `j`, `j + 64`,
/// `j + 128` and `j + 192`, lowest bits first, so that one shift and one mask give 64 neighbours.
/// A code is the weight plus one; padding is weight 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ternary {
    rows: usize,
    cols: usize,
    packed: Vec<u8>,
}

impl Ternary {
    /// Packs row-major weights, each -1, 0 or 1.
    ///
    /// # Panics
    /// When `weights` does not hold `rows * cols` values or holds another number.
    pub fn pack(rows: usize, cols: usize, weights: &[i8]) -> Self {
        assert_eq!(weights.len(), rows * cols, "weights are [rows, cols]");
        let codes = |row: usize, out: &mut [u8]| {
            let row = &weights[row * cols..][..cols];
            out.iter_mut().zip(row).for_each(|(code, w)| *code = w.wrapping_add(1) as u8);
        };
        Ternary::pack_codes(rows, cols, codes).unwrap_or_else(|bad| panic!("weights are -1, 0 or 1: {bad:?}"))
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes held, padding included.
    pub fn bytes(&self) -> usize {
        self.packed.len()
    }

    /// One row as -1, 0 and 1.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> Vec<i8> {
        let packed = self.packed_row(row);
        (0..self.cols).map(|c| code(packed, c) as i8 - 1).collect()
    }

    fn stride(&self) -> usize {
        self.cols.next_multiple_of(BLOCK)
    }

    fn packed_row(&self, row: usize) -> &[u8] {
        &self.packed[row * self.stride() / 4..][..self.stride() / 4]
    }
}

fn code(packed: &[u8], col: usize) -> u8 {
    let (block, within) = (col / BLOCK, col % BLOCK);
    (packed[block * 64 + within % 64] >> (2 * (within / 64))) & 3
}

/// Which instructions multiply.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Engine {
    /// Plain loops: the reference.
    Portable,
    /// `vpmaddubsw` on 256-bit registers.
    Avx2,
    /// `vpdpbusd` on 512-bit registers.
    Avx512Vnni,
}

impl Engine {
    /// The fastest engine of this machine.
    pub fn best() -> Engine {
        #[cfg(target_arch = "x86_64")]
        {
            if level() == Level::Avx512 && is_x86_feature_detected!("avx512vnni") {
                return Engine::Avx512Vnni;
            }
            if level() >= Level::Avx2 {
                return Engine::Avx2;
            }
        }
        Engine::Portable
    }

    /// Every engine this machine can run.
    pub fn available() -> Vec<Engine> {
        [Engine::Portable, Engine::Avx2, Engine::Avx512Vnni]
            .into_iter()
            .filter(|e| *e <= Engine::best())
            .collect()
    }
}

/// `x [tokens, cols]` times the transpose of `weights [rows, cols]` into `out [tokens, rows]`, exactly.
///
/// # Panics
/// When a slice has another length, or when a row is so long that a sum could leave `i32` (over 16 million columns).
pub fn matmul(x: &[i8], weights: &Ternary, out: &mut [i32]) {
    // SAFETY: `best` is an engine of this machine.
    unsafe { run(Engine::best(), x, weights, out) }
}

/// [`matmul`] by a chosen engine.
///
/// # Panics
/// As [`matmul`], and when the engine is not [available](Engine::available).
pub fn matmul_with(engine: Engine, x: &[i8], weights: &Ternary, out: &mut [i32]) {
    assert!(engine <= Engine::best(), "{engine:?} is not available on this machine");
    // SAFETY: checked above.
    unsafe { run(engine, x, weights, out) }
}

/// Padded activations and what every task needs to know of them.
struct Job<'a> {
    engine: Engine,
    weights: &'a Ternary,
    x: &'a [i8],
    /// Sum of each token's activations: weights are codes minus one, so it is taken off every result.
    sums: &'a [i32],
}

/// # Safety
/// The engine's instructions must be present.
unsafe fn run(engine: Engine, x: &[i8], weights: &Ternary, out: &mut [i32]) {
    let (rows, cols, stride) = (weights.rows, weights.cols, weights.stride());
    assert!(x.len().is_multiple_of(cols) && cols < 1 << 24, "activations are [tokens, {cols}]");
    let tokens = x.len() / cols;
    let mut aligned = vec![0i8; tokens * stride];
    for (to, from) in aligned.chunks_exact_mut(stride).zip(x.chunks_exact(cols)) {
        to[..cols].copy_from_slice(from);
    }
    let sums: Vec<i32> = x.chunks_exact(cols).map(|row| row.iter().map(|&v| i32::from(v)).sum()).collect();
    let job = Job { engine, weights, x: &aligned, sums: &sums };
    let scatter = Scatter::new(out, tokens, rows);
    let tasks = rows.div_ceil(TASK_ROWS);
    let tile = || vec![0u8; if tokens >= TILE_TOKENS { TASK_ROWS * stride } else { 0 }];
    if tokens * rows * cols < SERIAL {
        let mut tile = tile();
        // SAFETY: one thread writes every row.
        (0..tasks).for_each(|task| unsafe { job.rows(task, &mut tile, scatter) });
    } else {
        // SAFETY: every task writes its own rows.
        (0..tasks).into_par_iter().for_each_init(tile, |tile, task| unsafe { job.rows(task, tile, scatter) });
    }
}

impl Job<'_> {
    /// # Safety
    /// The engine must be present and no other thread may write the task's rows.
    unsafe fn rows(&self, task: usize, tile: &mut [u8], out: Scatter<'_, i32>) {
        let first = task * TASK_ROWS;
        let count = TASK_ROWS.min(self.weights.rows - first);
        let stride = self.weights.stride();
        let tokens = self.sums.len();
        // SAFETY: passed on; `put` stays inside this task's rows.
        unsafe {
            if tokens < TILE_TOKENS {
                for token in 0..tokens {
                    let x = &self.x[token * stride..][..stride];
                    for row in first..first + count {
                        let sum = self.dot_packed(self.weights.packed_row(row), x);
                        out.put(token, row, sum - self.sums[token]);
                    }
                }
                return;
            }
            for i in 0..count {
                self.unpack(self.weights.packed_row(first + i), &mut tile[i * stride..][..stride]);
            }
            // Rows past the matrix repeat old codes; their results are dropped.
            for token in (0..tokens).step_by(4) {
                let quad = [0, 1, 2, 3].map(|t| {
                    let t = (token + t).min(tokens - 1);
                    &self.x[t * stride..][..stride]
                });
                for i in (0..count).step_by(4) {
                    let sums = self.dots(quad, &tile[i * stride..][..4 * stride]);
                    for (t, sums) in sums.iter().enumerate().take(tokens - token) {
                        for (r, sum) in sums.iter().enumerate().take(count - i) {
                            out.put(token + t, first + i + r, sum - self.sums[token + t]);
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// The engine must be present.
    unsafe fn dot_packed(&self, packed: &[u8], x: &[i8]) -> i32 {
        debug_assert_eq!(packed.len() * 4, x.len());
        // SAFETY: the lengths match and the engine is present.
        unsafe {
            match self.engine {
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512Vnni => x86::dot_packed_avx512(packed, x),
                #[cfg(target_arch = "x86_64")]
                Engine::Avx2 => x86::dot_packed_avx2(packed, x),
                _ => portable::dot_packed(packed, x),
            }
        }
    }

    /// # Safety
    /// The engine must be present.
    unsafe fn unpack(&self, packed: &[u8], codes: &mut [u8]) {
        debug_assert_eq!(packed.len() * 4, codes.len());
        // SAFETY: as above.
        unsafe {
            match self.engine {
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512Vnni => x86::unpack_avx512(packed, codes),
                _ => portable::unpack(packed, codes),
            }
        }
    }

    /// Four tokens times four rows of codes.
    ///
    /// # Safety
    /// The engine must be present.
    unsafe fn dots(&self, x: [&[i8]; 4], codes: &[u8]) -> [[i32; 4]; 4] {
        debug_assert!(x.iter().all(|x| x.len() * 4 == codes.len()));
        // SAFETY: as above.
        unsafe {
            match self.engine {
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512Vnni => x86::dots_avx512(x, codes),
                #[cfg(target_arch = "x86_64")]
                Engine::Avx2 => x86::dots_avx2(x, codes),
                _ => portable::dots(x, codes),
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Products by fused multiply-adds on sixteen lanes.
//!
//! Lane `i` sums the columns `i`, `i + 16` and so on; then the lanes are added in a fixed order. So the
//! results depend neither on the shape of a register tile nor on the size of the blocks that stay in a cache.

use std::ops::Range;

use super::Dense;
use crate::{
    Level,
    lanes::{self, LANES, Lanes, Portable, padded},
    scatter::Scatter,
};
use half::{bf16, f16};

/// Number of rows in a task. Their f32 copy stays in the second-level cache.
pub(super) const TASK_ROWS: usize = 64;
/// With at most this many tokens, weights are loaded from the file directly into registers, without an f32
/// copy.
const STREAM_TOKENS: usize = 3;
/// Number of rows that are decoded at a time for that few tokens. They stay in the first-level cache.
const FEW_ROWS: usize = 8;
/// Number of tokens in a block of activations, which stays in the first-level cache while all rows of the
/// task are read.
const BLOCK_TOKENS: usize = 12;
/// Number of columns in such a block.
const BLOCK_COLS: usize = 512;
/// Prefetch distance within each row of weights, in bytes.
const AHEAD: usize = 512;

/// A storage type of weights.
trait Stored: Copy + Default {
    /// Loads sixteen weights as f32.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Lanes::load`].
    unsafe fn load<L: Lanes>(at: *const Self) -> L;
}

impl Stored for f32 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const f32) -> L {
        // SAFETY: the caller upholds the contract.
        unsafe { L::load(at) }
    }
}

impl Stored for f16 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const f16) -> L {
        // SAFETY: the caller upholds the contract.
        unsafe { L::load_f16(at) }
    }
}

impl Stored for bf16 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const bf16) -> L {
        // SAFETY: the caller upholds the contract.
        unsafe { L::load_bf16(at) }
    }
}

/// The activations of a product, which all tasks share.
pub(super) struct Job {
    level: Level,
    /// Activations `[tokens, stride]`, padded with zeros to whole registers.
    x: Vec<f32>,
    /// Padded number of columns.
    stride: usize,
    cols: usize,
}

impl Job {
    pub(super) fn new(level: Level, x: &[f32], cols: usize) -> Job {
        let stride = padded(cols);
        let mut aligned = vec![0.0; x.len() / cols * stride];
        for (to, from) in aligned.chunks_exact_mut(stride).zip(x.chunks_exact(cols)) {
            to[..cols].copy_from_slice(from);
        }
        Job { level, x: aligned, stride, cols }
    }

    /// Multiplies all tokens by a range of rows. `tile` is a buffer.
    ///
    /// # Safety
    /// The machine must have the level, and no one else may write these rows of `out`.
    pub(super) unsafe fn multiply(
        &self,
        weights: Dense<'_>,
        range: Range<usize>,
        tile: &mut Vec<f32>,
        out: Scatter<'_, f32>,
    ) {
        let job = MatmulJob { x: &self.x, stride: self.stride, cols: self.cols, out };
        match weights {
            Dense::Rows { write, .. } if job.tokens() <= STREAM_TOKENS => {
                // SAFETY: the caller upholds the contract.
                unsafe { self.multiply_few(&job, write, range, tile) }
            }
            _ => {
                let streams = job.tokens() <= STREAM_TOKENS;
                // The padding of each row stays 0.
                tile.resize(if streams { 0 } else { TASK_ROWS * self.stride }, 0.0);
                // SAFETY: the caller upholds the contract.
                unsafe { multiply_rows(self.level, &job, weights, range, tile) }
            }
        }
    }

    /// Multiplies few tokens by rows that a function writes, a few rows at a time. The sums of a row are
    /// those of a row that is stored as f32.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`Job::multiply`].
    unsafe fn multiply_few(
        &self,
        job: &MatmulJob<'_>,
        write: &(dyn Fn(usize, &mut [f32]) + Sync),
        range: Range<usize>,
        rows: &mut Vec<f32>,
    ) {
        rows.resize(FEW_ROWS * self.cols, 0.0);
        for first in range.clone().step_by(FEW_ROWS) {
            let count = FEW_ROWS.min(range.end - first);
            let rows = &mut rows[..count * self.cols];
            for (row, out) in (first..).zip(rows.chunks_exact_mut(self.cols)) {
                write(row, out);
            }
            // SAFETY: the rows from `first` on are inside the output; the caller guarantees the rest.
            unsafe {
                let part = MatmulJob { out: job.out.starting_at(first), ..*job };
                multiply_rows(self.level, &part, Dense::F32(rows), 0..count, &mut []);
            }
        }
    }
}

/// The activations and the output of a task.
struct MatmulJob<'a> {
    /// Activations `[tokens, stride]`, padded with zeros to whole registers.
    x: &'a [f32],
    /// Padded number of columns.
    stride: usize,
    cols: usize,
    out: Scatter<'a, f32>,
}

/// Chooses the function for the type of the weights and the number of tokens. The first three literals are
/// the numbers of rows whose sums stay in registers for one, two and three streamed tokens. The last two are
/// the tokens and the rows of a register tile.
macro_rules! shapes {
    ($lanes:ty, $job:ident, $weights:ident, $range:ident, $tile:ident, $one:literal $two:literal $three:literal, $t:literal x $s:literal) => {
        match ($weights, $job.tokens()) {
            _ if !$tile.is_empty() => $job.tiled::<$lanes, $t, $s>($weights, $range, $tile),
            (Dense::F32(w), 1) => $job.stream::<$lanes, f32, 1, $one>(w, $range),
            (Dense::F32(w), 2) => $job.stream::<$lanes, f32, 2, $two>(w, $range),
            (Dense::F32(w), _) => $job.stream::<$lanes, f32, 3, $three>(w, $range),
            (Dense::F16(w), 1) => $job.stream::<$lanes, f16, 1, $one>(w, $range),
            (Dense::F16(w), 2) => $job.stream::<$lanes, f16, 2, $two>(w, $range),
            (Dense::F16(w), _) => $job.stream::<$lanes, f16, 3, $three>(w, $range),
            (Dense::Bf16(w), 1) => $job.stream::<$lanes, bf16, 1, $one>(w, $range),
            (Dense::Bf16(w), 2) => $job.stream::<$lanes, bf16, 2, $two>(w, $range),
            (Dense::Bf16(w), _) => $job.stream::<$lanes, bf16, 3, $three>(w, $range),
            (Dense::Rows { .. }, _) => unreachable!("weights of a function always have a tile"),
        }
    };
}

/// Multiplies all tokens by a range of rows. `tile` is a buffer for an f32 copy of these rows; it is empty if
/// the rows are streamed.
///
/// # Safety
/// The machine must have the level, and no other thread may write these rows.
unsafe fn multiply_rows(
    level: Level,
    job: &MatmulJob<'_>,
    weights: Dense<'_>,
    range: Range<usize>,
    tile: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn avx512(job: &MatmulJob<'_>, weights: Dense<'_>, range: Range<usize>, tile: &mut [f32]) {
            // SAFETY: the caller upholds the contract.
            unsafe { shapes!(lanes::Avx512, job, weights, range, tile, 8 8 8, 6 x 4) }
        }
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn avx2(job: &MatmulJob<'_>, weights: Dense<'_>, range: Range<usize>, tile: &mut [f32]) {
            // SAFETY: the caller upholds the contract.
            unsafe { shapes!(lanes::Avx2, job, weights, range, tile, 4 3 2, 2 x 3) }
        }
        // SAFETY: the caller guarantees the level.
        match level {
            Level::Avx512 => return unsafe { avx512(job, weights, range, tile) },
            Level::Avx2 => return unsafe { avx2(job, weights, range, tile) },
            Level::Portable => {}
        }
    }
    let _ = level;
    // SAFETY: the caller upholds the contract.
    unsafe { shapes!(Portable, job, weights, range, tile, 1 1 1, 1 x 1) }
}

impl MatmulJob<'_> {
    /// Returns the number of tokens.
    fn tokens(&self) -> usize {
        self.x.len() / self.stride
    }

    /// Multiplies all `T` tokens by rows that are read in place, `S` rows at a time.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`multiply_rows`].
    #[inline(always)]
    unsafe fn stream<L: Lanes, W: Stored, const T: usize, const S: usize>(
        &self,
        weights: &[W],
        range: Range<usize>,
    ) {
        let weights = &weights[..range.end * self.cols];
        let mut row = range.start;
        // SAFETY: the rows are inside the weights, and `T` is the number of tokens.
        unsafe {
            while row + S <= range.end {
                self.stream_rows::<L, W, T, S>(weights, row);
                row += S;
            }
            while row < range.end {
                self.stream_rows::<L, W, T, 1>(weights, row);
                row += 1;
            }
        }
    }

    /// Multiplies all `T` tokens by `S` rows, starting at `row`.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`multiply_rows`], and the `S` rows must exist.
    #[inline(always)]
    unsafe fn stream_rows<L: Lanes, W: Stored, const T: usize, const S: usize>(
        &self,
        weights: &[W],
        row: usize,
    ) {
        let (cols, whole, ahead) = (self.cols, self.cols / LANES * LANES, AHEAD / size_of::<W>());
        // SAFETY: every load is of a whole register inside a row; prefetched addresses are not read.
        unsafe {
            let w = weights.as_ptr().add(row * cols);
            let mut sums = [[L::splat(0.0); S]; T];
            for i in (0..whole).step_by(LANES) {
                // Near the end of these rows, the loop prefetches the start of the next ones.
                let next = if i + ahead < cols { i + ahead } else { S * cols + i + ahead - cols };
                let mut x = [L::splat(0.0); T];
                for (t, x) in x.iter_mut().enumerate() {
                    *x = L::load(self.x.as_ptr().add(t * self.stride + i));
                }
                for s in 0..S {
                    prefetch(w.wrapping_add(s * cols + next));
                    let column = W::load::<L>(w.add(s * cols + i));
                    for (sums, x) in sums.iter_mut().zip(&x) {
                        sums[s] = sums[s].fma(*x, column);
                    }
                }
            }
            if whole < cols {
                for s in 0..S {
                    let mut tail = [W::default(); LANES];
                    tail[..cols - whole]
                        .copy_from_slice(&weights[(row + s) * cols + whole..(row + s + 1) * cols]);
                    let column = W::load::<L>(tail.as_ptr());
                    for (t, sums) in sums.iter_mut().enumerate() {
                        sums[s] = sums[s].fma(L::load(self.x.as_ptr().add(t * self.stride + whole)), column);
                    }
                }
            }
            self.write_sums(&sums, 0, row);
        }
    }

    /// Converts a range of rows to f32 and multiplies all tokens by them. A register tile is `T` tokens x `S`
    /// rows.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`multiply_rows`].
    #[inline(always)]
    unsafe fn tiled<L: Lanes, const T: usize, const S: usize>(
        &self,
        weights: Dense<'_>,
        range: Range<usize>,
        tile: &mut [f32],
    ) {
        let count = range.len();
        // SAFETY: the caller guarantees the instructions.
        let mut kept = unsafe { [[L::splat(0.0); TASK_ROWS]; BLOCK_TOKENS] };
        // SAFETY: all tokens, rows and columns below are inside the operands.
        unsafe {
            for (row, to) in range.clone().zip(tile.chunks_exact_mut(self.stride)) {
                load_row::<L>(weights, self.cols, row, to);
            }
            for first in (0..self.tokens()).step_by(BLOCK_TOKENS) {
                let tokens = first..self.tokens().min(first + BLOCK_TOKENS);
                for start in (0..self.stride).step_by(BLOCK_COLS) {
                    let block = CacheBlock {
                        tile,
                        cols: start..self.stride.min(start + BLOCK_COLS),
                        tokens: tokens.clone(),
                        start: range.start,
                    };
                    let mut row = 0;
                    while row + S <= count {
                        self.multiply_block::<L, T, S>(&block, row, &mut kept);
                        row += S;
                    }
                    while row < count {
                        self.multiply_block::<L, T, 1>(&block, row, &mut kept);
                        row += 1;
                    }
                }
            }
        }
    }

    /// Multiplies all tokens of a block by the `S` rows from `row` on. `kept` holds the sums between blocks
    /// of columns.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`multiply_rows`].
    #[inline(always)]
    unsafe fn multiply_block<L: Lanes, const T: usize, const S: usize>(
        &self,
        block: &CacheBlock<'_>,
        row: usize,
        kept: &mut [[L; TASK_ROWS]; BLOCK_TOKENS],
    ) {
        let mut token = block.tokens.start;
        // SAFETY: the caller upholds the contract.
        unsafe {
            while token + T <= block.tokens.end {
                self.register_tile::<L, T, S>(block, token, row, kept);
                token += T;
            }
            while token < block.tokens.end {
                self.register_tile::<L, 1, S>(block, token, row, kept);
                token += 1;
            }
        }
    }

    /// Multiplies `T` tokens of the block by `S` rows.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`multiply_rows`].
    #[inline(always)]
    unsafe fn register_tile<L: Lanes, const T: usize, const S: usize>(
        &self,
        block: &CacheBlock<'_>,
        token: usize,
        row: usize,
        kept: &mut [[L; TASK_ROWS]; BLOCK_TOKENS],
    ) {
        let kept = &mut kept[token - block.tokens.start..][..T];
        // SAFETY: the columns of the block are inside padded rows.
        unsafe {
            let (x, w) =
                (self.x.as_ptr().add(token * self.stride), block.tile.as_ptr().add(row * self.stride));
            // This code does not use `from_fn` or `map` on registers. They are not compiled for the wide
            // instructions, so a register that they return passes through memory.
            let mut sums = [[L::splat(0.0); S]; T];
            if block.cols.start > 0 {
                for (sums, kept) in sums.iter_mut().zip(kept.iter()) {
                    sums.copy_from_slice(&kept[row..row + S]);
                }
            }
            for i in block.cols.clone().step_by(LANES) {
                let mut columns = [L::splat(0.0); S];
                for (s, column) in columns.iter_mut().enumerate() {
                    *column = L::load(w.add(s * self.stride + i));
                }
                for (t, sums) in sums.iter_mut().enumerate() {
                    let x = L::load(x.add(t * self.stride + i));
                    for (sum, column) in sums.iter_mut().zip(&columns) {
                        *sum = sum.fma(x, *column);
                    }
                }
            }
            if block.cols.end == self.stride {
                return self.write_sums(&sums, token, block.start + row);
            }
            for (sums, kept) in sums.iter().zip(kept.iter_mut()) {
                kept[row..row + S].copy_from_slice(sums);
            }
        }
    }

    /// Adds the lanes of each sum and writes the results of `T` tokens x `S` rows.
    ///
    /// # Safety
    /// The caller must uphold the contract of [`multiply_rows`].
    #[inline(always)]
    unsafe fn write_sums<L: Lanes, const T: usize, const S: usize>(
        &self,
        sums: &[[L; S]; T],
        token: usize,
        row: usize,
    ) {
        for (t, sums) in sums.iter().enumerate() {
            for s in (0..S).step_by(4) {
                // SAFETY: the caller upholds the contract.
                unsafe {
                    let mut four = [L::splat(0.0); 4];
                    four[..4.min(S - s)].copy_from_slice(&sums[s..S.min(s + 4)]);
                    let totals = L::sum4(four);
                    let count = 4.min(S - s);
                    self.out.row(token + t, row + s, count).copy_from_slice(&totals[..count]);
                }
            }
        }
    }
}

/// A block of activations, which stays in the first-level cache, and the rows of the task.
struct CacheBlock<'a> {
    /// The rows of the task in f32.
    tile: &'a [f32],
    /// Columns of the block.
    cols: Range<usize>,
    /// Tokens of the block.
    tokens: Range<usize>,
    /// Index of the first row of the task.
    start: usize,
}

/// Asks the CPU to load a cache line.
#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is only a hint; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Writes a row as f32 to the start of a padded row.
///
/// # Safety
/// The machine must have the level.
pub(super) unsafe fn read_row(level: Level, weights: Dense<'_>, cols: usize, row: usize, to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn avx512(weights: Dense<'_>, cols: usize, row: usize, to: &mut [f32]) {
            // SAFETY: the caller upholds the contract.
            unsafe { load_row::<lanes::Avx512>(weights, cols, row, to) }
        }
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn avx2(weights: Dense<'_>, cols: usize, row: usize, to: &mut [f32]) {
            // SAFETY: the caller upholds the contract.
            unsafe { load_row::<lanes::Avx2>(weights, cols, row, to) }
        }
        // SAFETY: the caller guarantees the level.
        match level {
            Level::Avx512 => return unsafe { avx512(weights, cols, row, to) },
            Level::Avx2 => return unsafe { avx2(weights, cols, row, to) },
            Level::Portable => {}
        }
    }
    let _ = level;
    // SAFETY: the caller upholds the contract.
    unsafe { load_row::<Portable>(weights, cols, row, to) }
}

/// Writes a row as f32 to the start of a padded row.
///
/// # Safety
/// The machine must have the instructions of `L`.
#[inline(always)]
unsafe fn load_row<L: Lanes>(weights: Dense<'_>, cols: usize, row: usize, to: &mut [f32]) {
    let range = row * cols..(row + 1) * cols;
    // SAFETY: the caller upholds the contract.
    unsafe {
        match weights {
            Dense::F32(w) => to[..cols].copy_from_slice(&w[range]),
            Dense::F16(w) => convert(to, &w[range], |at| L::load_f16(at), f16::to_f32),
            Dense::Bf16(w) => convert(to, &w[range], |at| L::load_bf16(at), bf16::to_f32),
            Dense::Rows { write, .. } => write(row, &mut to[..cols]),
        }
    }
}

/// Converts `from` to f32 at the start of `to`. `load` converts 16 values, `convert_one` converts one.
///
/// # Safety
/// The machine must have the instructions of `L`.
#[inline(always)]
pub(crate) unsafe fn convert<L: Lanes, T: Copy>(
    to: &mut [f32],
    from: &[T],
    load: impl Fn(*const T) -> L,
    convert_one: impl Fn(T) -> f32,
) {
    let whole = from.len() / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        // SAFETY: 16 values from `i` on are inside both slices.
        unsafe { load(from.as_ptr().add(i)).store(to[i..i + LANES].as_mut_ptr()) }
    }
    for i in whole..from.len() {
        to[i] = convert_one(from[i]);
    }
}

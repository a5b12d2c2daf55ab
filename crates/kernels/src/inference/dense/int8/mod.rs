//! An output head in int8, and how far off its products can be.
//!
//! A row of weights is int8 with one factor, the largest in size as 127. Activations are the sum of two int8 numbers,
//! `128 a + b`, so that their own rounding hardly counts. Each row keeps the norm of what its rounding lost: with the norm
//! of the activations that bounds the error of its product (Cauchy and Schwarz), and rows that cannot be among the
//! largest are known without their exact products.

mod activations;
mod product;
mod shortlist;
#[cfg(test)]
mod tests;

use activations::Activations;
use bitkv_bytes::Pages;
use rayon::prelude::*;

use crate::{Isa, isa, lanes::MAGIC, scatter::Scatter, simd::dispatch};

/// Rows are padded with zeros to whole registers.
const LINE: usize = 64;
/// The most columns for which no sum of products can leave `i32`: `255 * 127 * 2^16 < 2^31`.
const MAX_COLS: usize = 1 << 16;
/// Rows that one task handles for all tokens.
const TASK_ROWS: usize = 64;

/// Weights `[rows, cols]` rounded to int8, row by row.
#[derive(Debug)]
pub struct Int8 {
    cols: usize,
    stride: usize,
    /// `[rows, stride]`, from -127 to 127.
    values: Pages,
    rows: Vec<Row>,
}

/// What is known of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// Factor that turns integers back into weights.
    scale: f32,
    /// Sum of the integers.
    sum: i32,
    /// At least the norm of the weights less their rounded form.
    error: f32,
    /// At least the norm of the weights.
    norm: f32,
}

impl Int8 {
    /// Rounds rows that `write` writes as finite f32.
    ///
    /// # Errors
    /// When the system has no room, or there are not 1 to 65,536 columns.
    pub fn quantise(
        rows: usize,
        cols: usize,
        write: impl Fn(usize, &mut [f32]) + Sync,
    ) -> std::io::Result<Int8> {
        if !(1..=MAX_COLS).contains(&cols) {
            let said = format!("{cols} columns are not 1 to {MAX_COLS}");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, said));
        }
        let stride = cols.next_multiple_of(LINE);
        let mut values = Pages::zeroed(rows * stride)?;
        let mut found = vec![Row::default(); rows];
        values.par_chunks_exact_mut(stride).zip(&mut found).enumerate().for_each_init(
            || vec![0.0; stride],
            |floats, (row, (values, found))| {
                write(row, &mut floats[..cols]);
                *found = round_row(floats, values);
            },
        );
        Ok(Int8 { cols, stride, values, rows: found })
    }

    /// Bytes that a product reads.
    pub fn bytes(&self) -> usize {
        self.values.len() + self.rows.len() * size_of::<Row>()
    }

    /// `x [tokens, cols]` times the transpose: about what the exact weights give, `[tokens, rows]`.
    ///
    /// A token's products depend on that token only, and every instruction set gives the same bits.
    ///
    /// # Panics
    /// When `x` does not hold whole tokens.
    pub fn multiply(&self, x: &[f32]) -> Vec<f32> {
        self.products(isa(), &self.activations(x))
    }

    /// [`Int8::multiply`] by a chosen set of instructions.
    ///
    /// # Panics
    /// As [`Int8::multiply`], and when the set is not [available](Isa::available).
    pub fn multiply_with(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        assert!(Isa::available().contains(&isa), "{isa} is not available on this machine");
        self.products(isa, &self.activations(x))
    }

    fn activations(&self, x: &[f32]) -> Vec<Activations> {
        assert!(x.len().is_multiple_of(self.cols), "activations are [tokens, {}]", self.cols);
        x.chunks_exact(self.cols).map(|x| Activations::new(x, self.stride)).collect()
    }

    fn products(&self, isa: Isa, x: &[Activations]) -> Vec<f32> {
        let rows = self.rows.len();
        let mut out = vec![0.0; x.len() * rows];
        let scatter = Scatter::new(&mut out, x.len(), rows);
        (0..rows.div_ceil(TASK_ROWS)).into_par_iter().for_each(|task| {
            let first = task * TASK_ROWS;
            let count = TASK_ROWS.min(rows - first);
            let mut sums = [[0; 2]; TASK_ROWS];
            for (token, x) in x.iter().enumerate() {
                product::sums(isa, x, self, first, &mut sums[..count]);
                // SAFETY: every task writes its own rows.
                let out = unsafe { scatter.row(token, first, count) };
                for ((out, [high, low]), row) in out.iter_mut().zip(&sums).zip(&self.rows[first..]) {
                    let sum = 128 * i64::from(*high) + i64::from(*low);
                    *out = (sum as f64 * (f64::from(row.scale) * x.scale)) as f32;
                }
            }
        });
        out
    }
}

/// Not less than `x`, which was computed in f64.
fn above(x: f64) -> f32 {
    (x * (1.0 + f64::from(f32::EPSILON))) as f32 + f32::MIN_POSITIVE
}

dispatch! {
/// Rounds a padded row.
fn round_row(row: &[f32], out: &mut [u8]) -> Row {
    const LANES: usize = 16;
    let mut largest = [0.0f32; LANES];
    for x in row.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let x = x[i].abs();
            largest[i] = if x > largest[i] { x } else { largest[i] };
        }
    }
    let scale = largest.iter().fold(0.0f32, |a, &b| if b > a { b } else { a }) / 127.0;
    // Of numbers so small that this is infinite nothing is kept; the error says so.
    let inverse = 1.0 / scale;
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    let (mut errors, mut squares, mut sums) = ([0.0f64; LANES], [0.0f64; LANES], [0i32; LANES]);
    for (x, out) in row.as_chunks::<LANES>().0.iter().zip(out.as_chunks_mut::<LANES>().0) {
        for i in 0..LANES {
            let q = ((x[i] * inverse + MAGIC) - MAGIC).clamp(-127.0, 127.0);
            out[i] = q as i32 as u8;
            sums[i] += q as i32;
            let (x, error) = (f64::from(x[i]), f64::from(x[i]) - f64::from(scale) * f64::from(q));
            errors[i] += error * error;
            squares[i] += x * x;
        }
    }
    let norm = |squares: [f64; LANES]| above(squares.iter().sum::<f64>().sqrt());
    Row { scale, sum: sums.iter().sum(), error: norm(errors), norm: norm(squares) }
}
}

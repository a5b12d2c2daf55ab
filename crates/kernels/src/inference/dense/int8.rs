//! An LM head in int8 with bounds on the errors of its products.
//!
//! Each row of weights is stored as int8 with one scale, so that its largest absolute weight is 127. Each
//! activation is the sum of two int8 numbers, `128 a + b`, so its rounding error is small in comparison. Each
//! row also stores the norm of its rounding error. This norm times the norm of the activations bounds the
//! error of the product (Cauchy-Schwarz inequality). So a row whose exact product cannot be among the largest
//! is recognised without computing that product.

mod activations;
mod product;
mod shortlist;

use activations::Activations;
use bitkv_bytes::Pages;
use rayon::prelude::*;

use crate::{Isa, isa, lanes::MAGIC, scatter::Scatter, simd::dispatch};

/// Rows are padded with zeros to a multiple of this number of bytes, a whole register.
const LINE: usize = 64;
/// The largest number of columns for which a sum of products cannot overflow `i32`:
/// `255 * 127 * 2^16 < 2^31`.
const MAX_COLS: usize = 1 << 16;
/// Number of rows in a task, which multiplies them by all tokens.
const TASK_ROWS: usize = 64;

/// Weights `[rows, cols]` rounded to int8, row by row.
#[derive(Debug)]
pub struct Int8 {
    cols: usize,
    stride: usize,
    /// Integers from -127 to 127, `[rows, stride]`.
    values: Pages,
    /// Scales and error bounds, `[rows]`.
    rows: Vec<RoundedRow>,
}

/// The scale of a rounded row and the bounds of its rounding error.
#[derive(Clone, Copy, Debug, Default)]
struct RoundedRow {
    /// Factor that converts integers to weights.
    scale: f32,
    /// Sum of the integers.
    sum: i32,
    /// An upper bound of the norm of the rounding error.
    error: f32,
    /// An upper bound of the norm of the weights.
    norm: f32,
}

impl Int8 {
    /// Rounds the rows to int8. `write(row, out)` writes a row as finite f32.
    ///
    /// # Errors
    /// Returns an error if there is not enough memory, or if `cols` is not in 1 to 65,536.
    pub fn quantise(
        rows: usize,
        cols: usize,
        write: impl Fn(usize, &mut [f32]) + Sync,
    ) -> std::io::Result<Int8> {
        if !(1..=MAX_COLS).contains(&cols) {
            let message = format!("an int8 LM head has 1 to {MAX_COLS} columns, not {cols}");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let stride = cols.next_multiple_of(LINE);
        let mut values = Pages::zeroed(rows * stride)?;
        let mut rounded_rows = vec![RoundedRow::default(); rows];
        values.par_chunks_exact_mut(stride).zip(&mut rounded_rows).enumerate().for_each_init(
            || vec![0.0; stride],
            |floats, (row, (values, rounded_row))| {
                write(row, &mut floats[..cols]);
                *rounded_row = round_row(floats, values);
            },
        );
        Ok(Int8 { cols, stride, values, rows: rounded_rows })
    }

    /// Returns the number of bytes of the weights that a product reads.
    pub fn bytes(&self) -> usize {
        self.values.len() + self.rows.len() * size_of::<RoundedRow>()
    }

    /// Returns `x [tokens, cols]` times the transpose of the rounded weights, `[tokens, rows]`. The results
    /// approximate the products with the exact weights.
    ///
    /// The products of a token depend only on that token, and every instruction set gives the same bits.
    ///
    /// # Panics
    /// Panics if `x` does not hold whole tokens.
    pub fn multiply(&self, x: &[f32]) -> Vec<f32> {
        self.products(isa(), &self.activations(x))
    }

    /// Computes [`Int8::multiply`] with a given instruction set.
    ///
    /// # Panics
    /// Panics as [`Int8::multiply`] does, and if the instruction set is not [available](Isa::available).
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
                // SAFETY: every task writes only its own rows.
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

/// Rounds `x`, which was computed in f64, to an f32 that is at least the exact value.
fn round_up(x: f64) -> f32 {
    (x * (1.0 + f64::from(f32::EPSILON))) as f32 + f32::MIN_POSITIVE
}

dispatch! {
/// Rounds a padded row to int8.
fn round_row(row: &[f32], out: &mut [u8]) -> RoundedRow {
    const LANES: usize = 16;
    let mut largest = [0.0f32; LANES];
    for x in row.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let x = x[i].abs();
            largest[i] = if x > largest[i] { x } else { largest[i] };
        }
    }
    let scale = largest.iter().fold(0.0f32, |a, &b| if b > a { b } else { a }) / 127.0;
    // If the weights are so small that the inverse is infinite, all of them are rounded to 0. The error bound
    // covers this case.
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
    let norm = |squares: [f64; LANES]| round_up(squares.iter().sum::<f64>().sqrt());
    RoundedRow { scale, sum: sums.iter().sum(), error: norm(errors), norm: norm(squares) }
}
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::*;
    use crate::inference::dense::{Arithmetic, Dense, matmul_rows_at, matmul_with};

    /// Returns uniform numbers in [-1, 1).
    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn rounded(weights: &[f32], cols: usize) -> Int8 {
        let write = |row: usize, out: &mut [f32]| out.copy_from_slice(&weights[row * cols..][..cols]);
        Int8::quantise(weights.len() / cols, cols, write).unwrap()
    }

    /// Returns rows of bf16 numbers as f32. Many rows are equal or differ in the last bit of one weight.
    fn near_ties(seed: u64, rows: usize, cols: usize) -> Vec<f32> {
        let kinds = numbers(seed, 5 * cols);
        let mut weights: Vec<f32> = Vec::new();
        for (row, draw) in numbers(!seed, rows).into_iter().enumerate() {
            let kind = ((draw + 1.0) * 2.5) as usize;
            let from = weights.len();
            weights.extend(kinds[kind * cols..][..cols].iter().map(|w| bf16::from_f32(*w).to_f32()));
            if row % 3 == 0 {
                let at = from + row % cols;
                weights[at] = bf16::from_bits(bf16::from_f32(weights[at]).to_bits() ^ 1).to_f32();
            }
        }
        weights
    }

    /// Returns the rows sorted by their products, largest first; equal rows are sorted by index.
    fn ranked(products: &[f32]) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..products.len() as u32).collect();
        rows.sort_by(|a, b| products[*b as usize].total_cmp(&products[*a as usize]).then(a.cmp(b)));
        rows
    }

    proptest! {
        #[test]
        fn every_instruction_set_sums_exactly(rows in 1usize..140, cols in 1usize..200, seed: u64, big in 0u32..3) {
            let mut w = numbers(seed, rows * cols);
            if big > 0 {
                // Every weight is at an end of the range.
                w.iter_mut().for_each(|w| *w = w.signum());
            }
            let mut x = numbers(!seed, cols);
            if big > 1 {
                x.iter_mut().for_each(|x| *x = x.signum());
            }
            let (int8, x) = (rounded(&w, cols), Activations::new(&x, cols.next_multiple_of(LINE)));
            let [high, low] = x.parts();
            for isa in Isa::available() {
                let mut sums = vec![[0; 2]; rows];
                product::sums(*isa, &x, &int8, 0, &mut sums);
                for (row, sums) in sums.iter().enumerate() {
                    let w = activations::signed(&int8.values[row * int8.stride..][..int8.stride]);
                    let exact = [high, low].map(|x| -> i64 {
                        x.iter().zip(w).map(|(x, w)| i64::from(*x) * i64::from(*w)).sum()
                    });
                    prop_assert_eq!(sums.map(i64::from), exact, "{} row {}", isa, row);
                }
            }
        }

        #[test]
        fn products_are_within_the_bound(rows in 1usize..60, cols in 1usize..150, seed: u64, scale in -30i32..30) {
            let scale = 2f32.powi(scale);
            let w: Vec<f32> =
                numbers(seed, rows * cols).iter().map(|w| bf16::from_f32(w * scale).to_f32()).collect();
            let brains: Vec<bf16> = w.iter().map(|w| bf16::from_f32(*w)).collect();
            let mut x = numbers(!seed, cols);
            x.iter_mut().step_by(7).for_each(|x| *x *= 50.0);
            let int8 = rounded(&w, cols);
            let approximate = int8.multiply(&x);
            for isa in Isa::available() {
                prop_assert_eq!(&int8.multiply_with(*isa, &x), &approximate, "{}", isa);
            }
            let rounded_x = &int8.activations(&x)[0];
            for isa in Isa::available() {
                let exact = matmul_with(*isa, &x, cols, Dense::Bf16(&brains));
                for row in 0..rows {
                    let bound = int8.error_bound(rounded_x, row, approximate[row]);
                    let error = (f64::from(approximate[row]) - f64::from(exact[row])).abs();
                    prop_assert!(error <= bound, "{isa} row {row}: {error} {bound}");
                    prop_assert!(bound < 0.02 * f64::from(int8.rows[row].norm) * rounded_x.norm + 1e-30);
                }
            }
        }

        #[test]
        fn the_largest_rows_and_ties_are_listed(
            rows in 2usize..300, cols in 1usize..80, k in 1usize..20, seed: u64, always in prop::collection::btree_set(0u32..300, 0..4),
        ) {
            let w = near_ties(seed, rows, cols);
            let brains: Vec<bf16> = w.iter().map(|w| bf16::from_f32(*w)).collect();
            let x = numbers(!seed, cols);
            let always: Vec<u32> = always.into_iter().filter(|row| (*row as usize) < rows).collect();
            let list = rounded(&w, cols).candidates(&x, k, &always);
            prop_assert_eq!(list.is_none(), k >= rows - always.len());
            let Some(list) = list else { return Ok(()) };
            prop_assert!(list.is_sorted() && always.iter().all(|row| list.contains(row)));
            for isa in Isa::available() {
                for weights in [Dense::F32(&w), Dense::Bf16(&brains)] {
                    let exact = matmul_with(*isa, &x, cols, weights);
                    let order: Vec<u32> = ranked(&exact).into_iter().filter(|row| !always.contains(row)).collect();
                    let least = exact[order[k - 1] as usize];
                    for row in order.iter().filter(|row| exact[**row as usize] >= least) {
                        prop_assert!(list.contains(row), "{isa}: row {row}");
                    }
                    // Rows that are multiplied alone give the same bits as among all rows.
                    let some = matmul_rows_at(*isa, &x, cols, Arithmetic::F32, weights, &list);
                    for (row, product) in list.iter().zip(some) {
                        prop_assert_eq!(product.to_bits(), exact[*row as usize].to_bits(), "{} row {}", isa, row);
                    }
                }
            }
        }
    }

    #[test]
    fn a_shortlist_is_short() {
        const COLS: usize = 512;
        let w = numbers(3, 4000 * COLS);
        let list = rounded(&w, COLS).shortlist(&numbers(4, COLS), 1, &[]).unwrap();
        assert!(list.len() < 100, "{}", list.len());
    }

    #[test]
    fn activations_that_are_not_finite_have_no_list() {
        let int8 = rounded(&numbers(1, 640), 64);
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = numbers(2, 64);
            x[5] = bad;
            assert_eq!(int8.candidates(&x, 1, &[]), None);
            assert!(int8.multiply(&x).iter().all(|product| product.is_nan()));
        }
        assert!(int8.candidates(&[0.0; 64], 1, &[]).is_some_and(|list| list.len() == 10), "all are equal");
    }

    #[test]
    fn rows_of_zeros_and_of_subnormal_numbers_are_supported() {
        let w = [0.0, 0.0, 1e-40, -1e-40, 1.0, -1.0, 1e30, 1.0];
        let int8 = rounded(&w, 2);
        assert_eq!(int8.multiply(&[1.0, 1.0])[0], 0.0);
        let exact = matmul_with(Isa::Scalar, &[1.0, 1.0], 2, Dense::F32(&w));
        assert_eq!(int8.candidates(&[1.0, 1.0], 1, &[]), Some(vec![ranked(&exact)[0]]));
    }
}

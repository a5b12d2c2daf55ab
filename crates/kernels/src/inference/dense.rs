//! Products of f32 activations with dense weights: the LM head, and the linear layers of full-precision
//! models.
//!
//! [`linear`] computes several products with the same activations in one parallel loop, [`matmul`] a single
//! one, and [`matmul_rows`] that with some rows of the weights. [`Int8`] is a copy of the weights in int8
//! that finds the rows with the largest products.
//!
//! There are two implementations. One uses fused multiply-adds in f32, or separate multiplications and
//! additions on machines without the instruction. The other multiplies bf16 numbers. In [`Arithmetic::Bf16`]
//! it rounds weights and activations to bf16, on a machine with AMX or AVX-512 BF16. In [`Arithmetic::F32`]
//! it multiplies weights that are bf16, on a machine with AMX, and splits each activation into an exact sum
//! of three bf16 numbers. The choice depends only on the machine, the instruction set, the arithmetic and the
//! type of the weights, never on the number of tokens.

mod fma;
mod int8;
#[cfg(target_arch = "x86_64")]
mod packed;

use std::ops::Range;

use half::{bf16, f16};
use rayon::prelude::*;

use crate::{Isa, Level, isa, scatter::Scatter};

pub(crate) use fma::convert;
pub use int8::Int8;

/// Dense weights `[rows, cols]`, row-major, in their storage type.
#[derive(Clone, Copy)]
pub enum Dense<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// IEEE half floats.
    F16(&'a [f16]),
    /// bfloat16.
    Bf16(&'a [bf16]),
    /// Weights of any other type, as a function that writes a row as f32.
    Rows {
        /// Number of rows.
        rows: usize,
        /// Writes one row.
        write: &'a (dyn Fn(usize, &mut [f32]) + Sync),
    },
}

impl Dense<'_> {
    /// Returns the number of weights.
    fn len(&self, cols: usize) -> usize {
        match self {
            Dense::F32(w) => w.len(),
            Dense::F16(w) => w.len(),
            Dense::Bf16(w) => w.len(),
            Dense::Rows { rows, .. } => rows * cols,
        }
    }
}

/// Returns `x [tokens, cols]` times the transpose of `weights [rows, cols]`, `[tokens, rows]`.
///
/// A result depends only on its token and its row of weights. So a token gives the same bits alone as
/// together with others.
///
/// # Panics
/// Panics if a slice does not hold whole rows of `cols`.
pub fn matmul(x: &[f32], cols: usize, weights: Dense<'_>) -> Vec<f32> {
    matmul_at(isa(), x, cols, weights)
}

/// Computes [`matmul`] with a given instruction set.
///
/// # Panics
/// Panics as [`matmul`] does, and if the instruction set is not [available](Isa::available).
pub fn matmul_with(isa: Isa, x: &[f32], cols: usize, weights: Dense<'_>) -> Vec<f32> {
    assert!(Isa::available().contains(&isa), "{isa} is not available on this machine");
    matmul_at(isa, x, cols, weights)
}

/// Returns the products of `x [tokens, cols]` with the given rows of the weights, `[tokens, rows.len()]`.
/// They have the same bits as the results of [`linear`] in this arithmetic.
///
/// # Panics
/// Panics as [`linear`] does, and if a row does not exist.
pub fn matmul_rows(
    x: &[f32],
    cols: usize,
    arithmetic: Arithmetic,
    weights: Dense<'_>,
    rows: &[u32],
) -> Vec<f32> {
    matmul_rows_at(isa(), x, cols, arithmetic, weights, rows)
}

fn matmul_rows_at(
    isa: Isa,
    x: &[f32],
    cols: usize,
    arithmetic: Arithmetic,
    weights: Dense<'_>,
    rows: &[u32],
) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / cols * rows.len()];
    let mut multiply = |weights: Dense<'_>| {
        linear_at(isa, x, cols, arithmetic, &mut [Product { weights, out: &mut out }]);
    };
    match weights {
        Dense::F32(w) => multiply(Dense::F32(&gather(w, cols, rows))),
        Dense::F16(w) => multiply(Dense::F16(&gather(w, cols, rows))),
        Dense::Bf16(w) => multiply(Dense::Bf16(&gather(w, cols, rows))),
        Dense::Rows { write, .. } => {
            let write = |i: usize, out: &mut [f32]| write(rows[i] as usize, out);
            multiply(Dense::Rows { rows: rows.len(), write: &write });
        }
    }
    out
}

/// Copies the given rows.
fn gather<T: Copy>(weights: &[T], cols: usize, rows: &[u32]) -> Vec<T> {
    rows.iter().flat_map(|row| &weights[*row as usize * cols..][..cols]).copied().collect()
}

fn matmul_at(isa: Isa, x: &[f32], cols: usize, weights: Dense<'_>) -> Vec<f32> {
    assert!(
        cols > 0 && x.len().is_multiple_of(cols) && weights.len(cols).is_multiple_of(cols),
        "slices hold whole rows of {cols}"
    );
    let mut out = vec![0.0; x.len() / cols * (weights.len(cols) / cols)];
    linear_at(isa, x, cols, Arithmetic::F32, &mut [Product { weights, out: &mut out }]);
    out
}

/// The numbers in which products are computed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Arithmetic {
    /// Weights and activations are f32, and so are sums.
    #[default]
    F32,
    /// Weights and activations are rounded to bf16; sums are f32.
    Bf16,
}

/// The instructions that multiply dense weights. Each adds in an order of its own, so that results differ in
/// their last bits.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Instructions {
    /// Fused multiply-adds in f32, or plain loops with [`Isa::Scalar`].
    Vectors,
    /// Dot products of bf16: AVX-512 BF16.
    Dots,
    /// Tiles of bf16: AMX.
    Tiles,
}

/// Returns the instructions that [`linear`] uses for weights in an arithmetic. `is_bf16` says whether the
/// weights are stored as bf16.
pub fn instructions(arithmetic: Arithmetic, is_bf16: bool) -> Instructions {
    #[cfg(target_arch = "x86_64")]
    match packed::Unit::choose(isa(), arithmetic, is_bf16) {
        Some(packed::Unit::Dots) => return Instructions::Dots,
        Some(packed::Unit::Tiles) => return Instructions::Tiles,
        None => {}
    }
    let _ = (arithmetic, is_bf16);
    Instructions::Vectors
}

/// A product with dense weights.
pub struct Product<'a> {
    /// The weights, `[rows, cols]`.
    pub weights: Dense<'a>,
    /// The result, `[tokens, rows]`.
    pub out: &'a mut [f32],
}

/// Writes the products of `x [tokens, cols]` with the transposes of several matrices to their outputs.
///
/// A result depends only on its token and its row of weights. So a token gives the same bits alone as
/// together with others.
///
/// # Panics
/// Panics if a slice does not hold whole rows, or if an output has another size.
pub fn linear(x: &[f32], cols: usize, arithmetic: Arithmetic, products: &mut [Product<'_>]) {
    linear_at(isa(), x, cols, arithmetic, products);
}

/// Computes [`linear`] with a given instruction set.
///
/// # Panics
/// Panics as [`linear`] does, and if the instruction set is not [available](Isa::available).
pub fn linear_with(isa: Isa, x: &[f32], cols: usize, arithmetic: Arithmetic, products: &mut [Product<'_>]) {
    assert!(Isa::available().contains(&isa), "{isa} is not available on this machine");
    linear_at(isa, x, cols, arithmetic, products);
}

fn linear_at(isa: Isa, x: &[f32], cols: usize, arithmetic: Arithmetic, products: &mut [Product<'_>]) {
    assert!(cols > 0 && x.len().is_multiple_of(cols), "activations hold whole rows of {cols}");
    let tokens = x.len() / cols;
    if tokens == 0 {
        return;
    }
    let outputs: Vec<Output<'_>> = products.iter_mut().map(|p| Output::new(p, tokens, cols)).collect();
    #[cfg(target_arch = "x86_64")]
    let outputs = {
        let unit = |output: &Output<'_>| {
            packed::Unit::choose(isa, arithmetic, matches!(output.weights, Dense::Bf16(_)))
        };
        // Weights of different types may be multiplied by different instructions.
        let (on_unit, others): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|output| unit(output).is_some());
        if let Some(unit) = on_unit.first().and_then(unit) {
            // SAFETY: the machine has the unit.
            unsafe {
                match arithmetic {
                    Arithmetic::F32 => multiply_packed::<3>(unit, x, cols, &on_unit),
                    Arithmetic::Bf16 => multiply_packed::<1>(unit, x, cols, &on_unit),
                }
            }
        }
        others
    };
    if outputs.is_empty() {
        return;
    }
    match arithmetic {
        Arithmetic::F32 => multiply_by_vectors(isa, x, cols, &outputs),
        Arithmetic::Bf16 => {
            let round = |x: &f32| bf16::from_f32(*x).to_f32();
            let x: Vec<f32> = x.iter().map(round).collect();
            let job = fma::Job::new(level(isa), &x, cols);
            run_tasks(&outputs, fma::TASK_ROWS, |output, range, tile| {
                let write = |row: usize, out: &mut [f32]| {
                    // SAFETY: the machine has the level.
                    unsafe { fma::read_row(level(isa), output.weights, cols, row, out) };
                    out.iter_mut().for_each(|w| *w = round(w));
                };
                let weights = Dense::Rows { rows: output.rows, write: &write };
                // SAFETY: as above.
                unsafe { job.multiply(weights, range, tile, output.out) }
            });
        }
    }
}

/// Computes products on a unit that multiplies bf16 numbers. Activations have `PARTS` parts.
///
/// # Safety
/// The machine must have the unit.
#[cfg(target_arch = "x86_64")]
unsafe fn multiply_packed<const PARTS: usize>(
    unit: packed::Unit,
    x: &[f32],
    cols: usize,
    outputs: &[Output<'_>],
) {
    // SAFETY: the caller guarantees the unit.
    let job = unsafe { packed::Job::<PARTS>::new(unit, x, cols) };
    run_tasks(outputs, job.task_rows(), |output, range, scratch| {
        // SAFETY: as above; every task writes only its own rows.
        unsafe { job.multiply(output.weights, range, scratch, output.out) }
    });
}

/// Computes products in f32 by fused multiply-adds.
fn multiply_by_vectors(isa: Isa, x: &[f32], cols: usize, outputs: &[Output<'_>]) {
    let job = fma::Job::new(level(isa), x, cols);
    run_tasks(outputs, fma::TASK_ROWS, |output, range, tile| {
        // SAFETY: the machine has the level; every task writes only its own rows.
        unsafe { job.multiply(output.weights, range, tile, output.out) }
    });
}

/// The weights and the output of a product, for tasks.
struct Output<'a> {
    weights: Dense<'a>,
    rows: usize,
    out: Scatter<'a, f32>,
}

impl<'a> Output<'a> {
    fn new(product: &'a mut Product<'_>, tokens: usize, cols: usize) -> Output<'a> {
        let count = product.weights.len(cols);
        let rows = count / cols;
        assert!(
            count.is_multiple_of(cols) && product.out.len() == tokens * rows,
            "weights hold whole rows of {cols}, and outputs [{tokens}, {rows}]"
        );
        Output { weights: product.weights, rows, out: Scatter::new(product.out, tokens, rows) }
    }
}

/// Runs a task for every range of up to `most` rows of every output. Each thread has its own buffer.
fn run_tasks<T: Send>(
    outputs: &[Output<'_>],
    most: usize,
    run: impl Fn(&Output<'_>, Range<usize>, &mut Vec<T>) + Sync,
) {
    let ranges = |output: &Output<'_>| {
        let rows = output.rows;
        (0..rows).step_by(most).map(move |first| first..rows.min(first + most)).collect::<Vec<_>>()
    };
    let tasks: Vec<_> = outputs.iter().flat_map(|o| ranges(o).into_iter().map(move |r| (o, r))).collect();
    tasks.into_par_iter().for_each_init(Vec::new, |buffer, (output, range)| run(output, range, buffer));
}

/// Returns the vector width to use for an instruction set.
fn level(isa: Isa) -> Level {
    match isa {
        Isa::Scalar | Isa::Neon => Level::Portable,
        // AVX2 also needs F16C to convert half floats.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if !crate::extension::Extension::Halves.works() => Level::Portable,
        Isa::Avx2 => Level::Avx2,
        Isa::Avx512 | Isa::Amx => Level::Avx512,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn available() -> impl Iterator<Item = Isa> {
        Isa::available().iter().copied()
    }

    /// Returns uniform numbers in [-0.5, 0.5].
    fn numbers(seed: u32, count: usize) -> Vec<f32> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    proptest! {
        #[test]
        fn results_match_f64(tokens in 1usize..40, rows in 1usize..150, cols in 1usize..100, seed: u32) {
            let (x, w) = (numbers(seed, tokens * cols), numbers(!seed, rows * cols));
            let (w16, wb): (Vec<f16>, Vec<bf16>) = w.iter().map(|&v| (f16::from_f32(v), bf16::from_f32(v))).unzip();
            let weight = |k: usize, i: usize| [w[i], w16[i].to_f32(), wb[i].to_f32()][k];
            for isa in available() {
                for (k, weights) in [Dense::F32(&w), Dense::F16(&w16), Dense::Bf16(&wb)].into_iter().enumerate() {
                    let got = matmul_with(isa, &x, cols, weights);
                    for (i, got) in got.iter().enumerate() {
                        let (t, r) = (i / rows, i % rows);
                        let exact: f64 = (0..cols)
                            .map(|c| f64::from(x[t * cols + c]) * f64::from(weight(k, r * cols + c)))
                            .sum();
                        prop_assert!((f64::from(*got) - exact).abs() < 1e-5, "{isa} {k} {i}: {got} {exact}");
                    }
                    for some in [1, 2, 3, 5] {
                        let some = some.min(tokens);
                        let alone = matmul_with(isa, &x[..some * cols], cols, weights);
                        prop_assert_eq!(&alone[..], &got[..some * rows], "{} tokens of {}", some, tokens);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bf16_results_are_those_of_rounded_operands(
            tokens in 1usize..40, rows in 1usize..150, cols in 1usize..100, seed: u32,
        ) {
            let (x, w) = (numbers(seed, tokens * cols), numbers(!seed, rows * cols));
            let wb: Vec<bf16> = w.iter().map(|&v| bf16::from_f32(v)).collect();
            let w16: Vec<f16> = w.iter().map(|&v| f16::from_f32(v)).collect();
            let write = |row: usize, out: &mut [f32]| out.copy_from_slice(&w[row * cols..][..cols]);
            let function = Dense::Rows { rows, write: &write };
            let round = |x: f32| f64::from(bf16::from_f32(x).to_f32());
            for isa in available() {
                let all = [Dense::F32(&w), Dense::F16(&w16), Dense::Bf16(&wb), function];
                let mut outs = vec![vec![0.0; tokens * rows]; all.len()];
                let mut products: Vec<Product<'_>> =
                    all.iter().zip(&mut outs).map(|(weights, out)| Product { weights: *weights, out }).collect();
                linear_with(isa, &x, cols, Arithmetic::Bf16, &mut products);
                for (k, out) in outs.iter().enumerate() {
                    for (i, got) in out.iter().enumerate() {
                        let (t, r) = (i / rows, i % rows);
                        let weight = |at: usize| round(if k == 1 { w16[at].to_f32() } else { w[at] });
                        let exact: f64 = (0..cols).map(|c| round(x[t * cols + c]) * weight(r * cols + c)).sum();
                        prop_assert!((f64::from(*got) - exact).abs() < 1e-5, "{isa} {k} {i}: {got} {exact}");
                    }
                }
                let mut alone = vec![0.0; rows];
                let product = Product { weights: Dense::F32(&w), out: &mut alone };
                linear_with(isa, &x[..cols], cols, Arithmetic::Bf16, &mut [product]);
                prop_assert_eq!(&alone[..], &outs[0][..rows], "one token");
            }
        }
    }

    /// Returns the largest error of a product of a token of `x` and a bf16 row, divided by the norms of both.
    fn largest_error(isa: Isa, x: &[f32], w: &[bf16], cols: usize) -> f64 {
        let (got, rows) = (matmul_with(isa, x, cols, Dense::Bf16(w)), w.len() / cols);
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
        let error = |(i, got): (usize, &f32)| {
            let (x, w) = (&x[i / rows * cols..][..cols], &w[i % rows * cols..][..cols]);
            let pairs = || x.iter().zip(w).map(|(x, w)| (f64::from(*x), f64::from(w.to_f32())));
            let exact: f64 = pairs().map(|(x, w)| x * w).sum();
            let norms = norm(&mut pairs().map(|p| p.0)) * norm(&mut pairs().map(|p| p.1));
            (f64::from(*got) - exact).abs() / norms
        };
        got.iter().enumerate().map(error).fold(0.0, f64::max)
    }

    #[test]
    fn every_instruction_set_is_as_exact_as_f32_sums() {
        const COLS: usize = 2560;
        let w: Vec<bf16> = numbers(5, 128 * COLS).into_iter().map(bf16::from_f32).collect();
        // Activations after a norm have outliers.
        let mut x = numbers(7, 16 * COLS);
        x.iter_mut().step_by(97).for_each(|x| *x *= 40.0);
        for isa in available() {
            let error = largest_error(isa, &x, &w, COLS);
            assert!(error < 0.5 * f64::from(f32::EPSILON), "{isa}: {error:.2e}");
            assert!(error > 1e-10, "{isa}: nothing was rounded?");
        }
    }
}

//! Products of f32 activations with dense weights in f32, f16 or bf16: the LM head.
//!
//! [`matmul`] computes the products with all rows of the weights, and [`matmul_rows`] those with some rows.
//! [`Int8`] is a copy of the weights in int8 that finds the rows with the largest products.
//!
//! There are two implementations. One uses fused multiply-adds in f32, or separate multiplications and
//! additions on machines without the instruction. The other, for bf16 weights on a machine with AMX, uses the
//! tile unit and splits each activation into an exact sum of three bf16 numbers. The choice depends only on
//! the instruction set and the type of the weights, never on the number of tokens.

#[cfg(target_arch = "x86_64")]
mod amx;
mod fma;
mod int8;

use half::{bf16, f16};

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
/// They have the same bits as the results of [`matmul`].
///
/// # Panics
/// Panics as [`matmul`] does, and if a row does not exist.
pub fn matmul_rows(x: &[f32], cols: usize, weights: Dense<'_>, rows: &[u32]) -> Vec<f32> {
    matmul_rows_at(isa(), x, cols, weights, rows)
}

fn matmul_rows_at(isa: Isa, x: &[f32], cols: usize, weights: Dense<'_>, rows: &[u32]) -> Vec<f32> {
    match weights {
        Dense::F32(w) => matmul_at(isa, x, cols, Dense::F32(&gather(w, cols, rows))),
        Dense::F16(w) => matmul_at(isa, x, cols, Dense::F16(&gather(w, cols, rows))),
        Dense::Bf16(w) => matmul_at(isa, x, cols, Dense::Bf16(&gather(w, cols, rows))),
        Dense::Rows { write, .. } => {
            let write = |i: usize, out: &mut [f32]| write(rows[i] as usize, out);
            matmul_at(isa, x, cols, Dense::Rows { rows: rows.len(), write: &write })
        }
    }
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
    let (tokens, rows) = (x.len() / cols, weights.len(cols) / cols);
    let mut out = vec![0.0; tokens * rows];
    if out.is_empty() {
        return out;
    }
    let scatter = Scatter::new(&mut out, tokens, rows);
    match weights {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has the tile unit; this function owns the output.
        Dense::Bf16(weights) if isa == Isa::Amx => unsafe { amx::matmul(x, cols, weights, scatter) },
        // SAFETY: the machine has the level; this function owns the output.
        _ => unsafe { fma::matmul(level(isa), x, cols, weights, scatter) },
    }
    out
}

/// Returns the vector width to use for an instruction set.
fn level(isa: Isa) -> Level {
    match isa {
        Isa::Scalar | Isa::Neon => Level::Portable,
        // AVX2 also needs F16C to convert half floats.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if !is_x86_feature_detected!("f16c") => Level::Portable,
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

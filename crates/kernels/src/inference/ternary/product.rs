//! Multiplies whole matrices, in parallel tasks of some rows each.

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

use super::{
    GROUP, Quantized, Ternary,
    engine::{Engine, GROUPS, OUT_STRIDE, TOKENS},
};
use crate::{Isa, aligned::Aligned, isa, scatter::Scatter, simd::dispatch};

/// Products with fewer multiplications run on the calling thread, because waking another thread would not be
/// worth it.
const SERIAL: usize = 1 << 18;

/// The weights and the output of one layer in [`linear`].
#[derive(Debug)]
pub struct Product<'a> {
    /// Weights `[rows, cols]`.
    pub weights: &'a Ternary,
    /// Factor on the weights.
    pub scale: f32,
    /// Results, `[tokens, rows]`.
    pub out: &'a mut [f32],
}

/// Multiplies `x [tokens, cols]` by the transpose of the weights of each product, and by the scales of the
/// token and of the weights. The results are in the `out` of each product.
///
/// Pass all layers that read the same activations in one call, so that their tasks run together.
///
/// # Panics
/// Panics if the shapes do not fit.
pub fn linear(x: &Quantized, products: &mut [Product<'_>]) {
    // SAFETY: the machine has the instruction set in use.
    unsafe { run_linear(isa(), x, products) }
}

/// Computes [`linear`] with a given instruction set.
///
/// # Panics
/// Panics as [`linear`] does, and if this machine does not have the instruction set.
pub fn linear_with(isa: Isa, x: &Quantized, products: &mut [Product<'_>]) {
    check(isa);
    // SAFETY: checked above.
    unsafe { run_linear(isa, x, products) }
}

/// Writes the exact integer products `x [tokens, cols]` times the transpose of `weights` to
/// `out [tokens, rows]`.
///
/// # Panics
/// Panics if the shapes do not fit.
pub fn sums(x: &Quantized, weights: &Ternary, out: &mut [i32]) {
    sums_with(isa(), x, weights, out);
}

/// Computes [`sums`] with a given instruction set.
///
/// # Panics
/// Panics as [`sums`] does, and if this machine does not have the instruction set.
pub fn sums_with(isa: Isa, x: &Quantized, weights: &Ternary, out: &mut [i32]) {
    check(isa);
    let out = ProductOutput::Sums(Scatter::new(out, x.tokens(), weights.rows));
    // SAFETY: checked above.
    unsafe { run(Engine::new(isa), x, &[LayerProduct { weights, out }]) }
}

/// Panics if this machine does not have the instruction set.
fn check(isa: Isa) {
    assert!(Isa::available().contains(&isa), "{isa} is not available on this machine");
}

/// Computes [`linear`] with the engine of `isa`.
///
/// # Safety
/// The machine must have the instructions.
unsafe fn run_linear(isa: Isa, x: &Quantized, products: &mut [Product<'_>]) {
    let mut layers = Vec::with_capacity(products.len());
    for Product { weights, scale, out } in products {
        let out = Scatter::new(out, x.tokens(), weights.rows);
        layers.push(LayerProduct { weights, out: ProductOutput::Scaled { out, scale: *scale } });
    }
    // SAFETY: the caller upholds the contract.
    unsafe { run(Engine::new(isa), x, &layers) }
}

/// The output of a product.
#[derive(Clone, Copy)]
enum ProductOutput<'a> {
    /// Exact integers.
    Sums(Scatter<'a, i32>),
    /// Products times the scales of the token and of the weights.
    Scaled { out: Scatter<'a, f32>, scale: f32 },
}

/// The weights and the output of one layer.
struct LayerProduct<'a> {
    weights: &'a Ternary,
    out: ProductOutput<'a>,
}

/// Buffers of a thread, reused for every task.
#[derive(Default)]
struct Scratch {
    /// Unpacked codes of the rows of a task, one byte per code.
    codes: Aligned,
    /// Sums of a block, `[TOKENS, OUT_STRIDE]`.
    sums: Aligned,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Divides the layers into tasks and runs them.
///
/// # Safety
/// The machine must have the engine's instructions.
unsafe fn run(engine: Engine, x: &Quantized, layers: &[LayerProduct<'_>]) {
    let mut tasks = Vec::new();
    for layer in layers {
        assert_eq!(x.cols(), layer.weights.cols, "a token has as many activations as the layer columns");
        tasks.extend((0..layer.weights.groups()).step_by(GROUPS).map(|group| (layer, group)));
    }
    let work: usize = layers.iter().map(|layer| x.tokens() * layer.weights.rows * layer.weights.cols).sum();
    let rounds = (x.tokens() * x.stride()).div_ceil(engine.resident_bytes());
    let step = x.tokens().div_ceil(rounds.max(1)).next_multiple_of(TOKENS).max(TOKENS);
    for first in (0..x.tokens()).step_by(step) {
        let tokens = first..x.tokens().min(first + step);
        let run_task = |(layer, group): &(&LayerProduct<'_>, usize)| {
            // SAFETY: every task writes only its own rows.
            SCRATCH
                .with_borrow_mut(|scratch| unsafe { layer.run(engine, x, tokens.clone(), *group, scratch) });
        };
        if work < SERIAL {
            tasks.iter().for_each(run_task);
        } else {
            tasks.par_iter().for_each(run_task);
        }
    }
}

impl LayerProduct<'_> {
    /// Multiplies some tokens by up to four groups, starting at group `first`.
    ///
    /// # Safety
    /// The machine must have the engine's instructions, and no other thread may write these rows.
    unsafe fn run(
        &self,
        engine: Engine,
        x: &Quantized,
        tokens: Range<usize>,
        first: usize,
        scratch: &mut Scratch,
    ) {
        let groups = GROUPS.min(self.weights.groups() - first);
        let bytes = self.weights.group_bytes();
        let packed = &self.weights.packed[first * bytes..][..groups * bytes];
        scratch.sums.reserve(TOKENS * OUT_STRIDE * size_of::<i32>());
        let unpacked = tokens.len() >= engine.min_tokens_to_unpack();
        if unpacked {
            scratch.codes.reserve(GROUPS * bytes * 4);
            // SAFETY: the caller upholds the contract.
            unsafe { engine.unpack(packed, &mut scratch.codes[..packed.len() * 4]) };
        }
        for token in tokens.clone().step_by(TOKENS) {
            let tokens = TOKENS.min(tokens.end - token);
            // SAFETY: `scratch.sums` holds an aligned array of this size. Activations are padded to a
            // multiple of 16 tokens, the buffer of codes has room for four groups, and the packed bytes hold
            // `groups` groups.
            unsafe {
                let sums = &mut *scratch.sums.as_mut_ptr().cast::<[i32; TOKENS * OUT_STRIDE]>();
                let rows = (x.as_ptr().add(token * x.stride()), x.stride());
                match unpacked {
                    true => engine.unpacked(tokens, groups, rows, (scratch.codes.as_ptr(), bytes * 4), sums),
                    false => engine.packed(tokens, groups, rows, (packed.as_ptr(), bytes), sums),
                }
                self.write_results(x, token, tokens, first * GROUP, sums);
            }
        }
    }

    /// Converts sums over codes to products with weights and writes them to the output, from token `token`
    /// and row `row` on.
    ///
    /// # Safety
    /// No other thread may write these rows.
    unsafe fn write_results(&self, x: &Quantized, token: usize, tokens: usize, row: usize, sums: &[i32]) {
        let count = OUT_STRIDE.min(self.weights.rows - row);
        for (i, sums) in sums.chunks_exact(OUT_STRIDE).take(tokens).enumerate() {
            // A code is the weight plus one, so each sum is too large by the sum of the token's activations.
            let (surplus, sums) = (x.sums()[token + i], &sums[..count]);
            // SAFETY: the caller upholds the contract.
            unsafe {
                match self.out {
                    ProductOutput::Sums(out) => subtract(sums, surplus, out.row(token + i, row, count)),
                    ProductOutput::Scaled { out, scale } => {
                        let factor = x.scales()[token + i] * scale;
                        subtract_and_scale(sums, surplus, factor, out.row(token + i, row, count));
                    }
                }
            }
        }
    }
}

dispatch! {
/// Writes each sum minus `surplus`.
fn subtract(sums: &[i32], surplus: i32, out: &mut [i32]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = sum - surplus;
    }
}
}

dispatch! {
/// Writes each sum minus `surplus`, times `factor`.
fn subtract_and_scale(sums: &[i32], surplus: i32, factor: f32, out: &mut [f32]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = (sum - surplus) as f32 * factor;
    }
}
}

//! The gate of the MLP, optionally fused with the norm and the quantisation that follow it.

use rayon::prelude::*;

use super::{Gate, Norm, task_rows};
use crate::{
    inference::ternary::{Quantized, QuantizedRow},
    simd::dispatch,
    vector::exp,
};

/// Replaces `gate` by `activation(gate) * up`, value by value.
///
/// # Panics
/// Panics if the lengths differ.
pub fn gate(activation: Gate, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up are [tokens, width]");
    let tasks = gate.par_chunks_mut(super::TASK).zip(up.par_chunks(super::TASK));
    tasks.for_each(|(gate, up)| gate_some(activation, gate, up));
}

dispatch! {
fn gate_some(activation: Gate, gate: &mut [f32], up: &[f32]) {
    match activation {
        Gate::ReluSquared => for (g, u) in gate.iter_mut().zip(up) {
            let r = g.max(0.0);
            *g = r * r * u;
        },
        Gate::Silu => for (g, u) in gate.iter_mut().zip(up) {
            *g = *g / (1.0 + exp(-*g)) * u;
        },
    }
}
}

impl Quantized {
    /// Fills `self` with the quantised inner activations of a gated MLP: `activation(gates) * up`,
    /// `[tokens, width]`, which pass through the norm first if one is given.
    ///
    /// The values in `gates` are unspecified afterwards.
    ///
    /// # Panics
    /// Panics if the lengths differ or are not whole tokens.
    pub fn fill_gated(
        &mut self,
        activation: Gate,
        gates: &mut [f32],
        up: &[f32],
        width: usize,
        norm: Option<Norm<'_>>,
    ) {
        assert!(
            gates.len() == up.len() && up.len().is_multiple_of(width),
            "gate and up are [tokens, {width}]"
        );
        self.reset(up.len() / width, width);
        let rows = gates.par_chunks_exact_mut(width).zip(up.par_chunks_exact(width));
        let quantise_row = |((gates, up), row): ((&mut [f32], &[f32]), QuantizedRow<'_>)| {
            gate_some(activation, gates, up);
            match norm {
                Some(norm) => norm.quantise_row(gates, row),
                None => row.set(gates),
            }
        };
        rows.zip(self.rows_mut()).with_min_len(task_rows(width)).for_each(quantise_row);
    }
}

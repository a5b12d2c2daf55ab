//! How fast a node computes, from the speeds that were measured on two cores.

use crate::Shape;

/// The cores of the machine on which the speeds were measured.
const MEASURED_CORES: f64 = 2.0;

/// The speed of a node. Everything is divided evenly among its cores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Operations per second of linear layers in prefills and batches of cells.
    pub linear: f64,
    /// Operations per second of the LM head.
    pub lm_head: f64,
    /// Operations per second of attention.
    pub attention: f64,
    /// Seconds of metrics for each logit of a scored token.
    pub logit_seconds: f64,
    /// Seconds of a plan and a copy for each entry of the full cache.
    pub entry_seconds: f64,
}

/// A measured speed with its source.
pub struct MeasuredSpeed {
    /// What runs.
    pub what: &'static str,
    /// The number, in its unit.
    pub value: &'static str,
    /// How it was measured.
    pub source: &'static str,
}

/// The measured speeds, for the documentation. [`Speed::on_two_cores`] has the numbers.
pub const MEASURED: [MeasuredSpeed; 6] = [
    MeasuredSpeed {
        what: "ternary linear layers",
        value: "3.4e12 op/s",
        source: "`bitkv bench --shape 2b-4t` with AMX: 563 to 588 tokens/s in a prefill of 512, less attention",
    },
    MeasuredSpeed {
        what: "linear layers of tiny-gqa",
        value: "1.6e11 op/s",
        source: "`experiments/peers/run.sh`, 15 policies by 6 budgets: 176 cells/s, as if only layers and LM head took time",
    },
    MeasuredSpeed {
        what: "dense linear layers, Q4_1 in bf16",
        value: "4.4e11 op/s",
        source: "SmolLM2-135M: products take half of a prefill at 1,049 tokens/s (docs/BENCHMARKS.md)",
    },
    MeasuredSpeed { what: "LM head", value: "4.9e11 op/s", source: "the same sweep on 4 layers of 2B-4T" },
    MeasuredSpeed {
        what: "attention",
        value: "1.5e11 op/s",
        source: "SmolLM2-135M: attention takes a quarter of the same prefill",
    },
    MeasuredSpeed {
        what: "metrics",
        value: "3.4e-9 s a logit",
        source: "what is left of a cell in that sweep, 3.9 cells/s, after layers and LM head",
    },
];

impl Speed {
    /// Returns the measured speed of two cores on a shape. `entry_seconds` is that of
    /// [`Overheads`](crate::Overheads).
    pub fn on_two_cores(shape: &Shape, entry_seconds: f64) -> Speed {
        let tiny = shape.hidden < 1024;
        let linear = match (tiny, shape.ternary) {
            (true, _) => 1.6e11,
            (false, true) => 3.4e12,
            (false, false) => 4.4e11,
        };
        Speed {
            linear,
            // A small LM head is inside the speed of the small model, and so are its metrics.
            lm_head: if tiny { 1.6e11 } else { 4.9e11 },
            attention: 1.5e11,
            logit_seconds: if tiny { 0.0 } else { 3.4e-9 },
            entry_seconds,
        }
    }

    /// Returns the speed of a node with `cores` cores: each core counts for half of the measured speed.
    pub fn on_node(shape: &Shape, cores: f64, entry_seconds: f64) -> Speed {
        let (measured, factor) = (Speed::on_two_cores(shape, entry_seconds), cores / MEASURED_CORES);
        Speed {
            linear: measured.linear * factor,
            lm_head: measured.lm_head * factor,
            attention: measured.attention * factor,
            logit_seconds: measured.logit_seconds / factor,
            entry_seconds: measured.entry_seconds / factor,
        }
    }

    /// Returns the seconds of a prefill of `tokens` tokens.
    pub fn prefill_seconds(&self, shape: &Shape, tokens: f64) -> f64 {
        tokens * shape.linear_ops() / self.linear + shape.prefill_attention_ops(tokens) / self.attention
    }

    /// Returns the seconds of a cell: a plan for a context of `tokens` tokens, and `scored` tokens that are
    /// read through a cache that keeps the share `kept` of it.
    pub fn cell_seconds(&self, shape: &Shape, tokens: f64, scored: f64, kept: f64) -> f64 {
        let entries = shape.entries(tokens);
        let layers = shape.linear_ops() / self.linear + shape.lm_head_ops() / self.lm_head;
        let attention = shape.attention_ops(entries * kept) / self.attention;
        let metrics = f64::from(shape.vocabulary) * self.logit_seconds;
        scored * (layers + attention + metrics) + entries * self.entry_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ASSUMED,
        shape::{BITNET_2B, TINY_GQA},
    };

    #[test]
    fn the_measured_speeds_are_reproduced() {
        let rate = |shape: &Shape| {
            1.0 / Speed::on_two_cores(shape, ASSUMED.entry_seconds).cell_seconds(shape, 896.0, 127.0, 0.4)
        };
        let four_layers = Shape { layers: 4, ..BITNET_2B };
        assert!((rate(&four_layers) / 3.9 - 1.0).abs() < 0.15, "{}", rate(&four_layers));
        assert!((rate(&TINY_GQA) / 176.0 - 1.0).abs() < 0.25, "{}", rate(&TINY_GQA));
        let prefill =
            512.0 / Speed::on_two_cores(&BITNET_2B, ASSUMED.entry_seconds).prefill_seconds(&BITNET_2B, 512.0);
        assert!((prefill / 575.0 - 1.0).abs() < 0.15, "{prefill}");
    }
}

//! The rows of `memory.csv`: one for each model, context length and accounting.

use crate::column::{FROM_ZERO, UNIT, rows, unit};
use crate::{Accounting, Column, Row, RowError, WeightKind};

rows! {
    /// The memory of one model at one context length under one accounting.
    MemoryRow;

    /// The name of the memory study.
    study: String, Optional;
    /// The name of the model.
    model: String, Required;
    /// The kind of weights that the model was trained with. Empty in older files.
    weights: Option<WeightKind>, Optional;
    /// How bytes were counted.
    accounting: Accounting, Required;
    /// The context length in tokens.
    context: usize, Required;
    weight_bytes: u64, Optional, "weights", Bytes, FROM_ZERO, Lower, "The bytes of all parameters.";
    kv_bytes: u64, Optional, "keys and values", Bytes, FROM_ZERO, Lower,
        "The bytes of the keys and values of all layers.";
    activation_bytes: u64, Optional, "activations", Bytes, FROM_ZERO, Lower, "The bytes of the activations.";
    total_bytes: u64, Optional, "total", Bytes, FROM_ZERO, Lower,
        "The bytes of weights, keys, values and activations together.";
    kv_fraction: f64, Optional, "KV share", Share, UNIT, Neither,
        "The share of keys and values in the total.";
    /// The published fraction for this model and context, if there is one.
    published_fraction: Option<f64>, Optional;
}

impl Row for MemoryRow {
    const KIND: &'static str = "memory";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn key(&self) -> String {
        let Self { study, model, accounting, context, .. } = self;
        format!("study {study}, model {model}, {accounting}, context {context}")
    }

    fn check(&self) -> Result<(), RowError> {
        let sum = self.weight_bytes as f64 + self.kv_bytes as f64 + self.activation_bytes as f64;
        let total = self.total_bytes as f64;
        // The published formula gives fractional bytes, and each of the four numbers may be rounded
        // separately.
        if (sum - total).abs() > 4.0 {
            return Err(RowError::NotTheSum { total, sum });
        }
        let expected = if total > 0.0 { self.kv_bytes as f64 / total } else { self.kv_fraction };
        if (self.kv_fraction - expected).abs() > 1e-6 {
            return Err(RowError::NotTheQuotient { found: self.kv_fraction, expected });
        }
        unit("published_fraction", self.published_fraction)
    }
}

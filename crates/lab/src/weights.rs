//! What rows say about the weights of a model and the arithmetic in which it runs.

use bitkv_bitnet::Arithmetic as Floats;
use bitkv_models::LoadedModel;
use bitkv_record::{Arithmetic, WeightKind};

/// Returns whether the weights of a model are ternary. A BitNet that runs as a plain Llama counts as ternary.
pub(crate) fn weight_kind(loaded: &LoadedModel) -> WeightKind {
    match loaded.model.weight_kind() {
        bitkv_bitnet::WeightKind::Ternary => WeightKind::Ternary,
        bitkv_bitnet::WeightKind::Control => WeightKind::Control,
        bitkv_bitnet::WeightKind::Mixed => WeightKind::Mixed,
    }
}

/// Returns the arithmetic of the linear layers of a model.
pub(crate) fn arithmetic(loaded: &LoadedModel) -> Arithmetic {
    let floats = match loaded.model.arithmetic() {
        Floats::F32 => Arithmetic::F32,
        Floats::Bf16 => Arithmetic::Bf16,
    };
    match weight_kind(loaded) {
        WeightKind::Ternary if !loaded.config().plain_llama => Arithmetic::Int8,
        WeightKind::Mixed => Arithmetic::Mixed,
        WeightKind::Ternary | WeightKind::Control => floats,
    }
}

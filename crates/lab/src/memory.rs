//! The memory of weights, cache and activations: as the published script counts it, as a runtime stores it,
//! and measured.

use bitkv_bitnet::{Architecture, Config, WeightFormat};
use bitkv_models::Shape;
use bitkv_record::{Accounting, MemoryRow, WeightKind};

use crate::{
    Result,
    error::{bail, ensure},
};

/// The bits per weight that the published table assumes.
const PUBLISHED_BITS: f64 = 1.58;
/// The bits that every runtime stores per ternary weight.
const STORED_BITS: u64 = 2;
/// The longest context in tokens. No model reads as many, and their bytes can be counted in 64 bits.
const LONGEST: usize = 1 << 26;
/// The bytes of an f16 value.
const HALF: u64 = 2;
/// The bytes of an f32 value.
const SINGLE: u64 = 4;

/// Returns the published fraction of memory that the KV cache takes, for a model at a context length; `None`
/// if none was published.
pub fn published_share(model: &str, context: usize) -> Option<f64> {
    let percent = match (model, context) {
        ("bitnet_b1_58-large", 512) => 32.7,
        ("bitnet_b1_58-large", 1024) => 49.1,
        ("bitnet_b1_58-large", 2048) => 65.4,
        ("BitNet-b1.58-2B-4T", 512) => 7.6,
        ("BitNet-b1.58-2B-4T", 1024) => 14.0,
        ("BitNet-b1.58-2B-4T", 2048) => 24.4,
        ("BitNet-b1.58-2B-4T", 4096) => 38.7,
        _ => return None,
    };
    Some(percent / 100.0)
}

/// Returns the row of the memory table at `context` tokens, computed from a model's configuration.
///
/// # Errors
/// Returns an error if the context is empty or too long, or if the accounting is `measured`, which needs a
/// loaded model.
pub fn computed_row(shape: &Shape, accounting: Accounting, context: usize) -> Result<MemoryRow> {
    let config = &shape.config;
    ensure!(
        Definition,
        (1..=LONGEST).contains(&context),
        "a context of {context} tokens has no memory table: use 1 to {LONGEST}"
    );
    let weights = match accounting {
        Accounting::Published | Accounting::Actual if let Some(bytes) = shape.stored_bytes => bytes,
        Accounting::Published => (published_parameters(config) as f64 * PUBLISHED_BITS / 8.0).round() as u64,
        Accounting::Actual => stored_bytes(config),
        Accounting::Measured => {
            bail!(Definition, "measured bytes come from a loaded model, not from a shape")
        }
    };
    let kv = kv_bytes(config, context);
    let activations = context as u64 * config.hidden_size as u64 * HALF;
    let row = row_from_bytes(&shape.name, accounting, context, weights, kv, activations);
    let is_control = config.weights == WeightFormat::Floats;
    let kind = if is_control { WeightKind::Control } else { WeightKind::Ternary };
    Ok(MemoryRow { weights: Some(kind), ..row })
}

/// Returns the bytes of the KV cache in f16: `2 * kv_heads * head_dim * 2 bytes * layers` per token.
pub fn kv_bytes(config: &Config, context: usize) -> u64 {
    2 * (config.kv_width() * context * config.num_hidden_layers) as u64 * HALF
}

/// Returns the number of weights of the linear layers.
fn linear_weights(config: &Config) -> u64 {
    let linears = (0..config.num_hidden_layers).flat_map(|layer| config.linears(layer));
    linears.map(|l| (l.rows * l.cols) as u64).sum()
}

/// Returns the number of weights of the embedding.
fn embedding(config: &Config) -> u64 {
    (config.vocab_size * config.hidden_size) as u64
}

/// Returns the number of parameters as the published script counts them. It assumes four norms of `hidden`
/// values per layer, and an untied `lm_head` for the 1bitLLM models regardless of their configuration.
fn published_parameters(config: &Config) -> u64 {
    let untied = config.architecture == Architecture::OneBitLlm || !config.tie_word_embeddings;
    let norms = (4 * config.hidden_size * config.num_hidden_layers + config.hidden_size) as u64;
    linear_weights(config) + embedding(config) * (1 + untied as u64) + norms
}

/// Returns the bytes of weights that a runtime holds: 2 bits per weight of a BitNet or two bytes per weight
/// in full precision, an f16 embedding (and `lm_head` if it is untied), and f32 norms.
fn stored_bytes(config: &Config) -> u64 {
    let bits = if config.weights == WeightFormat::Floats { 8 * HALF } else { STORED_BITS };
    let norms: usize =
        (0..config.num_hidden_layers).flat_map(|layer| config.norms(layer)).map(|n| n.width).sum();
    let copies = 1 + !config.tie_word_embeddings as u64;
    linear_weights(config) * bits / 8
        + embedding(config) * copies * HALF
        + (norms + config.hidden_size) as u64 * SINGLE
}

/// Returns a row from the bytes of weights, cache and activations. The total and the fractions follow from
/// them.
pub fn row_from_bytes(
    model: &str,
    accounting: Accounting,
    context: usize,
    weights: u64,
    kv: u64,
    activations: u64,
) -> MemoryRow {
    let total = weights + kv + activations;
    MemoryRow {
        study: String::new(),
        model: model.into(),
        weights: None,
        accounting,
        context,
        weight_bytes: weights,
        kv_bytes: kv,
        activation_bytes: activations,
        total_bytes: total,
        kv_fraction: kv as f64 / total as f64,
        published_fraction: (accounting == Accounting::Published)
            .then(|| published_share(model, context))
            .flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitkv_models::published_models;

    fn share(model: usize, accounting: Accounting, context: usize) -> f64 {
        let row = computed_row(&published_models().unwrap()[model], accounting, context).unwrap();
        (row.kv_fraction * 1000.0).round() / 10.0
    }

    #[test]
    fn the_published_table_is_reproduced_to_its_last_digit() {
        let large = [512, 1024, 2048].map(|n| share(0, Accounting::Published, n));
        assert_eq!(large, [32.7, 49.1, 65.4]);
        let small = [512, 1024, 2048, 4096].map(|n| share(1, Accounting::Published, n));
        assert_eq!(small, [7.6, 14.0, 24.4, 38.7]);
    }

    #[test]
    fn actual_bytes_are_those_of_a_runtime() {
        let actual = [512, 2048, 4096].map(|n| share(1, Accounting::Actual, n));
        assert_eq!(actual, [3.2, 11.7, 20.8]);
        let weights =
            computed_row(&published_models().unwrap()[1], Accounting::Actual, 512).unwrap().weight_bytes;
        assert_eq!((weights as f64 / (1 << 20) as f64 * 100.0).round() / 100.0, 1124.80);
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        let models = published_models().unwrap();
        assert_eq!(published_parameters(&models[0].config), 777_936_384);
        assert_eq!(published_parameters(&models[1].config), 2_412_689_920);
    }
}

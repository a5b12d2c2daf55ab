//! The memory of weights, cache and activations: as the published script counts it, as a runtime stores it,
//! and measured.

use bitkv_bitnet::{Architecture, CachePrecision, Config, Quantisation, WeightFormat};
use bitkv_evict::Budget;
use bitkv_models::Shape;
use bitkv_record::{Accounting, MemoryRow, WeightKind};

use crate::{
    Result,
    error::{bail, ensure},
    observation::cache_shape,
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

/// What a cache holds of a context, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeptCache {
    /// How many of the tokens each KV head keeps on average.
    pub budget: Budget,
    /// The floating-point type of values that are not quantised.
    pub precision: CachePrecision,
    /// How the cache is quantised.
    pub quantisation: Quantisation,
}

impl KeptCache {
    /// Returns the cache while the prompt is read: nothing is evicted or quantised yet.
    pub fn while_reading(self) -> KeptCache {
        KeptCache { budget: Budget::FULL, quantisation: Quantisation::None, ..self }
    }

    /// All tokens in f16.
    pub const FULL: KeptCache =
        KeptCache { budget: Budget::FULL, precision: CachePrecision::F16, quantisation: Quantisation::None };

    /// Returns the bytes of the cache of a model after `context` tokens.
    pub fn bytes(&self, config: &Config, context: usize) -> u64 {
        let shape = cache_shape(config, context);
        let tokens = self.budget.per_head(shape);
        let per_head = match self.quantisation {
            Quantisation::None => 2 * tokens * config.head_dim * self.precision.bytes(),
            quantisation => quantisation.bytes(tokens, config.head_dim),
        };
        (shape.all_kv_heads() * per_head) as u64
    }
}

/// Returns the longest context whose weights, cache and activations fit into `bytes` together, in tokens, up
/// to the number that the model reads; `None` if not even one token fits.
///
/// # Errors
/// Fails as [`computed_row`] does.
pub fn longest_context(
    shape: &Shape,
    accounting: Accounting,
    kept: &KeptCache,
    bytes: u64,
) -> Result<Option<usize>> {
    let fits = |context| -> Result<bool> {
        Ok(computed_row_of(shape, accounting, context, kept)?.total_bytes <= bytes)
    };
    if !fits(1)? {
        return Ok(None);
    }
    let (mut fitting, mut beyond) = (1, shape.config.max_position_embeddings.min(LONGEST) + 1);
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        if fits(middle)? { fitting = middle } else { beyond = middle }
    }
    Ok(Some(fitting))
}

/// Returns the row of the memory table at `context` tokens, computed from a model's configuration, with the
/// whole cache in f16.
///
/// # Errors
/// Returns an error if the context is empty or too long, or if the accounting is `measured`, which needs a
/// loaded model.
pub fn computed_row(shape: &Shape, accounting: Accounting, context: usize) -> Result<MemoryRow> {
    computed_row_of(shape, accounting, context, &KeptCache::FULL)
}

/// Does the same as [`computed_row`] with another cache. Only the whole cache in f16 has a published share.
///
/// # Errors
/// Fails as [`computed_row`] does.
pub fn computed_row_of(
    shape: &Shape,
    accounting: Accounting,
    context: usize,
    kept: &KeptCache,
) -> Result<MemoryRow> {
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
    let kv = kept.bytes(config, context);
    let activations = context as u64 * config.hidden_size as u64 * HALF;
    let row = row_from_bytes(&shape.name, accounting, context, weights, kv, activations);
    let is_control = config.weights == WeightFormat::Floats;
    let kind = if is_control { WeightKind::Control } else { WeightKind::Ternary };
    let published_fraction = row.published_fraction.filter(|_| *kept == KeptCache::FULL);
    Ok(MemoryRow { weights: Some(kind), published_fraction, ..row })
}

/// Returns the bytes of the KV cache in f16: `2 * kv_heads * head_dim * 2 bytes * layers` per token.
pub fn kv_bytes(config: &Config, context: usize) -> u64 {
    KeptCache::FULL.bytes(config, context)
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

/// Returns the number of weights of the norms.
fn norm_weights(config: &Config) -> u64 {
    let norms = (0..config.num_hidden_layers).flat_map(|layer| config.norms(layer));
    (norms.map(|n| n.width).sum::<usize>() + config.hidden_size) as u64
}

/// Returns the number of weights of a model. A tied LM head does not count.
pub fn parameters(config: &Config) -> u64 {
    let copies = 1 + !config.tie_word_embeddings as u64;
    linear_weights(config) + embedding(config) * copies + norm_weights(config)
}

/// Returns the bytes of weights that a runtime holds, the sum of [`weight_parts`].
fn stored_bytes(config: &Config) -> u64 {
    stored_parts(config).into_iter().map(|(_, bytes)| bytes).sum()
}

/// Returns the parts of the weights with their names and bytes: the embedding, the linear layers, the norms
/// and an untied LM head. A model with layers in full precision whose files are known is one part.
pub fn weight_parts(shape: &Shape) -> Vec<(&'static str, u64)> {
    match shape.stored_bytes {
        Some(bytes) => vec![("weights", bytes)],
        None => stored_parts(&shape.config),
    }
}

/// Returns the parts of the weights of a runtime: an f16 embedding (and `lm_head` if it is untied), 2 bits
/// per weight of a BitNet or two bytes per weight in full precision, and f32 norms.
fn stored_parts(config: &Config) -> Vec<(&'static str, u64)> {
    let (linears, bits) = match config.weights {
        WeightFormat::Floats => ("linear layers", 8 * HALF),
        _ => ("ternary linear layers", STORED_BITS),
    };
    let mut parts = vec![
        ("embedding", embedding(config) * HALF),
        (linears, linear_weights(config) * bits / 8),
        ("norms", norm_weights(config) * SINGLE),
    ];
    if !config.tie_word_embeddings {
        parts.push(("lm_head", embedding(config) * HALF));
    }
    parts
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
    fn the_parts_of_the_weights_are_their_bytes() {
        for shape in published_models().unwrap() {
            let parts = weight_parts(&shape);
            let total = computed_row(&shape, Accounting::Actual, 1).unwrap().weight_bytes;
            assert_eq!(parts.iter().map(|(_, bytes)| bytes).sum::<u64>(), total, "{}", shape.name);
            let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
            assert_eq!(names[..3], ["embedding", "ternary linear layers", "norms"]);
            assert_eq!(names.contains(&"lm_head"), !shape.config.tie_word_embeddings);
            // The embedding of 2B-4T: 128256 tokens of 2560 values.
            assert!(shape.config.hidden_size != 2560 || parts[0].1 == 128_256 * 2560 * 2, "{parts:?}");
        }
        let whole = Shape { stored_bytes: Some(7), ..published_models().unwrap().remove(0) };
        assert_eq!(weight_parts(&whole), [("weights", 7)]);
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        let models = published_models().unwrap();
        assert_eq!(published_parameters(&models[0].config), 777_936_384);
        assert_eq!(published_parameters(&models[1].config), 2_412_689_920);
    }

    #[test]
    fn a_smaller_cache_has_fewer_bytes_and_fits_longer_contexts() {
        let shape = &published_models().unwrap()[1];
        let quarter = KeptCache { budget: Budget::fraction(0.25).unwrap(), ..KeptCache::FULL };
        let whole = KeptCache::FULL.bytes(&shape.config, 4096);
        assert_eq!(quarter.bytes(&shape.config, 4096) * 4, whole);
        assert_eq!(
            KeptCache { precision: CachePrecision::F32, ..KeptCache::FULL }.bytes(&shape.config, 4096),
            2 * whole
        );
        let int8 = KeptCache { quantisation: Quantisation::Int8, ..KeptCache::FULL };
        assert!((whole / 2..whole * 6 / 10).contains(&int8.bytes(&shape.config, 4096)));
        let tiny = KeptCache { budget: Budget::fraction(1e-9).unwrap(), ..KeptCache::FULL };
        assert_eq!(tiny.bytes(&shape.config, 4096), whole / 4096, "one token stays");
        let part = KeptCache { budget: Budget::fraction(0.29).unwrap(), ..KeptCache::FULL };
        assert_eq!(part.bytes(&shape.config, 100) * 100, KeptCache::FULL.bytes(&shape.config, 100) * 29);
        assert_eq!(KeptCache { quantisation: Quantisation::Int8, ..part }.while_reading(), KeptCache::FULL);

        let limit = 1_300_000_000;
        let longest = |kept| longest_context(shape, Accounting::Actual, kept, limit).unwrap().unwrap();
        let (full, part) = (longest(&KeptCache::FULL), longest(&quarter));
        assert!(full < part && part <= shape.config.max_position_embeddings, "{full} {part}");
        let total = |context| computed_row(shape, Accounting::Actual, context).unwrap().total_bytes;
        assert!(total(full) <= limit && total(full + 1) > limit);
        assert_eq!(longest_context(shape, Accounting::Actual, &quarter, 1_000_000).unwrap(), None);
    }
}

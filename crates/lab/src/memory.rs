//! How much memory weights, cache and activations take: as published, as it really is, and measured.

use anyhow::{Result, ensure};
use bitkv_bitnet::{Architecture, Config};
use bitkv_record::{Accounting, MemoryRow};

use crate::{PLAIN_LLAMA_MARK, Subject};

/// Bits of a weight as the published table counts them.
const PUBLISHED_BITS: f64 = 1.58;
/// Bits of a ternary weight as every runtime stores it.
const STORED_BITS: u64 = 2;
/// Longer than any model reads, and short enough for bytes to be counted in 64 bits.
const LONGEST: usize = 1 << 26;
/// Bytes of an f16.
const HALF: u64 = 2;
/// Bytes of an f32.
const SINGLE: u64 = 4;

/// A model whose configuration is known.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: Config,
}

/// A published model: its name, what else it is called, and its configuration as JSON.
struct Published {
    name: &'static str,
    short: &'static str,
    /// On the hub.
    id: &'static str,
    config: &'static str,
}

/// The two models the claims are about; their configurations are shipped, their weights are not needed.
const PUBLISHED: [Published; 2] = [
    Published {
        name: "bitnet_b1_58-large",
        short: "large",
        id: "1bitLLM/bitnet_b1_58-large",
        config: include_str!("../data/bitnet_b1_58-large.json"),
    },
    Published {
        name: "BitNet-b1.58-2B-4T",
        short: "2b-4t",
        id: "microsoft/bitnet-b1.58-2B-4T",
        config: include_str!("../data/BitNet-b1.58-2B-4T.json"),
    },
];

impl Published {
    fn shape(&self) -> Result<Shape> {
        Ok(Shape { name: self.name.into(), config: Config::from_json(self.config, self.name)? })
    }
}

/// The models whose configurations are shipped.
pub fn published_models() -> Result<Vec<Shape>> {
    PUBLISHED.iter().map(Published::shape).collect()
}

/// The published model that is called this: its name, its short name or its id on the hub, in any case. An id with a
/// revision is none of these, because another revision may have another configuration.
pub fn published_model(name: &str) -> Result<Option<Shape>> {
    let called = |known: &&Published| {
        [known.name, known.short, known.id].iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    PUBLISHED.iter().find(called).map(Published::shape).transpose()
}

/// The configuration of the [`published_model`] that is called this, unless there is a file or folder of that name.
///
/// # Errors
/// When a shipped configuration is damaged.
pub fn configuration(name: &str) -> Result<Option<Shape>> {
    if std::path::Path::new(name).exists() {
        return Ok(None);
    }
    published_model(name)
}

/// The KV share that was published for a model at a context length, as a fraction.
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

impl Shape {
    /// The shape of a loaded model.
    pub fn of(subject: &Subject) -> Shape {
        Shape { name: subject.name.clone(), config: subject.config().clone() }
    }

    /// The same model, run as a plain Llama.
    pub fn as_plain_llama(self) -> Shape {
        Shape { name: format!("{}{PLAIN_LLAMA_MARK}", self.name), config: self.config.as_llama_skeleton() }
    }

    /// One row of the memory table at `context` tokens.
    ///
    /// # Errors
    /// When the context is empty or absurd, or the accounting is `measured`, which needs a model and not a shape.
    pub fn row(&self, accounting: Accounting, context: usize) -> Result<MemoryRow> {
        ensure!(
            (1..=LONGEST).contains(&context),
            "a context of {context} tokens has no memory table: use 1 to {LONGEST}"
        );
        let weights = match accounting {
            Accounting::Published => {
                (self.published_parameters() as f64 * PUBLISHED_BITS / 8.0).round() as u64
            }
            Accounting::Actual => self.stored_bytes(),
            Accounting::Measured => {
                anyhow::bail!("measured bytes come from a loaded model, not from a shape")
            }
        };
        let kv = self.kv_bytes(context);
        let activations = context as u64 * self.config.hidden_size as u64 * HALF;
        Ok(row(&self.name, accounting, context, weights, kv, activations))
    }

    /// `2 * kv_heads * head_dim * 2 bytes * layers` a token.
    pub fn kv_bytes(&self, context: usize) -> u64 {
        let c = &self.config;
        2 * (c.kv_width() * context * c.num_hidden_layers) as u64 * HALF
    }

    /// Weights of the linear layers.
    fn ternary(&self) -> u64 {
        let linears = (0..self.config.num_hidden_layers).flat_map(|layer| self.config.linears(layer));
        linears.map(|l| (l.rows * l.cols) as u64).sum()
    }

    fn embedding(&self) -> u64 {
        (self.config.vocab_size * self.config.hidden_size) as u64
    }

    /// Parameters as the published script counts them: four norms of `hidden` a layer, and an untied
    /// head for the 1bitLLM models, whatever their configuration says.
    fn published_parameters(&self) -> u64 {
        let c = &self.config;
        let untied = c.architecture == Architecture::OneBitLlm || !c.tie_word_embeddings;
        let norms = (4 * c.hidden_size * c.num_hidden_layers + c.hidden_size) as u64;
        self.ternary() + self.embedding() * (1 + untied as u64) + norms
    }

    /// Bytes a runtime holds: 2 bits a ternary weight, an f16 embedding (and head), f32 norms.
    fn stored_bytes(&self) -> u64 {
        let c = &self.config;
        let norms: usize = (0..c.num_hidden_layers).flat_map(|layer| c.norms(layer)).map(|n| n.width).sum();
        let copies = 1 + !c.tie_word_embeddings as u64;
        self.ternary() * STORED_BITS / 8
            + self.embedding() * copies * HALF
            + (norms + c.hidden_size) as u64 * SINGLE
    }
}

/// A row from bytes, with the shares that follow.
pub fn row(
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

    fn share(model: usize, accounting: Accounting, context: usize) -> f64 {
        let row = published_models().unwrap()[model].row(accounting, context).unwrap();
        (row.kv_fraction * 1000.0).round() / 10.0
    }

    #[test]
    fn published_models_are_found_by_every_name_in_any_case() {
        let found = |name: &str| published_model(name).unwrap().map(|shape| shape.name);
        for known in &PUBLISHED {
            for name in [known.name, known.short, known.id] {
                for name in [name.to_owned(), name.to_uppercase(), name.to_lowercase()] {
                    assert_eq!(found(&name).as_deref(), Some(known.name), "{name}");
                }
            }
            for name in [
                format!("{}@main", known.id),
                format!("{}@main", known.name),
                format!("other/{}", known.name),
            ] {
                assert_eq!(found(&name), None, "{name}");
            }
        }
        assert_eq!(found(""), None);
    }

    #[test]
    fn the_published_table_to_its_last_digit() {
        let large = [512, 1024, 2048].map(|n| share(0, Accounting::Published, n));
        assert_eq!(large, [32.7, 49.1, 65.4]);
        let small = [512, 1024, 2048, 4096].map(|n| share(1, Accounting::Published, n));
        assert_eq!(small, [7.6, 14.0, 24.4, 38.7]);
    }

    #[test]
    fn what_a_runtime_really_holds() {
        let actual = [512, 2048, 4096].map(|n| share(1, Accounting::Actual, n));
        assert_eq!(actual, [3.2, 11.7, 20.8]);
        let weights = published_models().unwrap()[1].row(Accounting::Actual, 512).unwrap().weight_bytes;
        assert_eq!((weights as f64 / (1 << 20) as f64 * 100.0).round() / 100.0, 1124.80);
    }

    #[test]
    fn parameters_are_those_published() {
        let models = published_models().unwrap();
        assert_eq!(models[0].published_parameters(), 777_936_384);
        assert_eq!(models[1].published_parameters(), 2_412_689_920);
    }
}

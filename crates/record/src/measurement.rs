//! The rows a run measures: memory, head entropies and evaluation cells. One CSV file each.

use crate::Row;
use serde::{Deserialize, Serialize};

/// How far a value computed in single precision may leave its mathematical range.
const ROUNDING: f64 = 1e-4;

/// How bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accounting {
    /// The published formula: every parameter at 1.58 bits, fp16 cache, one activation vector a token.
    Published,
    /// What a runtime has to hold: ternary weights as packed, embeddings and norms at their stored width.
    Actual,
    /// Counted from the buffers of a loaded model.
    Measured,
}

impl Accounting {
    /// The name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Actual => "actual",
            Self::Measured => "measured",
        }
    }
}

/// Memory of one model at one context length under one accounting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryRow {
    /// Model name.
    pub model: String,
    /// How bytes were counted.
    pub accounting: Accounting,
    /// Context length in tokens.
    pub context: usize,
    /// Bytes of all parameters.
    pub weight_bytes: u64,
    /// Bytes of keys and values of all layers.
    pub kv_bytes: u64,
    /// Bytes of activations.
    pub activation_bytes: u64,
    /// Bytes altogether.
    pub total_bytes: u64,
    /// `kv_bytes / total_bytes`.
    pub kv_fraction: f64,
    /// The fraction published for this model and context, where there is one.
    pub published_fraction: Option<f64>,
}

/// The attention entropy of one query head of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadRow {
    /// Model name.
    pub model: String,
    /// What was profiled and how, for example "calibration-512" or "published".
    pub profile: String,
    /// Context length in tokens.
    pub context: usize,
    /// Text name; empty for the mean over texts.
    pub text: String,
    /// Layer, from 0.
    pub layer: usize,
    /// Query head, from 0.
    pub head: usize,
    /// Mean entropy of the attention rows, in bits; empty where unknown.
    pub entropy_bits: Option<f64>,
    /// Mean over queries of `H / log2(keys)`, 0..1; empty where unknown.
    pub normalised_entropy: Option<f64>,
}

/// What a cell was scored on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Continuation of a text, teacher forced.
    Text,
    /// Questions about facts in the context.
    Recall,
}

impl Task {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Recall => "recall",
        }
    }
}

/// One cell of a grid: a model, a policy, a budget and a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRow {
    /// Model name.
    pub model: String,
    /// Policy specification; "full" for the unevicted cache.
    pub policy: String,
    /// Whether the policy sees what no deployable policy can, such as the attention row it is about to approximate.
    pub oracle: bool,
    /// Whether the policy keeps exactly the entries asked for.
    pub conserving: bool,
    /// Fraction asked to be kept, in (0, 1].
    pub budget: f64,
    /// Text name.
    pub text: String,
    /// Register of the text, for example "dialogue".
    pub register: String,
    /// What was scored.
    pub task: Task,
    /// Tokens of context before the scored part.
    pub context_tokens: usize,
    /// Cache entries asked for, over all layers and KV heads.
    pub asked_tokens: usize,
    /// Cache entries kept, over all layers and KV heads.
    pub kept_tokens: usize,
    /// Cache entries without eviction, over all layers and KV heads.
    pub full_tokens: usize,
    /// Bytes the cache really held.
    pub cache_bytes: u64,
    /// Bytes of the cache without eviction.
    pub full_bytes: u64,
    /// Cosine of kept and full attention rows, mean over heads, as published.
    pub attention_preservation: Option<f64>,
    /// Attention mass on the kept positions, mean over heads.
    pub retained_mass: Option<f64>,
    /// KL divergence of the next-token distribution from the full cache's, nats, mean per target.
    pub kl_nats: Option<f64>,
    /// Fraction of targets with the same most likely token as with the full cache.
    pub agreement: Option<f64>,
    /// Negative log-likelihood, nats, mean per target.
    pub nll_nats: Option<f64>,
    /// Scored tokens.
    pub targets: usize,
    /// UTF-8 bytes of the scored tokens.
    pub bytes_scored: Option<usize>,
    /// Recall answers that were right.
    pub correct: Option<usize>,
    /// Recall questions asked.
    pub questions: usize,
}

impl Row for MemoryRow {
    const KIND: &'static str = "memory";
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "accounting",
        "context",
        "weight_bytes",
        "kv_bytes",
        "activation_bytes",
        "total_bytes",
        "kv_fraction",
        "published_fraction",
    ];

    fn key(&self) -> String {
        format!("model {}, {}, context {}", self.model, self.accounting.name(), self.context)
    }

    fn check(&self) -> Result<(), String> {
        let sum = self.weight_bytes as f64 + self.kv_bytes as f64 + self.activation_bytes as f64;
        let total = self.total_bytes as f64;
        // The published formula has fractional bytes: each of the four numbers may be rounded on its own.
        if (sum - total).abs() > 4.0 {
            return Err(format!("total_bytes = {total} is not the sum of its parts, {sum}"));
        }
        if total > 0.0 {
            let expected = self.kv_bytes as f64 / total;
            if (self.kv_fraction - expected).abs() > 1e-6 {
                return Err(format!(
                    "kv_fraction = {} is not kv_bytes / total_bytes = {expected}",
                    self.kv_fraction
                ));
            }
        }
        within("kv_fraction", Some(self.kv_fraction), 0.0, 1.0)?;
        within("published_fraction", self.published_fraction, 0.0, 1.0)
    }
}

impl Row for HeadRow {
    const KIND: &'static str = "head";
    const COLUMNS: &'static [&'static str] =
        &["model", "profile", "context", "text", "layer", "head", "entropy_bits", "normalised_entropy"];

    fn key(&self) -> String {
        format!(
            "model {}, profile {}, context {}, text '{}', layer {}, head {}",
            self.model, self.profile, self.context, self.text, self.layer, self.head
        )
    }

    fn check(&self) -> Result<(), String> {
        within("entropy_bits", self.entropy_bits, 0.0, f64::MAX)?;
        within("normalised_entropy", self.normalised_entropy, 0.0, 1.0)
    }
}

impl Row for CellRow {
    const KIND: &'static str = "cell";
    const COLUMNS: &'static [&'static str] = &[
        "model",
        "policy",
        "oracle",
        "conserving",
        "budget",
        "text",
        "register",
        "task",
        "context_tokens",
        "asked_tokens",
        "kept_tokens",
        "full_tokens",
        "cache_bytes",
        "full_bytes",
        "attention_preservation",
        "retained_mass",
        "kl_nats",
        "agreement",
        "nll_nats",
        "targets",
        "bytes_scored",
        "correct",
        "questions",
    ];

    fn key(&self) -> String {
        format!(
            "model {}, policy {}, budget {}, text {}, task {}, context {}",
            self.model,
            self.policy,
            self.budget,
            self.text,
            self.task.name(),
            self.context_tokens
        )
    }

    fn check(&self) -> Result<(), String> {
        if !(self.budget > 0.0 && self.budget <= 1.0) {
            return Err(format!("budget = {} is not a fraction kept in (0, 1]", self.budget));
        }
        if self.kept_tokens > self.full_tokens {
            let (kept, full) = (self.kept_tokens, self.full_tokens);
            return Err(format!("kept_tokens = {kept} is more than full_tokens = {full}"));
        }
        if self.conserving && self.kept_tokens != self.asked_tokens {
            let (kept, asked) = (self.kept_tokens, self.asked_tokens);
            return Err(format!("conserving is true but kept_tokens = {kept} and asked_tokens = {asked}"));
        }
        if self.correct.is_some_and(|correct| correct > self.questions) {
            return Err(format!("correct is more than questions = {}", self.questions));
        }
        if self.targets == 0 && (self.kl_nats.or(self.agreement).or(self.nll_nats)).is_some() {
            return Err("targets = 0, so there can be no KL, agreement or NLL".to_owned());
        }
        within("attention_preservation", self.attention_preservation, 0.0, 1.0)?;
        within("retained_mass", self.retained_mass, 0.0, 1.0)?;
        within("kl_nats", self.kl_nats, 0.0, f64::MAX)?;
        within("agreement", self.agreement, 0.0, 1.0)?;
        within("nll_nats", self.nll_nats, 0.0, f64::MAX)
    }
}

/// Checks a value that is present; NaN is in no range.
pub(crate) fn within(name: &str, value: Option<f64>, low: f64, high: f64) -> Result<(), String> {
    match value {
        Some(v) if !(low - ROUNDING..=high + ROUNDING).contains(&v) => {
            let bound = if high == f64::MAX { "infinity".to_owned() } else { high.to_string() };
            Err(format!("{name} = {v} is not between {low} and {bound}"))
        }
        _ => Ok(()),
    }
}

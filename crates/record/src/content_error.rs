//! Errors of JSON documents whose values are impossible.

use crate::HeadClass;

/// Why the content of a manifest, a profile or a measurement is impossible. The message is a clause that
/// names the key and its value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum ContentError {
    #[error(
        "it is of format {format}, but this version of bitkv reads formats up to {known}: use a newer bitkv"
    )]
    Newer { format: u32, known: u32 },
    #[error(
        "it is not the file that the run wrote, because its hash is not the one in manifest.json: put the original file back"
    )]
    OtherFile,
    #[error(
        "it has no hash of rows.csv, so nobody can know whether the rows were changed: run again without --reuse"
    )]
    NoHashes,
    #[error("started = '{text}' is not an RFC 3339 time in UTC")]
    Started { text: String },
    #[error("seconds = {seconds} is not a duration: it must be finite and at least 0")]
    Seconds { seconds: f64 },
    #[error("command is empty, so the run cannot be repeated")]
    NoCommand,
    #[error("models lists '{name}' twice")]
    ModelTwice { name: String },
    #[error("sha256 = '{sha256}' of '{file}' is not 64 lower-case hex digits")]
    NotAHash { sha256: String, file: String },
    #[error("tokens_per_second.min = {rate} is not a rate: it must be above 0")]
    NotARate { rate: f64 },
    #[error("thresholds must be above 0, each one higher than the one before")]
    Thresholds,
    #[error("heads must list every head of every layer, beginning with layer 0")]
    Ragged,
    #[error("heads has layer {}, head {} where layer {}, head {} is expected", .found.0, .found.1, .expected.0, .expected.1)]
    Order { found: (usize, usize), expected: (usize, usize) },
    #[error(
        "entropy_bits = {bits} of layer {layer}, head {head} is not an entropy: it must be finite and at least 0"
    )]
    NotAnEntropy { bits: f64, layer: usize, head: usize },
    #[error("class of layer {layer}, head {head} is '{found}', but its entropy gives '{expected}'")]
    Class { layer: usize, head: usize, found: HeadClass, expected: HeadClass },
    #[error("summary.{name} = {found}, but the heads give {expected}")]
    Summary { name: &'static str, found: f64, expected: f64 },
    #[error("summary.classes is not the number of heads in each class")]
    SummaryClasses,
    #[error("format_version = {version} is not 1")]
    PublishedVersion { version: u32 },
    #[error(
        "n_layer = {layers}, n_head = {heads}, n_head_kv = {kv} is not the shape of a model: all are at least 1, and n_head is a multiple of n_head_kv"
    )]
    PublishedShape { layers: usize, heads: usize, kv: usize },
    #[error("head_entropies has {found} heads, not L0_H0 to L{last_layer}_H{last_head}")]
    PublishedHeads { found: usize, last_layer: usize, last_head: usize },
    #[error("head_entropies.{key} = {bits} is not an entropy: it must be finite and at least 0")]
    PublishedEntropy { key: String, bits: f64 },
    #[error("entropy_stats.{name} = {found}, but head_entropies gives {expected}")]
    PublishedStats { name: &'static str, found: f64, expected: f64 },
    #[error(
        "head_types is not the number of head_entropies in each class, whose bounds are 0.5, 1.5, 3.0 and 4.0 bits"
    )]
    PublishedTypes,
}

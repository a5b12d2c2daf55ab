//! Errors of JSON documents whose values are impossible.

use crate::HeadClass;

/// Why the content of a manifest, a profile or a measurement is impossible. The message is a clause that
/// names the key and its value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum ContentError {
    #[error(
        "it is of format {format}, and this version of bitkv reads formats up to {known}: use a newer bitkv"
    )]
    Newer { format: u32, known: u32 },
    #[error("it is not the file that the run wrote, whose hash manifest.json has: put it back")]
    OtherFile,
    #[error("started = '{text}' is not an RFC 3339 time in UTC")]
    Started { text: String },
    #[error("seconds = {seconds} is not a duration")]
    Seconds { seconds: f64 },
    #[error("command is empty, so the run cannot be repeated")]
    NoCommand,
    #[error("models lists '{name}' twice")]
    ModelTwice { name: String },
    #[error("sha256 = '{sha256}' of '{file}' is not 64 lower-case hex digits")]
    NotAHash { sha256: String, file: String },
    #[error("tokens_per_second.min = {rate} is not a rate")]
    NotARate { rate: f64 },
    #[error("thresholds do not rise from above 0")]
    Thresholds,
    #[error("heads must list every head of every layer, beginning with layer 0")]
    Ragged,
    #[error("heads has layer {}, head {} where layer {}, head {} is due", .found.0, .found.1, .due.0, .due.1)]
    Order { found: (usize, usize), due: (usize, usize) },
    #[error("entropy_bits = {bits} of layer {layer}, head {head} is not an entropy")]
    NotAnEntropy { bits: f64, layer: usize, head: usize },
    #[error("class of layer {layer}, head {head} is '{found}' but its entropy says '{due}'")]
    Class { layer: usize, head: usize, found: HeadClass, due: HeadClass },
    #[error("summary.{name} = {found} but the heads give {due}")]
    Summary { name: &'static str, found: f64, due: f64 },
    #[error("summary.classes does not count the heads' classes")]
    SummaryClasses,
    #[error("format_version = {version} is not 1")]
    PublishedVersion { version: u32 },
    #[error("n_layer = {layers}, n_head = {heads}, n_head_kv = {kv} is not the shape of a model")]
    PublishedShape { layers: usize, heads: usize, kv: usize },
    #[error("head_entropies has {found} heads, not L0_H0 to L{last_layer}_H{last_head}")]
    PublishedHeads { found: usize, last_layer: usize, last_head: usize },
    #[error("head_entropies.{key} = {bits} is not an entropy")]
    PublishedEntropy { key: String, bits: f64 },
    #[error("entropy_stats.{name} = {found} but head_entropies gives {due}")]
    PublishedStats { name: &'static str, found: f64, due: f64 },
    #[error("head_types does not count head_entropies below 0.5, 1.5, 3.0 and 4.0 bits")]
    PublishedTypes,
}

//! The values that files write as names, such as forms, KV formats, metrics and tasks. Each set of names is
//! one enum, declared by the macro `named!` with the name and the description of every value.

use crate::{ValueError, field::text_field};
use serde::{Deserialize, Serialize};

/// A set of values that files write as names.
pub trait Named: Copy + Eq + 'static {
    /// The word for a value in errors, for example "metric".
    const WHAT: &'static str;

    /// All values, in the order of the documentation.
    const ALL: &'static [Self];

    /// The other names that some values have in older files.
    const OLD_NAMES: &'static [(&'static str, Self)] = &[];

    /// Returns the name in files and tables.
    fn name(self) -> &'static str;

    /// Returns what the value means, in one sentence.
    fn about(self) -> &'static str;

    /// Returns the value with this name.
    ///
    /// # Errors
    /// Fails if no value has this name. The message suggests the nearest name and lists all of them.
    fn from_name(name: &str) -> Result<Self, ValueError> {
        let names = Self::ALL.iter().map(|value| (value.name(), *value));
        let mut all = names.clone().chain(Self::OLD_NAMES.iter().copied());
        let known = names.map(|(known, _)| known).collect();
        let unknown = || ValueError::UnknownName { name: name.to_owned(), what: Self::WHAT, known };
        all.find(|(known, _)| *known == name).map(|(_, value)| value).ok_or_else(unknown)
    }
}

/// Declares enums. The first value is the default. A name after `was` is an older name of a value: it is
/// read, but never written.
macro_rules! named {
    ($(
        $(#[$doc:meta])+ $type:ident, $what:literal;
        $($variant:ident = $name:literal $(was $old:literal)?, $about:literal;)+
    )+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $type {
            $(#[doc = $about] $variant,)+
        }

        impl Named for $type {
            const WHAT: &'static str = $what;
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const OLD_NAMES: &'static [(&'static str, Self)] = &[$($(($old, Self::$variant),)?)+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => $about),+
                }
            }
        }

        impl Default for $type {
            fn default() -> Self {
                Self::ALL[0]
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = ValueError;

            fn from_str(name: &str) -> Result<Self, ValueError> {
                Self::from_name(name)
            }
        }

        text_field!($type);
    )+};
}

named! {
    /// The form in which the weights of a model run.
    Form, "form of a model";
    True = "true", "The network that was trained.";
    PlainLlama = "plain-llama" was "llama-skeleton",
        "A plain Llama with the weights of a BitNet: the mistake of the published verification.";

    /// The positions that kept keys have after eviction.
    Positions, "kind of positions";
    Original = "original", "The positions that the keys had in the text.";
    Rerotated = "rerotated", "The positions in the compressed cache: keys are rotated again by RoPE.";

    /// How keys and values are stored in the cache.
    KvFormat, "KV format";
    F16 = "f16", "Half precision.";
    Int8 = "int8", "Eight bits, with one scale per token.";
    Int4 = "int4", "Four bits, with one scale per 32 channels of a token.";
    Kivi4 = "kivi4",
        "KIVI (Liu et al. 2024) at four bits: keys per channel, values per token, and a residual window in f16.";
    Kivi2 = "kivi2", "KIVI at two bits, otherwise like kivi4.";

    /// A group of measurements. A definition can leave out expensive ones.
    MetricGroup, "metric";
    Kl = "kl",
        "KL divergence, agreement and negative log-likelihood of tokens predicted through the compressed cache.";
    Attention = "attention", "The attention cosine, as published, and the retained attention mass.";
    OutputError = "output-error", "The relative error of the attention output.";
    FreeRunning = "free-running",
        "The first differing token and the matching fraction of a greedy continuation.";
    Form = "form", "KL divergence and agreement of a model in another form with its true form.";
    Timing = "timing", "The seconds to plan and to decode, and the peak memory. These differ between runs.";

    /// The task that a row is scored on.
    TaskKind, "task";
    Text = "text", "Continuing a text, teacher forced.";
    Passkey = "passkey",
        "One line with a key and its value of four words, among filler. The question asks for the value.";
    Needles = "needles",
        "Eight lines with a key and two values each, among filler. Four questions ask for both values of one key.";
    Variables = "variables",
        "Chains of assignments, among filler. The question asks to follow a chain from its last name back to the value.";
    CommonWords = "common-words", "Lines of words. The question asks for the most frequent ones.";
    Recall = "recall", "Lines of keys and values without filler. Sixteen questions ask for one value each.";
    RecallTogether = "recall-together",
        "Lines of keys and values. One continuation asks for the values of twenty keys.";
    Copy = "copy",
        "Lines of random words. The question is the beginning of a line; the answer is the rest of it.";
    NeedleInProse = "needle-in-prose",
        "A sentence with a number in a piece of prose. The question is the sentence up to its number.";

    /// What is equal when KV formats are compared.
    Equal, "quantity to hold equal";
    Tokens = "tokens", "The number of tokens: a smaller format has a smaller cache.";
    Bytes = "bytes",
        "The bytes of the cache, as many as f16 has at the budget: a smaller format keeps more tokens.";

    /// The role of a policy in a comparison, in the order of tables.
    PolicyRole, "role of a policy";
    Full = "full", "The full cache: nothing is evicted.";
    Published = "published", "A rule of the published claims, as published.";
    Method = "method", "A method that could be deployed.";
    Control = "control", "A baseline that ignores or reverses what methods use. A method must beat it.";
    Oracle = "oracle", "A reference that sees something that no deployed policy can see.";

    /// What happens to the entries that are not kept.
    Compressor, "compressor";
    Drop = "drop", "Entries that are not kept are dropped.";

    /// The numbers that the linear layers multiply.
    Arithmetic, "arithmetic";
    Int8 = "int8", "Activations are quantised to int8; products with ternary weights are exact integers.";
    F32 = "f32", "Activations and weights are f32.";
    Bf16 = "bf16", "Activations and weights are rounded to bf16; sums are f32.";
    Mixed = "mixed", "Int8 in ternary layers, and floats in those of full precision.";

    /// A class of instruction sets that give the same numbers, bit for bit.
    IsaClass, "class of instruction sets";
    Vector = "vector", "AVX2, AVX-512, AMX or NEON.";
    Dots = "avx512-bf16", "Dot products of AVX-512 BF16 multiply dense weights.";
    Tiles = "amx", "Tiles of AMX multiply dense weights.";
    Scalar = "scalar", "Plain loops, which add numbers in another order.";

    /// The kind of weights that a model was trained with.
    WeightKind, "kind of weights";
    Ternary = "ternary", "Ternary weights: a BitNet.";
    Control = "control", "Full-precision weights: a control.";
    Mixed = "mixed", "Ternary weights in some layers, and full precision in others.";

    /// The queries whose attention entropies are averaged.
    Queries, "choice of queries";
    All = "all", "All queries except the first, whose entropy is 0.";
    Published = "published", "The four queries of the published calibration: n/4, n/2, 3n/4 and n-1.";

    /// How bytes are counted.
    Accounting, "accounting";
    Published = "published",
        "The published formula: 1.58 bits per parameter, an fp16 cache, and one activation vector per token.";
    Actual = "actual",
        "What a runtime must hold: packed ternary weights, and embeddings and norms at their stored width.";
    Measured = "measured", "The buffers of a loaded model.";

    /// A published claim that a run can decide.
    ClaimId, "claim";
    Memory = "memory", "How much of the memory is the KV cache.";
    Heads = "heads", "How many attention heads are in each class of entropy.";
    Compression = "compression", "What compressing the cache costs.";
    PlainLlama = "plain-llama", "Whether it is harmless to run BitNet weights as a plain Llama.";

    /// What a text may be used for.
    Split, "split of texts";
    Calibration = "calibration", "Texts for choosing thresholds, profiles and options.";
    Evaluation = "evaluation", "Texts for measuring.";
    Long = "long", "Texts for measuring with 2,048 to 8,192 tokens in the cache.";

    /// The class of an attention head, by its mean attention entropy.
    HeadClass, "class of heads";
    Sink = "sink", "Nearly all attention is on one token.";
    Focused = "focused", "The attention is on a few tokens.";
    Moderate = "moderate", "The attention is on some tokens.";
    Mixed = "mixed", "The attention is on many tokens.";
    Diffuse = "diffuse", "The attention is on nearly all tokens.";

    /// A test that is timed.
    Timed, "timed test";
    Prefill = "prefill", "Many tokens are read at once into an empty cache, with the logits after the last.";
    Decode = "decode", "Tokens are read one by one after the tokens of a cache, with the logits after each.";

    /// Whether higher or lower values are better.
    Better, "better direction";
    Higher = "higher", "Higher values are better.";
    Lower = "lower", "Lower values are better.";
    Neither = "neither", "The value only describes.";

    /// The unit of a value, which also decides how it is printed.
    MeasureUnit, "unit";
    Nats = "nats per token", "Natural logarithms, per token.";
    Bits = "bits", "Binary logarithms.";
    Share = "share", "A share of a whole, 0 to 1.";
    Cosine = "cosine", "The cosine of two vectors.";
    Relative = "part of the norm", "The ratio of two norms.";
    Tokens = "tokens", "Tokens.";
    Answers = "answers", "Right answers.";
    Entries = "entries", "Keys with their values, over all layers and KV heads.";
    Bytes = "bytes", "Bytes.";
    Seconds = "seconds", "Seconds.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    fn names_are_those_of_serde<T: Named + Serialize + DeserializeOwned + std::fmt::Debug>() {
        for &value in T::ALL {
            let json = serde_json::to_value(value).unwrap();
            assert_eq!(json, value.name());
            assert_eq!(serde_json::from_value::<T>(json).unwrap(), value);
            assert_eq!(T::from_name(value.name()), Ok(value));
        }
    }

    #[test]
    fn every_name_reads_back() {
        names_are_those_of_serde::<Form>();
        names_are_those_of_serde::<Positions>();
        names_are_those_of_serde::<KvFormat>();
        names_are_those_of_serde::<MetricGroup>();
        names_are_those_of_serde::<TaskKind>();
        names_are_those_of_serde::<Equal>();
        names_are_those_of_serde::<PolicyRole>();
        names_are_those_of_serde::<Accounting>();
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let message = KvFormat::from_name("int3").unwrap_err().to_string();
        assert_eq!(
            message,
            "'int3' is not a known KV format: write 'int8' if that is meant, or another of f16, int8, int4, kivi4, kivi2"
        );
    }

    #[test]
    fn old_names_are_read_and_new_ones_written() {
        assert_eq!(Form::from_name("llama-skeleton"), Ok(Form::PlainLlama));
        assert_eq!(serde_json::from_str::<Form>("\"llama-skeleton\"").unwrap().to_string(), "plain-llama");
        assert!(
            Form::from_name("llama").unwrap_err().to_string().ends_with("write one of true, plain-llama")
        );
    }
}

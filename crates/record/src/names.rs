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
    True = "true", "As they were trained.";
    PlainLlama = "plain-llama" was "llama-skeleton", "As a plain Llama: the mistake of the published verification.";

    /// The positions that kept keys have after eviction.
    Positions, "kind of positions";
    Original = "original", "Where they stood in the text.";
    Rerotated = "rerotated", "Turned by RoPE to their place in the compressed cache.";

    /// How keys and values are stored in the cache.
    KvFormat, "KV format";
    F16 = "f16", "Half precision.";
    Int8 = "int8", "Eight bits with a scale for each token.";
    Int4 = "int4", "Four bits with a scale for every 32 channels of a token.";
    Kivi4 = "kivi4", "KIVI (Liu and others 2024) at four bits: keys by channel, values by token, a residual window in f16.";
    Kivi2 = "kivi2", "KIVI at two bits.";

    /// A group of measurements; those that cost much can be left out.
    Metric, "metric";
    Kl = "kl", "KL divergence, agreement and NLL of tokens predicted through the compressed cache.";
    Attention = "attention", "Attention cosine, as published, and retained attention mass.";
    OutputError = "output-error", "Relative error of the attention output.";
    FreeRunning = "free-running", "First differing token and matching fraction of a greedy continuation.";
    Form = "form", "What a model that runs in another form predicts beside the true one.";
    Timing = "timing", "Seconds to plan and to decode, and peak memory; these are never the same twice.";

    /// The task that a cell is scored on.
    TaskKind, "task";
    Text = "text", "Continuation of a text, teacher forced.";
    Passkey = "passkey", "One line with a key and its value of four words, in filler; the value is asked for.";
    Needles = "needles", "Eight lines with keys and values in filler; four keys are asked, one by one.";
    Variables = "variables", "Chains of assignments in filler; their last names are followed back to the value.";
    CommonWords = "common-words", "Lines of words; the most frequent ones are asked for.";
    Recall = "recall", "Lines of keys and values, nothing else; sixteen keys are asked, one by one.";
    RecallTogether = "recall-together", "Lines of keys and values; twenty keys are asked, all in one continuation.";
    Copy = "copy", "Lines of random words; one of them is to be continued from its beginning.";

    /// What is held equal among KV formats.
    Equal, "thing to hold equal";
    Tokens = "tokens", "The tokens kept: a smaller format then has a smaller cache.";
    Bytes = "bytes", "The bytes of the cache, those of f16 at the budget: a smaller format then keeps more tokens.";

    /// The role of a policy in a comparison, in the order of tables.
    PolicyRole, "role of a policy";
    Full = "full", "The full cache: nothing is evicted.";
    Published = "published", "A rule of the published claims, as it was published.";
    Method = "method", "A method that could be deployed.";
    Control = "control", "A policy that ignores or reverses what methods use: what they must beat.";
    Oracle = "oracle", "A reference that sees what no deployed cache can.";

    /// What happens to the entries that are not kept.
    Compressor, "compressor";
    Drop = "drop", "It is dropped.";

    /// The numbers that the linear layers multiply.
    Arithmetic, "arithmetic";
    Int8 = "int8", "Activations quantised to int8; products with ternary weights are exact integers.";
    F32 = "f32", "Activations and weights in f32.";

    /// A class of instruction sets that give the same numbers, bit for bit.
    IsaClass, "class of instruction sets";
    Vector = "vector", "AVX2, AVX-512, AMX or NEON.";
    Scalar = "scalar", "Plain loops, which add in another order.";

    /// The kind of weights that a model was trained with.
    WeightKind, "kind of weights";
    Ternary = "ternary", "The weights of a BitNet.";
    Control = "control", "Full-precision weights: a control.";

    /// The queries whose attention entropies are averaged.
    Queries, "choice of queries";
    All = "all", "All but the first, whose entropy is 0.";
    Published = "published", "Those of the published calibration: n/4, n/2, 3n/4 and n-1.";

    /// How bytes are counted.
    Accounting, "accounting";
    Published = "published", "The published formula: every parameter at 1.58 bits, fp16 cache, one activation vector a token.";
    Actual = "actual", "What a runtime has to hold: ternary weights as packed, embeddings and norms at their stored width.";
    Measured = "measured", "Counted from the buffers of a loaded model.";

    /// A published claim that a run can decide.
    ClaimId, "claim";
    Memory = "memory", "How much of the memory is KV cache.";
    Heads = "heads", "How attention heads divide into classes by entropy.";
    Compression = "compression", "What compressing the cache costs.";
    PlainLlama = "plain-llama", "That running BitNet weights as a plain Llama is harmless.";

    /// What a text may be used for.
    Split, "split of texts";
    Calibration = "calibration", "Choosing thresholds, profiles and options.";
    Evaluation = "evaluation", "Measuring.";

    /// The class of an attention head, by its mean attention entropy.
    HeadClass, "class of heads";
    Sink = "sink", "Nearly all attention on one token.";
    Focused = "focused", "A few tokens.";
    Moderate = "moderate", "Some tokens.";
    Mixed = "mixed", "Many tokens.";
    Diffuse = "diffuse", "Nearly all tokens.";

    /// A test that is timed.
    Timed, "timed test";
    Prefill = "prefill", "Many tokens at once into an empty cache, and the logits after the last.";
    Decode = "decode", "One token after another behind a cache, logits after each.";

    /// Which way a value is better.
    Better, "way to be better";
    Higher = "higher", "Higher values.";
    Lower = "lower", "Lower values.";
    Neither = "neither", "Neither: it describes.";

    /// What a value counts, and so how it is printed.
    Unit, "unit";
    Nats = "nats per token", "Natural logarithms, a token.";
    Bits = "bits", "Binary logarithms.";
    Share = "share", "A part of a whole, 0 to 1.";
    Cosine = "cosine", "The cosine of two vectors.";
    Relative = "part of the norm", "A norm as a part of another.";
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
        names_are_those_of_serde::<Metric>();
        names_are_those_of_serde::<TaskKind>();
        names_are_those_of_serde::<Equal>();
        names_are_those_of_serde::<PolicyRole>();
        names_are_those_of_serde::<Accounting>();
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let said = KvFormat::from_name("int3").unwrap_err().to_string();
        assert_eq!(
            said,
            "'int3' is no KV format: write 'int8' if that is meant, of f16, int8, int4, kivi4, kivi2"
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

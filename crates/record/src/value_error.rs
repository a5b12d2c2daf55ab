//! Errors of texts that should be values.

/// Why a text is not a value of its type. The message is a clause with the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum ValueError {
    #[error("'{text}' is neither true nor false")]
    NotABool { text: String },
    #[error("'{text}' is not {expected}")]
    NotANumber { text: String, expected: &'static str },
    #[error("'{name}' is not a known {what}: {}", bitkv_spelling::suggestion(.name, .known))]
    UnknownName { name: String, what: &'static str, known: Vec<&'static str> },
    #[error(
        "'{text}' is not the name of a rule: write lower-case letters, digits and hyphens, at most {longest}"
    )]
    NotARule { text: String, longest: usize },
    #[error("'{text}' is not the key of a head: write one such as L0_H0")]
    NotAHead { text: String },
    #[error("'{text}' is not a number of bytes: write one such as 65536, 64KiB or 2.5 MB")]
    NotBytes { text: String },
    #[error("{value:?} is not a fraction in (0, 1]: write one such as 0.5")]
    NotAFraction { value: f64 },
    #[error(
        "ratio {value} is outside [0, 1): write the fraction of the cache to remove, such as 'ratio 0.8'"
    )]
    NotARatio { value: f64 },
    #[error(
        "{number} is not a fraction in (0, 1] and has no unit: write \"{number} tokens\" for a number of tokens"
    )]
    NoUnit { number: i64 },
    #[error(
        "'{text}' is not a budget: write a fraction such as 0.5, '4x' for a cache four times smaller, '64 tokens', \
         '32 KiB' (B, KiB, MiB, GiB), 'ratio 0.8' or '0.5 by entropy-global'"
    )]
    NotABudget { text: String },
    #[error("'{text}' keeps nothing: write at least 1")]
    KeepsNothing { text: String },
    #[error(
        "'{text}' is not a time of eviction: write 'once', 'chunked', 'decoding', 'chunked-128', 'decoding-16', \
         'chunked-128+decoding-16' or a table such as {{prefill-chunk = 128, every = 16}}"
    )]
    NotAWhen { text: String },
    #[error("'text-aware' is not a task, because a text asks no question: write 'text'")]
    NoQuestion,
}

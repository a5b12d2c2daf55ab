//! The errors of this crate. Messages name the options of `bitkv bench` that gave a bad value.

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The reasons why a request cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("a cache is not filled by '{name}': use synthetic or prefill")]
    Fill { name: String },
    #[error("there is no cut '{name}': use even or uneven")]
    Cut { name: String },
    #[error("there is no probe '{name}': use off, entropy, accumulated or window")]
    Probe { name: String },
    #[error("there is nothing to measure: give --prefill, --decode or --fit")]
    Nothing,
    #[error("{argument} 0: a prefill has at least one token")]
    EmptyPrefill { argument: &'static str },
    #[error("{argument} {tokens}: the model has {limit} positions")]
    LongPrefill { argument: &'static str, tokens: usize, limit: usize },
    #[error("--fit: two coefficients need two lengths or more")]
    OneLength,
    #[error(
        "--depth {depth}: {over} tokens more than the model's {limit} positions are needed for --decode {decode}"
    )]
    Depth { depth: usize, over: usize, limit: usize, decode: usize },
    #[error("--budget {budget}: it is the part of the cache that is kept, above 0 and at most 1")]
    Budget { budget: f64 },
    #[error("--threads {threads}: use 1 to {most}")]
    Threads { threads: usize, most: usize },
    #[error("--threads: at least one number is needed")]
    NoThreads,
    #[error("--repeats 0: at least one pass has to count")]
    NoRepeats,
    #[error("cannot start {threads} threads: {source}")]
    Pool { threads: usize, source: rayon::ThreadPoolBuildError },
    #[error(transparent)]
    BitNet(#[from] bitkv_bitnet::Error),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

//! The errors of this crate. Messages name the options of `bitkv bench` that gave a bad value.

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The reasons why a request cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("--fill '{name}' is not a way to fill the cache: use synthetic or prefill")]
    Fill { name: String },
    #[error("'{name}' is not a way to divide a budget among heads: use even or uneven")]
    HeadBudgets { name: String },
    #[error("there is no probe '{name}': use off, entropy, accumulated or window")]
    Probe { name: String },
    #[error("there is nothing to measure: give --prefill, --decode or --fit")]
    Nothing,
    #[error("{argument} 0: a prefill needs at least one token")]
    EmptyPrefill { argument: &'static str },
    #[error("{argument} {tokens}: the model has {limit} positions, so give at most that many tokens")]
    LongPrefill { argument: &'static str, tokens: usize, limit: usize },
    #[error("--fit has one length: give at least two lengths, because two coefficients are fitted")]
    OneLength,
    #[error(
        "--depth {depth} with --decode {decode} needs {over} tokens more than the model's {limit} positions: give fewer"
    )]
    Depth { depth: usize, over: usize, limit: usize, decode: usize },
    #[error("--budget {budget} is outside (0, 1]: give the fraction of the cache that is kept, such as 0.5")]
    Budget { budget: f64 },
    #[error("--threads {threads} is not possible: use 1 to {most}")]
    Threads { threads: usize, most: usize },
    #[error("--threads is empty: give at least one number")]
    NoThreads,
    #[error("--repeats 0 measures nothing: give at least 1")]
    NoRepeats,
    #[error("cannot start {threads} threads: {source}")]
    Pool { threads: usize, source: rayon::ThreadPoolBuildError },
    #[error(transparent)]
    BitNet(#[from] bitkv_bitnet::Error),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

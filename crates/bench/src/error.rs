//! The errors of this crate. Messages name the options of `bitkv bench` that gave a bad value.

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The reasons why a request cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the fields are")]
pub enum Error {
    #[error("--fill {name} is not a way to fill the cache: use synthetic or prefill")]
    Fill { name: String },
    #[error("--head-budgets {name} is not a way to divide a budget among heads: use even or uneven")]
    HeadBudgets { name: String },
    #[error("--probes {name} is not known: use off, entropy, accumulated or window")]
    Probe { name: String },
    #[error("there is nothing to measure: give --prefill, --decode or --fit")]
    Nothing,
    #[error("{argument} 0 measures nothing: give at least one token")]
    EmptyPrefill { argument: &'static str },
    #[error("{argument} {tokens} is longer than the model's {limit} positions: give at most {limit} tokens")]
    LongPrefill { argument: &'static str, tokens: usize, limit: usize },
    #[error("{argument} {found} is too many: give at most {most}")]
    TooMany { argument: &'static str, found: usize, most: usize },
    #[error(transparent)]
    TooLarge(#[from] bitkv_bytes::TooLarge),
    #[error("--fit has one length: give at least two lengths, because two coefficients are fitted")]
    OneLength,
    #[error(
        "--depth {depth}, one start token and --decode {decode} are {positions} positions, but the model has {limit}: give fewer tokens"
    )]
    Depth { depth: usize, decode: usize, positions: usize, limit: usize },
    #[error("--budget {budget} is outside (0, 1]: give the fraction of the cache that is kept, such as 0.5")]
    Budget { budget: f64 },
    #[error("--threads {threads} is not possible: use 1 to {most}")]
    Threads { threads: usize, most: usize },
    #[error("--threads is empty: give at least one number")]
    NoThreads,
    #[error("--repeats 0 measures nothing: give at least 1")]
    NoRepeats,
    #[error("--threads {threads} cannot be started ({source}): give fewer")]
    Pool { threads: usize, source: rayon::ThreadPoolBuildError },
    #[error(transparent)]
    BitNet(#[from] bitkv_bitnet::Error),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

//! The arguments of `bitkv bench`, and the request that they make.

use anyhow::{Result, ensure};
use bitkv_bench::{Fill, HeadBudgets, Probe, Request};

use crate::{lm_head::LmHeadArgument, model::OptionalModel};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Measure a model with random weights, made in memory, of this shape: `2b-4t`, `large`, `tiny-mha`,
    /// `tiny-gqa`, or a config.json file.
    #[arg(long)]
    pub(super) shape: Option<String>,
    #[command(flatten)]
    pub(super) model: OptionalModel,
    /// Run only this number of layers of the shape [default: all].
    #[arg(long)]
    pub(super) layers: Option<usize>,
    /// Seed of the random weights.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Numeric format of the LM head; with `int8`, decoding is greedy.
    #[arg(long, value_enum, alias = "head", default_value_t = LmHeadArgument::Exact)]
    pub(super) lm_head: LmHeadArgument,
    /// Lengths of prefills in tokens, separated by commas. Without --prefill, --decode and --fit, the tests
    /// are a prefill of 512 tokens and a decode of 64 tokens.
    #[arg(long, value_delimiter = ',', value_name = "TOKENS")]
    prefill: Vec<usize>,
    /// What is observed during prefills, separated by commas: `off`, `entropy`, `accumulated` or `window`.
    /// Each prefill runs once with each.
    #[arg(long, value_delimiter = ',', default_value = "off")]
    probes: Vec<String>,
    /// Number of tokens to decode one by one.
    #[arg(long, value_name = "TOKENS")]
    decode: Option<usize>,
    /// Numbers of tokens that the cache has seen before a decode, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "TOKENS", default_value = "0")]
    depth: Vec<usize>,
    /// Fractions of the --depth tokens that the cache still holds, above 0 and at most 1, separated by
    /// commas.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "FRACTION",
        default_value = "1.0",
        allow_negative_numbers = true
    )]
    budget: Vec<f64>,
    /// How a budget below 1 is divided among heads: `even`, or `uneven` with 0.5 to 1.5 times the mean. Each
    /// head keeps its first four tokens and its most recent ones.
    #[arg(long, alias = "cut", value_name = "DIVISION", default_value = "even")]
    head_budgets: String,
    /// Where the cached keys and values come from: `synthetic` is fast, and `prefill` runs a real prefill
    /// before every decode.
    #[arg(long, default_value = "synthetic")]
    fill: String,
    /// Fit a linear and a quadratic cost to prefills of these lengths in tokens, separated by commas. Without
    /// a value: 512,1024,2048,4096,8192. Random weights get as many positions as the lengths need.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "TOKENS",
        num_args = 0..=1,
        default_missing_value = "512,1024,2048,4096,8192"
    )]
    fit: Vec<usize>,
    /// Numbers of threads, separated by commas [default: all cores].
    #[arg(long, value_delimiter = ',')]
    threads: Vec<usize>,
    /// Number of passes over all tests that are not recorded.
    #[arg(long, default_value_t = 1)]
    warm_up: usize,
    /// Number of passes over all tests that are recorded.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Print one JSON document on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// Returns what the arguments ask for. If they name no test, the request has a default prefill and
    /// decode.
    pub(super) fn request(&self) -> Result<Request> {
        let no_test = self.prefill.is_empty() && self.decode.is_none() && self.fit.is_empty();
        ensure!(
            self.decode != Some(0) || !self.prefill.is_empty() || !self.fit.is_empty(),
            "--decode 0 measures nothing: give at least one token, or --prefill or --fit"
        );
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Request {
            prefill: if no_test { vec![512] } else { self.prefill.clone() },
            probes: self.probes.iter().map(|name| Ok(Probe::find(name)?)).collect::<Result<_>>()?,
            fit: self.fit.clone(),
            decode: self.decode.unwrap_or(if no_test { 64 } else { 0 }),
            depths: self.depth.clone(),
            budgets: self.budget.clone(),
            fill: Fill::find(&self.fill)?,
            head_budgets: HeadBudgets::find(&self.head_budgets)?,
            threads: if self.threads.is_empty() { vec![cores()] } else { self.threads.clone() },
            warm_up: self.warm_up,
            repeats: self.repeats,
        })
    }
}

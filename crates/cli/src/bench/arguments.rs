use anyhow::Result;
use bitkv_bench::{Cut, Fill, Probe, Request};

use crate::{lm_head::LmHeadArgument, model::OptionalModel};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Random weights, made in memory, of the shape `2b-4t`, `large`, `tiny-mha`, `tiny-gqa`, or of a config.json.
    #[arg(long)]
    pub(super) shape: Option<String>,
    #[command(flatten)]
    pub(super) model: OptionalModel,
    /// Run only so many layers of the shape.
    #[arg(long)]
    pub(super) layers: Option<usize>,
    /// Where the random weights start.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// The output head's numbers; one other than exact decodes greedily.
    #[arg(long, value_enum, alias = "head", default_value_t = LmHeadArgument::Exact)]
    pub(super) lm_head: LmHeadArgument,
    /// Lengths of prefills in tokens, separated by commas. Without --prefill, --decode and --fit: 512, and 64 decoded.
    #[arg(long, value_delimiter = ',', value_name = "TOKENS")]
    prefill: Vec<usize>,
    /// What is observed during the prefills, one after the other: `off`, `entropy`, `accumulated`, `window`.
    #[arg(long, value_delimiter = ',', default_value = "off")]
    probes: Vec<String>,
    /// Tokens to decode one by one.
    #[arg(long, value_name = "TOKENS")]
    decode: Option<usize>,
    /// Tokens that went before those decoded, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "TOKENS", default_value = "0")]
    depth: Vec<usize>,
    /// Parts of these that the cache still holds, above 0 and at most 1, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "PART",
        default_value = "1.0",
        allow_negative_numbers = true
    )]
    budget: Vec<f64>,
    /// Which of them a budget keeps, the first four and the most recent: `even`, as many in every head, or `uneven`.
    #[arg(long, default_value = "even")]
    cut: String,
    /// Where they come from: `synthetic` keys and values, or a real `prefill` each time, which takes long.
    #[arg(long, default_value = "synthetic")]
    fill: String,
    /// Fit linear and quadratic cost to prefills of these lengths; a random model gets the positions that they need.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "TOKENS",
        num_args = 0..=1,
        default_missing_value = "512,1024,2048,4096,8192"
    )]
    fit: Vec<usize>,
    /// Numbers of threads, separated by commas; all cores by default.
    #[arg(long, value_delimiter = ',')]
    threads: Vec<usize>,
    /// Passes over all tests that do not count.
    #[arg(long, default_value_t = 1)]
    warm_up: usize,
    /// Passes that do.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// One JSON document on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// What they ask for; a default test where they ask for none.
    pub(super) fn request(&self) -> Result<Request> {
        let none = self.prefill.is_empty() && self.decode.is_none() && self.fit.is_empty();
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Request {
            prefill: if none { vec![512] } else { self.prefill.clone() },
            probes: self.probes.iter().map(|name| Ok(Probe::find(name)?)).collect::<Result<_>>()?,
            fit: self.fit.clone(),
            decode: self.decode.unwrap_or(if none { 64 } else { 0 }),
            depths: self.depth.clone(),
            budgets: self.budget.clone(),
            fill: Fill::find(&self.fill)?,
            cut: Cut::find(&self.cut)?,
            threads: if self.threads.is_empty() { vec![cores()] } else { self.threads.clone() },
            warm_up: self.warm_up,
            repeats: self.repeats,
        })
    }
}

//! `bitkv generate`: text after a prompt, with an optional policy and budget.

mod conversation;
mod output;
mod prompts;

use std::{num::NonZeroUsize, path::PathBuf};

use anyhow::{Result, anyhow, ensure};
use bitkv_bitnet::{Error, GenerationOptions, Sampling};
use bitkv_evict::{Need, Policy, Registry};
use bitkv_lab::{
    generation::{Eviction, Session, Storage, check_repeatable},
    memory, observation,
};
use bitkv_models::LoadedModel;
use bitkv_record::{Positions, When};
use clap::ValueEnum;

use crate::{
    bars::BARS,
    budget::BudgetArguments,
    first_tokens::FirstArgument,
    input::CalibrationArguments,
    kv::KvArgument,
    limit::{LimitArguments, MOST_TOKENS, check_count},
    lm_head::LmHeadArgument,
    model::ModelArguments,
};
use output::{Outcome, TextOutput};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The prompt, or - to read it from standard input. Repeat the option to generate several texts in one
    /// batch.
    #[arg(long, value_name = "TEXT", conflicts_with = "tokens")]
    prompt: Vec<String>,
    /// A file with a JSON array of token ids as the prompt. Repeat the option for several prompts.
    #[arg(long, value_name = "FILE")]
    tokens: Vec<PathBuf>,
    #[command(flatten)]
    first: FirstArgument,
    /// Put each prompt into the model's chat template as the message of the user. Without --prompt, talk in
    /// turns: each line of standard input is the next message, and all turns share one cache.
    #[arg(long, conflicts_with_all = ["tokens", "first"])]
    chat: bool,
    /// The system message before the message of the user.
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// The date that the chat template reads, instead of today, such as 2026-07-26.
    #[arg(long, value_name = "YYYY-MM-DD", requires = "chat")]
    date: Option<String>,
    /// The largest number of tokens to generate for each prompt.
    #[arg(long, default_value_t = 128)]
    max_tokens: usize,
    /// Numeric format of the LM head. `int8` is read faster and gives the same tokens; it needs --greedy or
    /// --top-k.
    #[arg(long, value_enum, alias = "head", default_value_t = LmHeadArgument::Exact)]
    lm_head: LmHeadArgument,
    /// Always choose the most likely token.
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p"])]
    greedy: bool,
    /// Divide logits by this number: lower values make likely tokens likelier. 0 always chooses the most
    /// likely token.
    #[arg(long, default_value_t = 0.8, allow_negative_numbers = true)]
    temperature: f32,
    /// Choose among this number of the most likely tokens; 0 means all tokens.
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Choose among the most likely tokens that together reach this probability, from 0 to 1.
    #[arg(long, default_value_t = 0.95, allow_negative_numbers = true)]
    top_p: f32,
    /// Values above 1 make tokens that occurred before, also in the prompt, less likely.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    repetition_penalty: f32,
    /// Seed of the random choices.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A token that ends the text, besides the model's own: its id, or its text in the vocabulary. Repeat the
    /// option for several tokens.
    #[arg(long, value_name = "TOKEN")]
    stop: Vec<String>,
    /// Do not end the text at the model's own stop tokens.
    #[arg(long)]
    ignore_eos: bool,
    /// Numeric format of the KV cache. The prompt is read in f16 or f32; fewer bits are used after the
    /// prompt.
    #[arg(long, value_enum, default_value_t = KvArgument::F16)]
    kv: KvArgument,
    /// Policy that evicts from the cache after each prompt; see `bitkv list policies`. A budget in tokens or
    /// bytes is constant. A fraction refers to the first prompt: as many entries are kept later.
    #[arg(long, requires = "BudgetArguments")]
    policy: Option<String>,
    #[command(flatten)]
    budget: BudgetArguments,
    /// Also evict down to the budget whenever this number of tokens was generated, as `when` of a definition
    /// does.
    #[arg(long, value_name = "TOKENS", requires = "policy")]
    every: Option<NonZeroUsize>,
    /// Read each prompt in chunks of this number of tokens and evict after each.
    #[arg(long, value_name = "TOKENS", requires = "policy")]
    prefill_chunk: Option<NonZeroUsize>,
    /// The positions that keys have after an eviction: `original` are those in the text, and end with the
    /// model's. `rerotated` are those in the cache, as in StreamingLLM: with --every, the text may be longer
    /// than the model reads.
    #[arg(long, value_enum, default_value_t = PositionsArgument::Original)]
    positions: PositionsArgument,
    #[command(flatten)]
    calibration: CalibrationArguments,
    #[command(flatten)]
    limit: LimitArguments,
    /// Print one JSON document on standard output, without streaming.
    #[arg(long)]
    json: bool,
}

/// The positions of keys after an eviction.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum PositionsArgument {
    Original,
    Rerotated,
}

impl Arguments {
    /// Whether the most likely token is always chosen.
    fn is_greedy(&self) -> bool {
        self.greedy || self.temperature == 0.0
    }

    /// Whether messages are read turn by turn from standard input.
    fn is_conversation(&self) -> bool {
        self.chat && self.prompt.is_empty()
    }

    /// Returns when entries are evicted, besides after each prompt.
    fn when(&self) -> When {
        When {
            prefill_chunk: self.prefill_chunk.map(NonZeroUsize::get),
            every: self.every.map(NonZeroUsize::get),
        }
    }

    fn positions(&self) -> Positions {
        match self.positions {
            PositionsArgument::Original => Positions::Original,
            PositionsArgument::Rerotated => Positions::Rerotated,
        }
    }

    /// Whether a prompt may have more tokens than the model has positions.
    fn reads_long_prompts(&self) -> bool {
        self.prefill_chunk.is_some() && self.positions == PositionsArgument::Rerotated
    }
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    ensure!(
        arguments.policy.is_some() || !arguments.budget.is_given(),
        "a budget has no effect without a policy: give --policy too, such as uniform+window-attention"
    );
    ensure!(
        arguments.policy.is_some() || arguments.positions == PositionsArgument::Original,
        "--positions rerotated has no effect without a policy: give --policy too, such as streaming-llm"
    );
    ensure!(
        arguments.lm_head == LmHeadArgument::Exact || arguments.is_greedy() || arguments.top_k > 0,
        "--lm-head int8 finds only the most likely tokens: give --greedy or --top-k with it, or leave it out"
    );
    check_sampling(arguments)?;
    check_count("--max-tokens", arguments.max_tokens, MOST_TOKENS)?;
    let policy = arguments.policy.as_deref();
    let policy = policy.map(|policy| checked_policy(policy, arguments, registry)).transpose()?;
    arguments.calibration.check(policy.as_ref())?;
    let texts = prompts::texts(arguments)?;
    let mut loaded = arguments.model.open()?;
    loaded.model = loaded.model.with_lm_head(arguments.lm_head.precision())?;
    let options = options(arguments, &loaded)?;
    let eviction = match policy {
        Some(policy) => {
            let budget = arguments.budget.for_shape(observation::shape(&loaded, 1))?;
            let calibration = arguments.calibration.files().calibration(&loaded, &policy, &BARS)?;
            let (when, positions) = (arguments.when(), arguments.positions());
            Some(Eviction { policy, budget, calibration, when, positions })
        }
        None => None,
    };
    let storage = Storage { precision: arguments.kv.precision(), quantisation: arguments.kv.quantisation() };
    if arguments.is_conversation() {
        let session = || Session::new(&loaded, 1, storage, eviction.as_ref());
        return conversation::run(arguments, &loaded, &options, &session);
    }
    let prompts = prompts::tokens(arguments, texts, &loaded)?;
    check_memory(arguments, &loaded, &prompts)?;
    let mut session = Session::new(&loaded, prompts.len(), storage, eviction.as_ref());
    let mut output = TextOutput::new(&loaded, prompts.len(), arguments.json)?;
    let turn = session.generate(&prompts, &options, &mut |i, id| output.token(i, id));
    output.check()?;
    output.finish(arguments, &Outcome { prompts, turn: turn?, session: &session })
}

/// Checks that the caches of all texts can be had. The weights are loaded, so only what comes is counted.
fn check_memory(arguments: &Arguments, loaded: &LoadedModel, prompts: &[Vec<u32>]) -> Result<()> {
    let positions = loaded.config().max_position_embeddings;
    let longest = |prompt: &Vec<u32>| prompt.len().saturating_add(arguments.max_tokens).min(positions);
    let kv = |prompt| memory::kv_bytes(loaded.config(), longest(prompt));
    // An evicted cache is made beside the whole one.
    let caches = prompts.iter().map(kv).fold(0u64, u64::saturating_add).saturating_mul(2);
    let tokens = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let read = loaded.model.activation_bytes(tokens.min(positions)) as u64;
    let needed = caches.saturating_add(read);
    Ok(arguments.limit.memory().check("generating these texts", needed)?)
}

/// Returns the random sampling that the options ask for if `--greedy` is not given.
fn random_sampling(arguments: &Arguments) -> Sampling {
    let Arguments { temperature, top_k, top_p, seed, .. } = *arguments;
    // A temperature of 0 is greedy, so this one is never used.
    let temperature = if temperature == 0.0 { 1.0 } else { temperature };
    Sampling::Random { temperature, top_k, top_p, seed }
}

/// Checks the options that choose a token. Those that `--greedy` makes useless have valid defaults. Errors
/// name the options.
fn check_sampling(arguments: &Arguments) -> Result<()> {
    let checked = random_sampling(arguments).check(arguments.repetition_penalty);
    checked.map_err(|error| match error {
        Error::Option { option: "temperature", value, .. } => anyhow!(
            "--temperature is {value}, but must be a positive number, or 0 to always choose the most likely token"
        ),
        Error::Option { option, value, reason } => {
            anyhow!("--{} is {value}, {reason}", option.replace('_', "-"))
        }
        error => error.into(),
    })
}

/// Returns the policy by its name, after checks that need no model.
fn checked_policy(policy: &str, arguments: &Arguments, registry: &Registry) -> Result<Policy> {
    let policy = registry.policy(policy)?;
    arguments.budget.check()?;
    if arguments.when() != When::ONCE || arguments.is_conversation() {
        check_repeatable(&policy)?;
    }
    ensure!(
        !policy.needs().contains(Need::Future),
        "{} reads the attention of tokens that are not generated yet: use another policy",
        policy.spec()
    );
    Ok(policy)
}

fn options(arguments: &Arguments, loaded: &LoadedModel) -> Result<GenerationOptions> {
    let sampling = if arguments.is_greedy() { Sampling::Greedy } else { random_sampling(arguments) };
    let mut stop = loaded.config().eos_token_ids.clone();
    if arguments.ignore_eos {
        stop.clear();
    }
    for token in &arguments.stop {
        stop.push(prompts::stop(token, loaded)?);
    }
    let Arguments { max_tokens, repetition_penalty, .. } = *arguments;
    Ok(GenerationOptions { max_tokens, stop, sampling, repetition_penalty })
}

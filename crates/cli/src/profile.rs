//! `bitkv profile`: the attention entropy and the class of every head.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail, ensure};
use bitkv_evict::Registry;
use bitkv_lab::{
    calibration::CALIBRATION_TOKENS,
    memory,
    plan_export::{self, check_needs_only_entropies},
    profile::{Entropies, measure},
    text_use::TextUse,
    window::Window,
};
use bitkv_models::{LoadedModel, suite};
use bitkv_record::{FileHash, Profile, PublishedProfile, PublishedShape, Queries, Split, Text, Thresholds};
use bitkv_report::Table;
use clap::ValueEnum;

use crate::{
    bars::BARS,
    budget,
    first_tokens::{check_length, take},
    input,
    limit::LimitArguments,
    model::ModelArguments,
    output,
    target::{ForceArgument, Target},
};

/// The queries whose entropies are averaged, of a context of n tokens.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum QueryChoice {
    /// The queries n/4, n/2, 3n/4 and n-1, as in the published calibration.
    Published,
    /// Every query except the first.
    All,
}

/// The entropies at which one class of heads ends and the next begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ThresholdChoice {
    /// 0.5, 1.5, 3.0 and 4.0 bits, as in the published code.
    Code,
    /// 0.5, 1.5, 2.5 and 3.5 bits, as in the published text.
    Printed,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Folder of .txt files to measure on [default: the calibration texts of the suite].
    #[arg(long, value_name = "DIR", conflicts_with = "tokens")]
    texts: Option<PathBuf>,
    /// A file with a JSON array of token ids to measure on, instead of texts.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Number of first tokens that are read of each text, or of the file of --tokens [default: 512 of each
    /// text, or as many as the model reads and the shortest text has; all of the file of --tokens].
    #[arg(long)]
    context: Option<NonZeroUsize>,
    /// The queries whose entropies are averaged.
    #[arg(long, alias = "rows", value_enum, default_value_t = QueryChoice::Published)]
    queries: QueryChoice,
    /// The entropies that separate the classes of heads.
    #[arg(long, value_enum, default_value_t = ThresholdChoice::Code)]
    thresholds: ThresholdChoice,
    /// Also write the profile to a JSON file, which other commands read with --profile.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write the profile in the published configuration format.
    #[arg(long, value_name = "FILE")]
    out_published: Option<PathBuf>,
    /// Also write a JSON file for an inference engine, with the number of tokens that every KV head keeps by
    /// this profile.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// The policy that divides the budget in the exported file. It must need only entropies.
    #[arg(long, requires = "export", default_value = "entropy+recency")]
    policy: String,
    /// Fraction of the cache that is kept in the exported file, above 0 and at most 1.
    #[arg(
        long,
        value_name = "FRACTION",
        requires = "export",
        allow_negative_numbers = true,
        default_value_t = 0.25
    )]
    budget: f64,
    #[command(flatten)]
    force: ForceArgument,
    #[command(flatten)]
    limit: LimitArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    let policy = registry.policy(&arguments.policy)?;
    let budget = budget::fraction(arguments.budget)?;
    check_needs_only_entropies(&policy)?;
    let out = Target::of("--out", arguments.out.as_deref(), arguments.force)?;
    let out_published = Target::of("--out-published", arguments.out_published.as_deref(), arguments.force)?;
    let export = Target::of("--export", arguments.export.as_deref(), arguments.force)?;
    let loaded = arguments.model.open()?;
    let (windows, hashes) = windows(arguments, &loaded)?;
    let longest = windows.iter().map(|window| window.tokens.len()).max().unwrap_or(0);
    let needed = memory::kv_bytes(loaded.config(), longest) + loaded.model.activation_bytes(longest) as u64;
    arguments.limit.memory().check("profiling these texts", needed)?;
    let entropies = measure(&loaded, &windows, "entropies", &BARS)?;
    let profile = profile(arguments, &loaded, &entropies, hashes)?;
    if let Some(out) = out {
        profile.write(out.path(), out.existing())?;
    }
    if let Some(out) = out_published {
        published(&loaded, &profile)?.write(out.path(), out.existing())?;
    }
    if let Some(out) = export {
        let plan = plan_export::from_profile(&loaded, &profile, entropies.context, &policy, budget)?;
        plan.write(out.path(), out.existing())?;
    }
    if arguments.json {
        output::text(&(profile.to_json()? + "\n"))
    } else {
        output::tables(&[table(&profile)])
    }
}

/// Returns the token windows to measure on, and the hashes of the files they come from.
fn windows(arguments: &Arguments, loaded: &LoadedModel) -> Result<(Vec<Window>, Vec<FileHash>)> {
    if let Some(path) = &arguments.tokens {
        return Ok((vec![token_window(path, arguments.context, loaded)?], vec![FileHash::from_file(path)?]));
    }
    let texts = match &arguments.texts {
        Some(folder) => input::texts(folder, Split::Calibration)?,
        None => suite::texts()?.only(Split::Calibration),
    };
    let windows = match arguments.context {
        Some(context) => stated_windows(context.get(), texts.all(), loaded)?,
        None => fitting_windows(texts.all(), loaded)?,
    };
    output::notes(&TextUse::notes(&[TextUse::new("profile", &loaded.name, "texts", &windows)]));
    Ok((windows, texts.hashes()))
}

/// Returns the token ids of a file, or the first of them if a context is stated.
fn token_window(path: &Path, context: Option<NonZeroUsize>, loaded: &LoadedModel) -> Result<Window> {
    let name = path.display().to_string();
    let all = input::tokens(path, &loaded.name, loaded.config())?;
    let text_tokens = all.len();
    ensure!(text_tokens >= 2, "{name} holds one token, but entropy needs two or more");
    if let Some(context) = context.filter(|context| context.get() > text_tokens) {
        bail!(
            "{name} has {text_tokens} tokens and --context asks for {context}: give --context {text_tokens}"
        );
    }
    let longest = loaded.config().max_position_embeddings;
    let tokens = take(context, &name, all);
    let remedy = format!(", or give --context N to use its first N tokens, at most {longest}");
    check_length(&name, &tokens, &loaded.name, loaded.config(), &remedy)?;
    Ok(Window { name: "tokens".into(), register: "tokens".into(), tokens, text_tokens })
}

/// Returns the first tokens of each text, as many as --context states.
fn stated_windows(context: usize, texts: &[Text], loaded: &LoadedModel) -> Result<Vec<Window>> {
    ensure!(context >= 2, "--context {context} has no entropy to measure: use 2 tokens or more");
    let positions = loaded.config().max_position_embeddings;
    ensure!(
        context <= positions,
        "--context {context} is more than the {positions} positions of {}: give {positions} or fewer",
        loaded.name
    );
    Ok(Window::all(loaded, &texts.iter().collect::<Vec<_>>(), context)?)
}

/// Returns the first tokens of each text: the usual number, or as many as the model reads and the shortest
/// text has. A note says what limits them.
fn fitting_windows(texts: &[Text], loaded: &LoadedModel) -> Result<Vec<Window>> {
    let mut windows = texts.iter().map(|text| Window::whole(loaded, text)).collect::<Result<Vec<_>, _>>()?;
    let positions = loaded.config().max_position_embeddings;
    let most = CALIBRATION_TOKENS.min(positions);
    let shortest = windows.iter().min_by_key(|window| window.text_tokens);
    let context = shortest.map_or(most, |window| window.text_tokens.min(most));
    if let Some(Window { name, text_tokens, .. }) = shortest.filter(|window| window.text_tokens < most) {
        output::notes(&[format!(
            "{context} tokens are read of each text instead of {most}, because {name} has only {text_tokens} tokens: add \
             to it or leave it out for a longer context"
        )]);
    } else if most < CALIBRATION_TOKENS {
        output::notes(&[format!(
            "{context} tokens are read of each text instead of {CALIBRATION_TOKENS}, because {} has only {positions} \
             positions: {}",
            loaded.name,
            lengths(&windows)
        )]);
    }
    ensure!(context >= 2, "a text has {context} tokens, but entropy needs two or more: use longer texts");
    windows.iter_mut().for_each(|window| window.tokens.truncate(context));
    Ok(windows)
}

/// Returns the names and lengths of the first texts, and the number of the others.
fn lengths(windows: &[Window]) -> String {
    const NAMED: usize = 4;
    let named =
        windows.iter().take(NAMED).map(|window| format!("{} has {}", window.name, window.text_tokens));
    let others = windows.len().saturating_sub(NAMED);
    let more =
        (others > 0).then(|| format!("{others} more texts have {} or more", shortest(&windows[NAMED..])));
    named.chain(more).collect::<Vec<_>>().join(", ")
}

/// Returns the number of tokens of the shortest text.
fn shortest(windows: &[Window]) -> usize {
    windows.iter().map(|window| window.text_tokens).min().unwrap_or(0)
}

fn profile(
    arguments: &Arguments,
    loaded: &LoadedModel,
    entropies: &Entropies,
    texts: Vec<FileHash>,
) -> Result<Profile> {
    let queries = match arguments.queries {
        QueryChoice::Published => Queries::Published,
        QueryChoice::All => Queries::All,
    };
    let thresholds = match arguments.thresholds {
        ThresholdChoice::Code => Thresholds::CODE,
        ThresholdChoice::Printed => Thresholds::PRINTED,
    };
    let context = entropies.context;
    let bits = entropies.by_layer(context, queries);
    let profile = Profile::new(&loaded.name, Some(context), texts, thresholds, &bits)?;
    Ok(profile.with_model_sha256(loaded.content()?))
}

/// Converts a profile to the published format.
fn published(loaded: &LoadedModel, profile: &Profile) -> Result<PublishedProfile> {
    let config = loaded.config();
    let shape = PublishedShape {
        n_head_kv: config.num_key_value_heads,
        n_ctx: config.max_position_embeddings,
        model_info: serde_json::from_str(&config.to_json())?,
    };
    Ok(PublishedProfile::from_profile(profile, shape)?)
}

/// Returns a sentence with the number and the share of the heads below the published bound of 1.5 bits, for
/// both sets of thresholds.
fn focused(bits: &[f64]) -> String {
    let heads = bits.len();
    let below = Thresholds::CODE.count(bits.iter().copied()).sink_or_focused();
    format!("Below 1.5 bits: {below} of {heads} heads ({:.1} %).", 100.0 * below as f64 / heads as f64)
}

/// Returns a table with one row per layer and one column per head. Its notes are a summary and the classes.
fn table(profile: &Profile) -> Table {
    let (summary, layers) = (&profile.summary, profile.entropies());
    let heads = layers.first().map_or(0, Vec::len);
    let titles: String = (0..heads).map(|head| format!("|>head {head}")).collect();
    let caption = format!("{}: mean attention entropy in bits", profile.model);
    let mut table = Table::titled(caption, &format!(">layer{titles}"));
    for (layer, heads) in layers.iter().enumerate() {
        let bits = heads.iter().map(|bits| format!("{bits:.2}"));
        table.push(std::iter::once(layer.to_string()).chain(bits).collect());
    }
    table.note(format!(
        "Over all {} heads: mean {:.3} bits, standard deviation {:.3}, coefficient of variation {:.3}, range {:.3} to \
         {:.3} bits.",
        layers.iter().map(Vec::len).sum::<usize>(),
        summary.mean,
        summary.std,
        summary.cv,
        summary.min,
        summary.max
    ));
    table.note(focused(&layers.concat()));
    let c = &summary.classes;
    table.note(format!(
        "Heads by class, from low to high entropy: {} sink, {} focused, {} moderate, {} mixed, {} diffuse.",
        c.sink, c.focused, c.moderate, c.mixed, c.diffuse
    ));
    table
}

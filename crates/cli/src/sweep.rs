//! `bitkv sweep`: policies at budgets on models, without a definition.

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use bitkv_evict::Registry;
use bitkv_lab::{
    grid::{self, Grid, GridOptions},
    sweep::Sweep,
};
use bitkv_record::{AskedBudget, free_name};

use crate::{bars::BARS, limit::RunLimitArguments, measuring, model::ReadingArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model: a built-in name, a folder, a .gguf file, or `organisation/name[@revision]` on the hub.
    /// Repeat the option for several models.
    #[arg(long, required = true)]
    model: Vec<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// The policies, separated by commas: presets such as `snapkv`, or specifications such as
    /// `uniform+window-attention{window=64,kernel=5}`. The controls are added.
    #[arg(long, required = true, value_name = "SPECS")]
    policies: Vec<String>,
    /// How many times smaller the cache becomes, separated by commas.
    #[arg(long, value_name = "RATIOS", value_delimiter = ',', required_unless_present = "budgets")]
    ratios: Vec<String>,
    /// What is kept of the cache, separated by commas: fractions such as 0.25, `"64 tokens"`, `"32 KiB"`, or
    /// `"ratio 0.8"` for the share that kvpress removes.
    #[arg(long, value_name = "BUDGETS", value_delimiter = ',')]
    budgets: Vec<String>,
    /// Folder of .txt files to measure on [default: the evaluation texts of the suite].
    #[arg(long, value_name = "DIR")]
    texts: Option<PathBuf>,
    /// Retrieval tasks to measure besides the texts, separated by commas, such as recall,passkey.
    #[arg(long, value_name = "TASKS", value_delimiter = ',')]
    tasks: Vec<String>,
    /// Number of tokens of each text that are in the cache when it is compressed [default: 896, or fewer if a
    /// text or the model is shorter].
    #[arg(long)]
    context_tokens: Option<usize>,
    /// Number of tokens that are scored after the context [default: 127, or an eighth of what is read].
    #[arg(long)]
    scored_tokens: Option<usize>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The run folder to write. An unfinished run there resumes; if a finished run is there, a number is
    /// added to the name.
    #[arg(long, value_name = "DIR", default_value = "runs/sweep")]
    out: PathBuf,
    /// Print the definition, estimate its rows, time and memory, and run nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    limit: RunLimitArguments,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    measuring::check_out(&arguments.out)?;
    let loading = arguments.reading.loading();
    let sweep = Sweep {
        models: arguments.model.clone(),
        loading,
        policies: arguments.policies.iter().flat_map(|list| split(list)).collect(),
        budgets: budgets(arguments)?,
        texts: arguments.texts.clone(),
        tasks: arguments.tasks.clone(),
        context_tokens: arguments.context_tokens,
        scored_tokens: arguments.scored_tokens,
        seed: arguments.seed,
    };
    let definition = sweep.definition(registry, &BARS)?;
    let cell_seconds = arguments.limit.cell_seconds()?;
    let options = GridOptions { loading, progress: &BARS, cell_seconds, ..GridOptions::default() };
    let grid = Grid::new(definition, &options, registry)?;
    let show_definition = || match arguments.json {
        true => Ok(()),
        false => output::text(&format!("{}\n", grid.definition.text())),
    };
    if arguments.dry_run {
        show_definition()?;
        return measuring::dry_run(&grid, None, arguments.json);
    }
    grid::check_resources(&grid, &arguments.out, arguments.limit.memory())?;
    let finished = measuring::run(&grid, &free_name(&arguments.out)?)?;
    show_definition()?;
    finished.show(arguments.json)
}

/// Returns the budgets of `--ratios` and `--budgets`.
fn budgets(arguments: &Arguments) -> Result<Vec<AskedBudget>> {
    let ratio = |text: &String| {
        // The x may be left out.
        let times = text.trim();
        let times = times.strip_suffix(['x', 'X']).unwrap_or(times);
        let budget = format!("{times}x").parse::<AskedBudget>().map_err(|_| {
            anyhow!("--ratios {text}: write how many times smaller the cache becomes, such as 4x")
        })?;
        below_full("--ratios", text, budget)
    };
    let budget = |text: &String| {
        let budget = text.parse::<AskedBudget>().map_err(|reason| anyhow!("--budgets: {reason}"))?;
        below_full("--budgets", text, budget)
    };
    arguments.ratios.iter().map(ratio).chain(arguments.budgets.iter().map(budget)).collect()
}

/// Returns a budget unless it is that of the full cache.
fn below_full(option: &str, text: &str, budget: AskedBudget) -> Result<AskedBudget> {
    ensure!(
        budget != AskedBudget::FULL,
        "{option} {text}: the whole cache is always measured, so name smaller ones"
    );
    Ok(budget)
}

/// Splits a list of policies at its commas, except those within braces, brackets and quotes, which belong to
/// a policy.
fn split(list: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0usize, None);
    for c in list.chars() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('{' | '[', None) => depth += 1,
            ('}' | ']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is always a part").push(c);
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn policies_are_split_at_commas_outside_of_options() {
        let list = "snapkv, uniform+x{a=1,b=\"p,q}\"},adaptive+y{c=[1,2]|match},,h2o";
        let expected = ["snapkv", "uniform+x{a=1,b=\"p,q}\"}", "adaptive+y{c=[1,2]|match}", "h2o"];
        assert_eq!(split(list), expected);
        assert_eq!(split(" "), Vec::<String>::new());
    }
}

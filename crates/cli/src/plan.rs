//! `bitkv plan`: the positions that a policy keeps.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use bitkv_evict::{Budget, Need, Observation, Plan, Planner, Policy, Registry};
use bitkv_lab::{context::Context, plan_export, tensors::Tensors};
use bitkv_models::LoadedModel;
use bitkv_report::Table;
use serde_json::json;

use crate::{
    bars::BARS,
    budget::BudgetArguments,
    first_tokens::FirstArgument,
    input::{self, CalibrationArguments},
    model::{ModelArguments, OptionalModel},
    output,
    target::{ForceArgument, Target},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: OptionalModel,
    /// A safetensors file of any model instead of --model and a context. It contains `q.{layer}`,
    /// `k.{layer}`, `v.{layer}` and the other tensors that the policy needs.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tokens", "text", "model", "first"])]
    tensors: Option<PathBuf>,
    /// The context as a file with a JSON array of token ids.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    tokens: Option<PathBuf>,
    /// The context as a text file in UTF-8.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    #[command(flatten)]
    first: FirstArgument,
    /// The policy: ALLOCATOR{options}+SCORER{options}, a rule, or a preset; see `bitkv list policies`.
    #[arg(long)]
    policy: String,
    #[command(flatten)]
    budget: BudgetArguments,
    #[command(flatten)]
    calibration: CalibrationArguments,
    /// Also write a JSON file for an inference engine, with the number of tokens and the positions that every
    /// KV head keeps.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgument,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// A plan, with the model and the budget that it is for.
struct Planned {
    model: String,
    budget: Budget,
    plan: Plan,
    /// The number of KV heads whose plan ends in a tie; `None` if the policy has no scores.
    ties: Option<usize>,
}

impl Planned {
    fn new(model: String, policy: &Policy, observation: &Observation<'_>, budget: Budget) -> Result<Planned> {
        let planner = Planner::new(observation);
        let plan = planner.plan(policy, budget)?;
        let ties = planner.ties(policy, budget)?;
        let ties = ties.map(|heads| heads.into_iter().filter(|ends_in_a_tie| *ends_in_a_tie).count());
        Ok(Planned { model, budget, plan, ties })
    }
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    let policy = registry.policy(&arguments.policy)?;
    arguments.budget.check()?;
    arguments.calibration.check(Some(&policy))?;
    arguments.model.check_reading()?;
    let export = Target::of("--export", arguments.export.as_deref(), arguments.force)?;
    ensure!(
        !policy.needs().contains(Need::Future),
        "{} reads the attention of tokens that come after the context, which a plan does not have: use another policy",
        policy.spec()
    );
    let planned = match (&arguments.tensors, arguments.model.model_arguments()) {
        (Some(path), _) => plan_tensors(arguments, path, &policy)?,
        (None, Some(model)) => plan_model(arguments, &model, &policy)?,
        (None, None) => bail!("there is nothing to plan for: give --model M, or --tensors FILE"),
    };
    let Planned { model, budget, plan, ties } = &planned;
    if let Some(out) = export {
        let export = plan_export::positions(model, &policy, budget.kept_fraction(plan.shape()), plan);
        export.write(out.path(), out.existing())?;
    }
    if arguments.json {
        return output::json(&json!({
            "model": model,
            "policy": policy.spec(),
            "budget": budget.kept_fraction(plan.shape()),
            "tokens": plan.shape().tokens,
            "asked_tokens": plan.asked(),
            "kept_entries": plan.total(),
            "ties": ties,
            "layers": layers(plan),
        }));
    }
    output::tables(&[table(&planned, &policy)])
}

/// Plans for the queries, keys and values of a file.
fn plan_tensors(arguments: &Arguments, path: &Path, policy: &Policy) -> Result<Planned> {
    let tensors = Tensors::open(path)?;
    let needs = policy.needs();
    for need in [Need::Reconstruction, Need::ResidualSimilarity] {
        ensure!(
            !needs.contains(need),
            "{} reads {}, which needs a model: give --model instead of --tensors",
            policy.spec(),
            need.name()
        );
    }
    let calibration = arguments.calibration.files().calibration_for_shape(tensors.shape(), policy)?;
    let observation = tensors.observation(&needs, calibration)?;
    let budget = arguments.budget.for_shape(tensors.shape())?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Planned::new(stem.unwrap_or_default(), policy, &observation.view(), budget)
}

/// Plans for a model and its context.
fn plan_model(arguments: &Arguments, model: &ModelArguments, policy: &Policy) -> Result<Planned> {
    let loaded = model.open()?;
    let tokens = context_tokens(arguments, &loaded)?;
    let calibration = arguments.calibration.files().calibration(&loaded, policy, &BARS)?;
    let context = Context::observe(&loaded, &tokens, &policy.needs(), &calibration)?;
    let budget = arguments.budget.for_shape(context.shape())?;
    Planned::new(loaded.name.clone(), policy, &context.observation().view(), budget)
}

fn context_tokens(arguments: &Arguments, loaded: &LoadedModel) -> Result<Vec<u32>> {
    let (model, config, first) = (&*loaded.name, loaded.config(), arguments.first);
    match (&arguments.tokens, &arguments.text) {
        (Some(path), _) => {
            let tokens = input::tokens(path, model, config)?;
            first.shorten(&path.display().to_string(), tokens, model, config, "")
        }
        (None, Some(path)) => {
            let (tokenizer, text) = (loaded.tokenizer()?, input::text(path)?);
            first.encode(&path.display().to_string(), &text, (tokenizer, model, config), "")
        }
        (None, None) => bail!("there is no context: give --tokens FILE or --text FILE"),
    }
}

/// Returns the kept positions of every KV head, by layer, as JSON.
fn layers(plan: &Plan) -> Vec<serde_json::Value> {
    let shape = plan.shape();
    let head = |layer, head| json!({"kept": plan.kept(layer, head)});
    let layer = |layer| json!({"heads": (0..shape.kv_heads).map(|h| head(layer, h)).collect::<Vec<_>>()});
    (0..shape.layers).map(layer).collect()
}

/// Returns a table with one row per KV head: the number of kept positions and their ranges.
fn table(planned: &Planned, policy: &Policy) -> Table {
    let (plan, shape) = (&planned.plan, planned.plan.shape());
    let caption = format!(
        "{}, {}: {} of {} entries kept ({} asked), {} tokens",
        planned.model,
        policy.spec(),
        plan.total(),
        shape.all_kv_heads() * shape.tokens,
        plan.asked(),
        shape.tokens
    );
    let mut table = Table::titled(caption, ">layer|>KV head|>kept|kept positions");
    if let Some(ties) = planned.ties.filter(|ties| *ties > 0) {
        let (heads, end) = (shape.all_kv_heads(), if ties == 1 { "ends" } else { "end" });
        table.note(format!(
            "{ties} of {heads} KV heads {end} in a tie: the last kept and the first evicted entry have the same score, \
             so which entries are kept is decided by position."
        ));
    }
    for (layer, head) in (0..shape.layers).flat_map(|l| (0..shape.kv_heads).map(move |h| (l, h))) {
        let kept = plan.kept(layer, head);
        table.push(vec![layer.to_string(), head.to_string(), kept.len().to_string(), ranges(kept)]);
    }
    table
}

/// Formats ascending positions as ranges, such as `0-2, 5`.
fn ranges(positions: &[u32]) -> String {
    let runs = positions.chunk_by(|a, b| a + 1 == *b);
    let show = |run: &[u32]| match run {
        [single] => single.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    };
    runs.map(show).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn neighbouring_positions_become_a_range() {
        assert_eq!(super::ranges(&[0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
        assert_eq!(super::ranges(&[]), "");
    }
}

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use bitkv_evict::{Budget, Plan, Policy};
use bitkv_lab::{Subject, context::Context};
use serde_json::json;

use crate::{input, model::ModelArguments, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// A JSON array of token ids: the context.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    tokens: Option<PathBuf>,
    /// A text file: the context.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// ALLOCATOR+SCORER{options} or a rule; see `bitkv list`.
    #[arg(long)]
    policy: String,
    /// Part of the cache kept, above 0 and at most 1.
    #[arg(long, allow_negative_numbers = true)]
    budget: f64,
    /// A profile for policies that need entropies; measured when it is not given.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// One JSON document on standard output.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let policy = Policy::parse(&arguments.policy)?;
    let budget = Budget::fraction(arguments.budget)?;
    ensure!(
        !policy.needs().future,
        "{} looks at the attention of tokens that come after the context, which a plan has not: use another policy",
        policy.spec()
    );
    let subject = arguments.model.open()?;
    let tokens = context_tokens(arguments, &subject)?;
    let entropy = input::entropies(&subject, &policy, arguments.profile.as_deref())?;
    let context = Context::observe(&subject, &tokens, &policy.needs())?;
    let plan = policy.plan(&context.observation(&entropy), budget)?;
    if arguments.json {
        return output::json(&json!({
            "model": subject.name,
            "policy": policy.spec(),
            "budget": arguments.budget,
            "tokens": tokens.len(),
            "asked_tokens": plan.asked(),
            "kept_tokens": plan.total(),
            "layers": layers(&plan),
        }));
    }
    output::text(&table(&plan, &policy, tokens.len()))
}

fn context_tokens(arguments: &Arguments, subject: &Subject) -> Result<Vec<u32>> {
    match (&arguments.tokens, &arguments.text) {
        (Some(path), _) => input::tokens(path, subject),
        (None, Some(path)) => Ok(subject.tokenizer()?.encode(&input::text(path)?, true)?),
        (None, None) => bail!("there is no context: give --tokens FILE or --text FILE"),
    }
}

fn layers(plan: &Plan) -> Vec<serde_json::Value> {
    let shape = plan.shape();
    let head = |layer, head| json!({"kept": plan.kept(layer, head)});
    let layer = |layer| json!({"heads": (0..shape.kv_heads).map(|h| head(layer, h)).collect::<Vec<_>>()});
    (0..shape.layers).map(layer).collect()
}

/// A line a head: how many positions, and which, as ranges.
fn table(plan: &Plan, policy: &Policy, tokens: usize) -> String {
    let shape = plan.shape();
    let mut text = format!(
        "{}: {} of {} entries kept ({} asked), {tokens} tokens\nlayer head  kept  positions\n",
        policy.spec(),
        plan.total(),
        shape.layers * shape.kv_heads * shape.tokens,
        plan.asked()
    );
    for (layer, head) in (0..shape.layers).flat_map(|l| (0..shape.kv_heads).map(move |h| (l, h))) {
        let kept = plan.kept(layer, head);
        text += &format!("{layer:>5} {head:>4} {:>5}  {}\n", kept.len(), ranges(kept));
    }
    text
}

fn ranges(positions: &[u32]) -> String {
    let runs = positions.chunk_by(|a, b| a + 1 == *b);
    let show = |run: &[u32]| match run {
        [one] => one.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    };
    runs.map(show).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn neighbours_are_joined() {
        assert_eq!(super::ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(super::ranges(&[]), "");
    }
}

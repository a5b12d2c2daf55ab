//! Writes the budgets of the chosen policy for an inference engine.

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_evict::{Budget, Policy, Registry};
use bitkv_lab::{calibration::HeadFiles, context::Context, plan_export};
use bitkv_models::Shape;
use bitkv_record::{PlanExport, PolicyText, ShareExport};
use bitkv_report::advice::Answer;

use super::{Answered, Arguments};
use crate::{bars::BARS, input, model::ModelArguments, output, target::Target};

/// Writes the number of tokens that every KV head keeps.
///
/// # Errors
/// When there is no choice, or when the policy divides its budget by what it observes and no text or no
/// weights are there.
pub(super) fn write(
    out: Target<'_>,
    arguments: &Arguments,
    registry: &Registry,
    shape: &Shape,
    answered: &Answered<'_>,
) -> Result<()> {
    let (policy, part) = match (&answered.advice.answer, answered.advice.kept()) {
        (Answer::Fits, _) => ("full", 1.0),
        (_, Some(candidate)) => (candidate.cell.policy.as_str(), candidate.cell.budget),
        _ => bail!(
            "--export {} has nothing to write, because no measured cache meets the limits: give larger limits, or \
             leave it out",
            out.path().display()
        ),
    };
    let policy = registry.policy(policy)?;
    let budget = Budget::fraction(part)?;
    let is_uniform = is_uniform(&policy);
    if is_uniform && arguments.text.is_some() {
        let note =
            format!("{} keeps the same number of tokens in every KV head: --text is not read", policy.spec());
        output::notes(&[note]);
    }
    let export = match is_uniform {
        true => uniform(shape, arguments.context, &policy, budget),
        false => observed(arguments, &policy, budget)?,
    };
    Ok(export.write(out.path(), out.existing())?)
}

/// Whether every KV head gets the same number of tokens of any text.
fn is_uniform(policy: &Policy) -> bool {
    let parts = PolicyText::new(policy.spec()).parts;
    matches!(&parts[..], [allocator, ..] if allocator.options.is_empty() && ["full", "uniform"].contains(&allocator.name.as_str()))
}

/// Returns equal budgets, which follow from the shape of the model.
fn uniform(shape: &Shape, context: usize, policy: &Policy, budget: Budget) -> PlanExport {
    let config = &shape.config;
    let cache = bitkv_evict::Shape {
        layers: config.num_hidden_layers,
        query_heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        tokens: context,
        head_dim: config.head_dim,
    };
    let share = |i: usize| ShareExport {
        layer: i / cache.kv_heads,
        kv_head: i % cache.kv_heads,
        budget: budget.per_head(cache),
        kept: Vec::new(),
    };
    PlanExport {
        model: shape.name.clone(),
        policy: policy.explicit_spec().to_owned(),
        budget: budget.kept_fraction(cache),
        tokens: cache.tokens,
        n_layer: cache.layers,
        n_head: cache.query_heads,
        n_head_kv: cache.kv_heads,
        heads: (0..cache.all_kv_heads()).map(share).collect(),
    }
}

/// Returns the budgets that the policy plans for the first tokens of `--text`.
fn observed(arguments: &Arguments, policy: &Policy, budget: Budget) -> Result<PlanExport> {
    let spec = policy.spec();
    let Some(text) = &arguments.text else {
        bail!(
            "--export needs --text FILE, because {spec} divides its budget by what it observes: give a typical text"
        );
    };
    let content = input::text(text)?;
    let model = ModelArguments { model: arguments.model.clone(), reading: arguments.reading.clone() };
    let loaded = model.open().with_context(|| {
        format!(
            "--export needs the weights of {}, because {spec} divides its budget by what it observes",
            model.model
        )
    })?;
    let (mut tokens, _) = loaded.tokenizer()?.encode_beginning(&content, arguments.context)?;
    let (found, context) = (tokens.len(), arguments.context);
    ensure!(
        found >= context,
        "{} has {found} tokens, and --context {context} needs as many: give a longer text",
        text.display()
    );
    let longest = loaded.config().max_position_embeddings;
    ensure!(
        context <= longest,
        "--context {context} is more than the {longest} positions of {}: give fewer tokens",
        loaded.name
    );
    tokens.truncate(context);
    let calibration = HeadFiles::default().calibration(&loaded, policy, &BARS)?;
    let context = Context::observe(&loaded, &tokens, &policy.needs(), &calibration)?;
    let plan = policy.plan(&context.observation().view(), budget)?;
    Ok(plan_export::budgets(&loaded.name, policy, budget.kept_fraction(plan.shape()), &plan))
}

//! One cell of a grid: a policy at a budget on one context.

use anyhow::{Context as _, Result};
use bitkv_evict::{Budget, Plan, Planner, Policy};
use bitkv_record::{CellRow, Task};

use crate::{
    context::Context,
    metrics::{self, Reference},
    recall::Recall,
};

/// What a cell is scored on.
#[derive(Clone, Copy, Debug)]
pub enum Scored<'a> {
    /// The tokens that really follow, one after each token of the continuation, and their size in bytes.
    Text {
        /// Target tokens.
        targets: &'a [u32],
        /// UTF-8 bytes of the targets.
        bytes: usize,
    },
    /// Questions about the context.
    Recall(&'a Recall),
}

/// What rows repeat: which model and which text.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// Name of the text.
    pub text: &'a str,
    /// Its register.
    pub register: &'a str,
}

/// Plans by the evidence of the context, cuts the cache, continues and scores.
///
/// # Errors
/// When the policy cannot plan or the model cannot continue.
pub fn measure(
    label: Label<'_>,
    context: &Context<'_>,
    planner: &Planner<'_>,
    policy: &Policy,
    budget: f64,
    scored: Scored<'_>,
) -> Result<CellRow> {
    let plan = planner.plan(policy, Budget::fraction(budget)?)?;
    let continued = context.continue_with(&plan)?;
    let damaged = || {
        let (model, policy, text) = (label.model, policy.spec(), label.text);
        format!(
            "{model} gives logits that are not finite after {policy} at budget {budget} on {text}: its weights are damaged"
        )
    };
    let shape = context.shape();
    let heads = shape.layers * shape.kv_heads;
    let mut row = CellRow {
        model: label.model.into(),
        policy: policy.spec().to_owned(),
        oracle: policy.is_oracle(),
        conserving: policy.conserves(),
        budget,
        text: label.text.into(),
        register: label.register.into(),
        task: Task::Text,
        context_tokens: shape.tokens,
        asked_tokens: Budget::fraction(budget)?.total(shape),
        kept_tokens: plan.total(),
        full_tokens: heads * shape.tokens,
        cache_bytes: continued.bytes,
        full_bytes: context.full_bytes(),
        attention_preservation: None,
        retained_mass: None,
        kl_nats: None,
        agreement: None,
        nll_nats: None,
        targets: 0,
        bytes_scored: None,
        correct: None,
        questions: 0,
    };
    match scored {
        Scored::Text { targets, bytes } => {
            (row.attention_preservation, row.retained_mass) = preservation(context, &plan);
            let reference = Reference::of(context.reference(), targets);
            let compared = reference.compare(&[continued.logits.values()])[0].with_context(damaged)?;
            row.kl_nats = Some(compared.kl);
            row.agreement = Some(compared.agreement);
            row.nll_nats = Some(compared.nll);
            row.targets = targets.len();
            row.bytes_scored = Some(bytes);
        }
        Scored::Recall(recall) => {
            row.task = Task::Recall;
            let finite = continued.logits.values().iter().all(|z| z.is_finite());
            row.correct =
                Some(finite.then(|| recall.correct(&continued.predictions())).with_context(damaged)?);
            row.questions = recall.count();
        }
    }
    Ok(row)
}

/// The published metric and the mass behind it: means over layers and query heads, on the last query's row.
fn preservation(context: &Context<'_>, plan: &Plan) -> (Option<f64>, Option<f64>) {
    let (shape, rows) = (context.shape(), context.last_rows());
    let kept: Vec<&[u32]> =
        (0..rows.len()).map(|i| plan.query_kept(i / shape.query_heads, i % shape.query_heads)).collect();
    if rows.is_empty() {
        return (None, None);
    }
    (Some(metrics::attention_cosine(rows, &kept)), Some(metrics::retained_mass(rows, &kept)))
}

//! One cell of a grid: a policy at a budget on one context.

use anyhow::{Result, ensure};
use bitkv_evict::{Budget, Plan, Planner, Policy};
use bitkv_record::{CellRow, Task};
use bitkv_stats::{argmax, attention_preservation, kl_from_logits, nll_from_logits, retained_mass};

use crate::{
    context::{Context, Continued},
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
    ensure!(
        continued.logits.iter().flatten().all(|z| z.is_finite()),
        "{} gives logits that are not finite after {} at budget {budget} on {}: its weights are damaged",
        label.model,
        policy.spec(),
        label.text
    );
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
            row.kl_nats = Some(mean_kl(context.reference(), &continued));
            row.agreement = Some(agreement(context.reference(), &continued));
            row.nll_nats = Some(mean_nll(&continued, targets));
            row.targets = targets.len();
            row.bytes_scored = Some(bytes);
        }
        Scored::Recall(recall) => {
            row.task = Task::Recall;
            row.correct = Some(recall.correct(&continued.predictions()));
            row.questions = recall.count();
        }
    }
    Ok(row)
}

fn mean_kl(reference: &[Vec<f32>], continued: &Continued) -> f64 {
    let each = reference.iter().zip(&continued.logits).map(|(full, cut)| kl_from_logits(full, cut));
    each.sum::<f64>() / reference.len() as f64
}

fn agreement(reference: &[Vec<f32>], continued: &Continued) -> f64 {
    let same = reference.iter().zip(&continued.logits).filter(|(full, cut)| argmax(full) == argmax(cut));
    same.count() as f64 / reference.len() as f64
}

fn mean_nll(continued: &Continued, targets: &[u32]) -> f64 {
    let each =
        continued.logits.iter().zip(targets).map(|(row, &target)| nll_from_logits(row, target as usize));
    each.sum::<f64>() / targets.len() as f64
}

/// The published metric and the mass behind it: means over layers and query heads, on the last query's row.
fn preservation(context: &Context<'_>, plan: &Plan) -> (Option<f64>, Option<f64>) {
    let shape = context.shape();
    let rows = context.last_rows();
    let of_head = |i: usize| (&rows[i], plan.query_kept(i / shape.query_heads, i % shape.query_heads));
    let mean = |value: fn(&[f32], &[u32]) -> f64| {
        (!rows.is_empty()).then(|| {
            let each = (0..rows.len()).map(of_head).map(|(row, kept)| value(row, kept));
            each.sum::<f64>() / rows.len() as f64
        })
    };
    (mean(attention_preservation), mean(retained_mass))
}

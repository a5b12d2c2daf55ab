//! Does a plain Llama order policies as the model does?

use crate::cells::{Cell, MODELS, Run};
use crate::finding::Finding;
use crate::results::newest_or;
use crate::sentence::{Check, Sentence, range};
use bitkv_record::Form;
use bitkv_stats::spearman;

const BUDGETS: [&str; 3] = ["0.5", "0.2", "0.1"];
const POLICIES: [&str; 12] = [
    "entropy-proportional",
    "entropy-global",
    "entropy-inverted",
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+window-attention",
    "uniform+key-norm",
    "uniform+key-diff",
    "entropy+window-attention",
    "adaptive+window-attention",
    "uniform+random",
    "uniform+oracle",
];

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    Finding { title: "The plain Llama", sentences: sentences(), tables: Vec::new() }
}

fn sentences() -> Vec<Sentence> {
    let run = &Run::read(&newest_or("plain-llama-policies", "skeleton-policies"));
    let compared = MODELS.map(|model| BUDGETS.map(|budget| orders(run, model, budget)));
    let correlations = compared.map(|budgets| range(&budgets.map(|(correlation, _)| correlation)));
    let changes = compared.as_flattened().iter().map(|(_, changes)| *changes);
    let (least, most) = (changes.clone().min().unwrap(), changes.max().unwrap());
    let number = |value: f64| format!("{value:.2}");
    vec![Sentence::new(
        "At budgets of {} to {} the plain Llama orders policies differently: the rank correlation of their \
         mean KL is {} to {} ({}) and {} to {} ({}), and {} to {} of {} neighbours change places.",
        &[
            &BUDGETS[0],
            &BUDGETS[2],
            &number(correlations[0].0),
            &number(correlations[0].1),
            &MODELS[0],
            &number(correlations[1].0),
            &number(correlations[1].1),
            &MODELS[1],
            &least,
            &most,
            &(POLICIES.len() - 1),
        ],
        [Check::new(least > 0, "at one budget no neighbours change places")],
    )]
}

/// Returns the rank correlation of the policies' mean KL in both forms, and the number of neighbours of the
/// true form's order that have the opposite order in the plain Llama.
fn orders(run: &Run, model: &str, budget: &str) -> (f64, usize) {
    let kl = |policy: &str, form| run.kl(&Cell::new(model, policy, budget).form(form));
    let mut found = POLICIES.map(|policy| (kl(policy, Form::True), kl(policy, Form::PlainLlama)));
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let changes = found.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
    (spearman(&found.map(|(own, _)| own), &found.map(|(_, plain)| plain)).unwrap(), changes)
}

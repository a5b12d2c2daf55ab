//! What a reader must not conclude from a report.

use crate::compression::FULL;
use crate::document::Block;
use crate::{Input, unique};
use bitkv_record::Task;

pub(crate) const ATTENTION: &str = "Attention preservation compares single attention rows of an unperturbed model. A \
head with one dominant key scores close to 100 % whatever else it loses, so quality is to be read from KL, NLL and recall.";

pub(crate) const TEACHER_FORCED: &str = "KL, agreement and NLL are teacher-forced: each target sees the true text before \
it, which hides the drift of free generation.";

pub(crate) const DIRTY: &str =
    "The program was built from sources with uncommitted changes: the revision does not fix it.";

/// Limits that follow from what was, and was not, measured in this run.
pub(crate) fn limits(input: &Input<'_>) -> Vec<Block> {
    let mut list = Vec::new();
    let models = input.verification.models.join(", ");
    list.push(format!(
        "The numbers are those of {models}; they say nothing about models that were not measured."
    ));
    list.extend(texts(input));
    if input.cells.iter().any(|cell| cell.attention_preservation.is_some()) {
        list.push(ATTENTION.to_owned());
    }
    if input.cells.iter().any(|cell| cell.kl_nats.is_some()) {
        list.push(TEACHER_FORCED.to_owned());
    }
    if input.cells.iter().any(|cell| cell.oracle) {
        list.push(
            "Oracle scorers, marked †, use the attention of tokens that come after the cut: a reference, not a method. The \
             published rules marked † select by the last query's own row, the row that attention preservation is then \
             computed on; for KL, agreement and recall that is a selection any cache could make."
                .to_owned(),
        );
        list.push(
            "Published rules choose budgets and tokens once, after the prompt. Their authors chose them anew for every \
             query, by masks or offline, and measured no cache that was cut."
                .to_owned(),
        );
    }
    if input.cells.iter().any(|cell| cell.kept_tokens < cell.full_tokens) {
        list.push(
            "Tokens scored after the cut stay in the cache beside what was kept, so late ones attend to a larger part \
             than the compression says. Protected tokens (first 4, last 8) are part of every budget but the published rules' \
             and plain random choice's."
                .to_owned(),
        );
    }
    list.extend(recall_floor(input));
    let untested =
        input.verification.claims.iter().flat_map(|claim| &claim.statements).filter(|s| s.holds.is_none());
    match untested.count() {
        0 => {}
        1 => list.push("One published statement was not tested in this run.".to_owned()),
        n => list.push(format!("{n} published statements were not tested in this run.")),
    }
    if input.manifest.dirty {
        list.push(DIRTY.to_owned());
    }
    vec![Block::Heading(2, "Limits".to_owned()), Block::List(list)]
}

/// Said when even the full cache answers hardly any recall question.
fn recall_floor(input: &Input<'_>) -> Option<String> {
    let cells = || input.cells.iter().filter(|cell| cell.policy == FULL && cell.correct.is_some());
    let weak = |model: &&str| {
        let of = || cells().filter(|cell| cell.model == *model);
        let questions: usize = of().map(|cell| cell.questions).sum();
        of().filter_map(|cell| cell.correct).sum::<usize>() * 10 < questions
    };
    let models: Vec<&str> =
        unique(cells().map(|cell| cell.model.as_str())).into_iter().filter(weak).collect();
    (!models.is_empty()).then(|| {
        format!(
            "Even with the full cache fewer than one recall question in ten is answered by {}: there recall says nothing \
             about policies.",
            models.join(", ")
        )
    })
}

fn texts(input: &Input<'_>) -> Option<String> {
    let cells = || input.cells.iter().filter(|cell| cell.task == Task::Text);
    let n = unique(cells().map(|cell| cell.text.as_str())).len();
    let shortest = cells().map(|cell| cell.context_tokens).min()?;
    let longest = cells().map(|cell| cell.context_tokens).max()?;
    let context = if shortest == longest { longest.to_string() } else { format!("{shortest} to {longest}") };
    let few = if n < 10 { "; with so few, bootstrap intervals are too narrow" } else { "" };
    Some(format!(
        "Quality was measured on {n} texts with {context} tokens of context{few}. Intervals are over these texts and hold for texts \
         like them; they are not corrected for the number of comparisons."
    ))
}

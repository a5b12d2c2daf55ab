//! What the rows do not say, and the commands that measure it.

use super::{Answer, Certificate, LEVEL, NotMet, sentences::Question};
use crate::escape;
use crate::format::percent;
use bitkv_record::ScoredTask;
use bitkv_stats::values_for_level;

/// The longest context in tokens that every text of the suite fills and leaves tokens to score.
const SUITE_CONTEXT: usize = 896;

/// Something that was not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, as a sentence.
    pub what: String,
    /// The command that measures it.
    pub command: String,
}

/// The user's model, for a command that measures it.
#[derive(Debug, Clone, Copy)]
pub struct MeasurableModel<'a> {
    /// The model as `--model` takes it.
    pub argument: &'a str,
    /// Whether the rows are its own.
    pub is_measured: bool,
    /// The number of tokens that it reads.
    pub longest: usize,
}

/// Returns what the rows do not say, with the commands that measure it. `certificate` is that of the cell to
/// deploy, if there is one.
pub fn missing(
    question: &Question<'_>,
    model: MeasurableModel<'_>,
    answer: &Answer<'_>,
    certificate: Option<&Certificate>,
) -> Vec<Missing> {
    let measured = question.measured;
    let mut whats = Vec::new();
    let mut tasks: Vec<ScoredTask> = question.limits.losses.iter().map(|limit| limit.task).collect();
    tasks.dedup();
    if !model.is_measured {
        whats.push(format!("{} was not measured.", question.model));
    }
    match answer {
        Answer::NoRows => whats.push("No cache was measured on texts.".to_owned()),
        Answer::NotMet(NotMet::Memory(smallest)) if question.can_fit() => {
            let least = percent(smallest.cell.kept);
            whats.push(format!("Caches that keep less than {least} % of the entries were not measured."));
        }
        Answer::NoAnswers(task) => whats.push(format!("The loss of answers to {task} was not measured.")),
        _ => {}
    }
    if measured.context != question.context && measured.context > 0 {
        let [measured, asked] = [measured.context, question.context];
        whats.push(format!("The rows have {measured} tokens in the cache, not {asked}."));
    }
    let texts = certificate.map(|certificate| certificate.texts);
    let needed = values_for_level(LEVEL);
    let few = texts.filter(|texts| *texts < needed);
    if let Some(texts) = few {
        whats.push(format!("A bound at 95 % needs {needed} texts that certify, not {texts}; every second text of a sweep does."));
    }
    let ratios = if matches!(answer, Answer::NotMet(NotMet::Memory(_))) { "16x,32x" } else { "2x,4x,8x" };
    let command = commands(question, model, &tasks, ratios, few.is_some());
    whats.into_iter().map(|what| Missing { what, command: command.clone() }).collect()
}

/// Returns the commands that measure a model at the context of the question, with caches that are as many
/// times smaller as `ratios` says, and then ask again.
fn commands(
    question: &Question<'_>,
    model: MeasurableModel<'_>,
    tasks: &[ScoredTask],
    ratios: &str,
    own_texts: bool,
) -> String {
    let argument = escape::shell(model.argument);
    // The last of the tokens that a model reads are scored.
    let context = question.context.min(model.longest.saturating_sub(128).max(1));
    let mut sweep = format!(
        "bitkv sweep --model {argument} --policies snapkv,uniform+kvzip --ratios {ratios} --context-tokens {context}"
    );
    if own_texts || context > SUITE_CONTEXT {
        sweep += " --texts DIR";
    }
    // A second run gets another folder, because runs are not replaced.
    let out = if own_texts { "runs/advise-texts" } else { "runs/advise" };
    if !tasks.is_empty() {
        let tasks: Vec<String> = tasks.iter().map(|task| task.kind.to_string()).collect();
        sweep += &format!(" --tasks {}", tasks.join(","));
    }
    format!(
        "{sweep} --out {out} && bitkv advise --model {argument} --context {} --from {out}",
        question.context
    )
}

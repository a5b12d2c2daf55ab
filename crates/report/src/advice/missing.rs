//! What the rows do not say, and the commands that measure it.

use super::{
    Answer, Certificate, LEVEL, Limits, NotMet,
    sentences::{Question, counted_tokens},
};
use crate::escape;
use crate::format::percent;
use bitkv_record::{AskedBudget, ScoredTask};
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
    /// The options that say how the model is read, each after a space.
    pub reading: &'a str,
    /// A run folder that does not exist yet.
    pub out: &'a str,
}

/// What the commands do not measure.
pub const FORMAT_NOTE: &str = "A sweep measures caches in f16. For int8 and int4, copy experiments/advise.toml, \
    replace its models and texts, and run it with `bitkv run`.";

/// Returns what the rows do not say, with the commands that measure it. `certificate` is that of the cell to
/// deploy, if there is one.
pub fn missing(
    question: &Question<'_>,
    model: MeasurableModel<'_>,
    answer: &Answer<'_>,
    certificate: Option<&Certificate>,
) -> Vec<Missing> {
    let mut whats = Vec::new();
    let mut tasks: Vec<ScoredTask> = question.limits.losses.iter().map(|limit| limit.task).collect();
    tasks.dedup();
    if !question.is_own {
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
    whats.extend(other_contexts(question, &tasks));
    let texts = certificate.map(|certificate| certificate.texts);
    let needed = values_for_level(LEVEL);
    let few = texts.filter(|texts| *texts < needed);
    if let Some(texts) = few {
        whats.push(format!(
            "A bound at {} % needs {needed} texts that certify, not {texts}. A sweep needs {} texts, because every second \
             one chooses.",
            100.0 * LEVEL,
            2 * needed
        ));
    }
    let ratios = if matches!(answer, Answer::NotMet(NotMet::Memory(_))) { "16x,32x" } else { "2x,4x,8x" };
    let command = commands(question, model, &tasks, ratios, few.is_some());
    whats.into_iter().map(|what| Missing { what, command: command.clone() }).collect()
}

/// Returns the sentences about texts and limited tasks whose rows have another context length than the
/// question.
fn other_contexts(question: &Question<'_>, tasks: &[ScoredTask]) -> Vec<String> {
    let asked = question.context;
    let texts = question.measured.context;
    let mut sentences = Vec::new();
    if texts != asked && texts > 0 {
        sentences.push(format!("The rows have {} in the cache, not {asked}.", counted_tokens(texts)));
    }
    let full = question.measured.reference();
    let scores = tasks.iter().filter_map(|task| full?.choosing.task(*task));
    sentences.extend(scores.filter(|scores| scores.tokens != asked).map(|scores| {
        format!("The contexts of {} have {}, not {asked}.", scores.task, counted_tokens(scores.tokens))
    }));
    sentences
}

/// Returns the commands that measure a model at the context of the question, with caches that are as many
/// times smaller as `ratios` says, and then ask the same question again.
fn commands(
    question: &Question<'_>,
    model: MeasurableModel<'_>,
    tasks: &[ScoredTask],
    ratios: &str,
    own_texts: bool,
) -> String {
    let (argument, out) = (escape::shell(model.argument), escape::shell(model.out));
    let argument = format!("{argument}{}", model.reading);
    // The last of the tokens that a model reads are scored.
    let context = question.context.min(question.positions.saturating_sub(128).max(1));
    let mut sweep = format!(
        "bitkv sweep --model {argument} --policies snapkv,uniform+kvzip --ratios {ratios} --context-tokens {context}"
    );
    if own_texts || context > SUITE_CONTEXT {
        sweep += " --texts DIR";
    }
    if !tasks.is_empty() {
        let tasks: Vec<String> = tasks.iter().map(|task| task.kind.to_string()).collect();
        sweep += &format!(" --tasks {}", tasks.join(","));
    }
    let limits = limit_options(question.limits);
    format!(
        "{sweep} --out {out} && bitkv advise --model {argument} --context {}{limits} --from {out}",
        question.context
    )
}

/// Returns the options that give the limits, each after a space.
fn limit_options(limits: &Limits) -> String {
    let bytes = |bytes: u64| AskedBudget::Bytes(bytes).to_string().replace(' ', "");
    let memory = limits.cache_bytes.map(|limit| format!(" --memory {}", bytes(limit)));
    let total = limits.total_bytes.map(|limit| format!(" --total-memory {}", bytes(limit)));
    let kl = limits.kl.map(|limit| format!(" --max-kl {limit}"));
    let losses = limits.losses.iter().map(|limit| format!(" --max-loss {}={}", limit.task, limit.share));
    [memory, total, kl].into_iter().flatten().chain(losses).collect()
}

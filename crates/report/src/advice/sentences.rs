//! Says advice in sentences.

use super::{
    Advice, Answer, Attention, Candidate, Certificate, LEVEL, Limits, MeasuredModel, Memory, NotMet,
};
use crate::escape;
use crate::format::{megabytes, percent, significant};
use bitkv_record::ScoredTask;
use bitkv_stats::{attainable_level, values_for_level};

/// The largest share of lost answers that the answer does not mention.
const MENTIONED_LOSS: f64 = 0.05;

/// The question that advice answers.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The name of the user's model.
    pub model: &'a str,
    /// The tokens in the cache.
    pub context: usize,
    /// The number of tokens that the model reads.
    pub positions: usize,
    /// The bytes of the model at this context.
    pub memory: &'a Memory,
    /// The limits.
    pub limits: &'a Limits,
    /// The rows that decide.
    pub measured: &'a MeasuredModel,
    /// Whether the rows are those of the user's model.
    pub is_own: bool,
}

impl Question<'_> {
    /// Returns what the texts that choose are called.
    pub fn choosing_texts(&self) -> &'static str {
        if self.measured.has_calibration { "calibration" } else { "choosing" }
    }

    /// Returns whether weights and activations leave room for a cache.
    pub fn can_fit(&self) -> bool {
        self.limits.total_bytes.is_none_or(|limit| self.memory.total(0) < limit)
    }

    /// Returns at how many tokens the texts of the rows were measured, as a part of a sentence; nothing if
    /// they have the user's context length.
    fn at_measured(&self) -> String {
        self.at(self.measured.context)
    }

    /// Returns `tokens` as a part of a sentence; nothing if they are the user's context length.
    fn at(&self, tokens: usize) -> String {
        if tokens == self.context { String::new() } else { format!(" at {}", counted_tokens(tokens)) }
    }

    /// Returns what the texts that certify are called.
    pub fn certifying_texts(&self) -> &'static str {
        if self.measured.has_calibration { "evaluation" } else { "other" }
    }
}

/// Returns the answer as one or more sentences.
pub fn answer(question: &Question<'_>, advice: &Advice<'_>) -> String {
    match &advice.answer {
        Answer::Fits => fits(question),
        Answer::Keep(candidate) => keep(question, candidate),
        Answer::NotMet(reason) => not_met(question, reason),
        Answer::NoRows => {
            format!(
                "Not measured: the rows of {} have no texts with a cache that can be deployed.",
                question.measured.model
            )
        }
        Answer::NoAnswers(task) => format!(
            "Not measured: the rows of {} do not say how many answers to {task} are lost, because the task was not \
             measured or the full cache has no right answer.",
            question.measured.model
        ),
    }
}

/// Returns what the cell keeps, such as `25 % with snapkv in int8`.
pub fn described(candidate: &Candidate<'_>) -> String {
    let cell = candidate.cell;
    match cell.policy.as_str() {
        super::measured::FULL => format!("the full cache in {}", cell.kv),
        policy if cell.kept != cell.budget => format!(
            "{} % of the cache with {policy} in {}, which is what it keeps when {} % is asked for",
            part(cell.kept),
            cell.kv,
            part(cell.budget)
        ),
        policy => format!("{} % of the cache with {policy} in {}", part(cell.kept), cell.kv),
    }
}

/// Returns a number of things with an adjective, such as `1 other text` or `22 evaluation texts`.
fn counted(number: usize, adjective: &str, noun: &str) -> String {
    format!("{number} {adjective} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns a number of tokens, such as `1 token`.
pub(super) fn counted_tokens(number: usize) -> String {
    format!("{number} token{}", if number == 1 { "" } else { "s" })
}

/// Formats a fraction as a percentage without needless decimals.
fn part(fraction: f64) -> String {
    percent(fraction).trim_end_matches(".0").to_owned()
}

fn fits(question: &Question<'_>) -> String {
    let Question { model, memory, limits, .. } = question;
    let (cache, context) = (megabytes(memory.full_cache as f64), counted_tokens(question.context));
    if !limits.has_memory() {
        return format!(
            "The full cache of {context} of {model} takes {cache} MB in f16, which is {} % of weights, \
             activations and cache together. Nothing limits it, so nothing has to be evicted.",
            part(memory.full_cache as f64 / memory.peak() as f64)
        );
    }
    let within = [
        limits.cache_bytes.map(|limit| format!("--memory allows {} MB", megabytes(limit as f64))),
        limits.total_bytes.map(|limit| {
            let [peak, limit] = [memory.peak(), limit].map(|bytes| megabytes(bytes as f64));
            format!("the peak of {peak} MB is within the {limit} MB of --total-memory")
        }),
    ];
    let within: Vec<String> = within.into_iter().flatten().collect();
    format!(
        "The full cache fits as it is: {context} of {model} {} {cache} MB in f16, and {}.",
        if question.context == 1 { "takes" } else { "take" },
        within.join(", and ")
    )
}

fn keep(question: &Question<'_>, candidate: &Candidate<'_>) -> String {
    let Question { memory, limits, .. } = question;
    let kept = kept_cache(question, candidate);
    let peak = candidate.peak(memory);
    if limits.allow_peak(peak) {
        return kept;
    }
    let [peak, limit] = [peak, limits.total_bytes.unwrap_or(0)].map(|bytes| megabytes(bytes as f64));
    format!(
        "The peak does not fit: the cache is whole while the prompt is read, which takes {peak} MB, and --total-memory \
         allows {limit} MB. Only the state after the prompt would fit. {kept}"
    )
}

/// Returns what the cell keeps and what that costs.
fn kept_cache(question: &Question<'_>, candidate: &Candidate<'_>) -> String {
    let Question { memory, measured, .. } = question;
    let [cache, full] = [candidate.cache_bytes, memory.full_cache].map(|bytes| megabytes(bytes as f64));
    if candidate.cell.is_reference() {
        return format!(
            "Of the measured caches, only the full cache in f16 meets the limits on quality: it takes {full} MB."
        );
    }
    let mut text = format!(
        "Keep {}: the cache takes {cache} MB instead of {full} MB, and the mean KL of {} on the {} texts{} is {} nats",
        described(candidate),
        measured.model,
        question.choosing_texts(),
        question.at_measured(),
        significant(candidate.kl(), 3)
    );
    for (task, share) in lost_answers(question, candidate) {
        let tokens = candidate.cell.choosing.task(task).map_or(0, |scores| scores.tokens);
        text +=
            &format!("; {} % of the right answers to {task} are lost{}", percent(share), question.at(tokens));
    }
    text + "."
}

/// Returns the tasks that lose a larger share of the right answers than [`MENTIONED_LOSS`], with that share.
fn lost_answers(question: &Question<'_>, candidate: &Candidate<'_>) -> Vec<(ScoredTask, f64)> {
    let Some(full) = question.measured.reference() else { return Vec::new() };
    let quality = &candidate.cell.choosing;
    let lost = |task| quality.loss(task, &full.choosing).map(|share| (task, share));
    let all = quality.tasks.iter().filter_map(|scores| lost(scores.task));
    all.filter(|(_, share)| *share > MENTIONED_LOSS).collect()
}

fn not_met(question: &Question<'_>, reason: &NotMet<'_>) -> String {
    let Question { model, memory, limits, .. } = question;
    let which = if limits.has_memory() { "No measured cache that fits" } else { "No measured cache" };
    match reason {
        NotMet::Memory(_) if !question.can_fit() => format!(
            "The limit cannot be met: the weights and activations of {model} alone take {} MB, and \
             --total-memory allows {} MB.",
            megabytes(memory.total(0) as f64),
            megabytes(limits.total_bytes.unwrap_or(0) as f64)
        ),
        NotMet::Memory(smallest) => {
            let limit = match (limits.cache_bytes, limits.total_bytes) {
                (Some(limit), _) if smallest.cache_bytes > limit => {
                    format!("the {} MB of --memory", megabytes(limit as f64))
                }
                (_, limit) => format!(
                    "the {} MB that --total-memory leaves for it",
                    megabytes(limit.unwrap_or(0).saturating_sub(memory.total(0)) as f64)
                ),
            };
            format!(
                "No measured cache meets the limit: the smallest, {}, takes {} MB, more than {limit}.",
                described(smallest),
                megabytes(smallest.cache_bytes as f64)
            )
        }
        NotMet::Kl(lowest) => format!(
            "{which} meets --max-kl {}: the lowest mean KL{} has {}, {} nats.",
            limits.kl.unwrap_or(0.0),
            question.at_measured(),
            described(lowest),
            significant(lowest.kl(), 3)
        ),
        NotMet::Loss(least, loss) => {
            let limit = limits.losses.iter().find(|limit| limit.task == loss.task);
            format!(
                "{which} meets --max-loss {}={} %: the fewest answers{} are lost with {}, {} %.",
                loss.task,
                part(limit.map_or(0.0, |limit| limit.share)),
                least
                    .cell
                    .choosing
                    .task(loss.task)
                    .map_or(String::new(), |scores| question.at(scores.tokens)),
                described(least),
                percent(loss.share)
            )
        }
    }
}

/// Returns the sentence that says that the rows are those of another model. `measured` describes that model.
pub fn other_model(question: &Question<'_>, measured: Attention) -> String {
    format!(
        "There are no rows of {}. The quality is that of {}, the nearest measured model, which has {} million weights \
         and {} per KV head: it only shows what to measure first.",
        question.model,
        question.measured.model,
        significant(measured.parameters as f64 / 1e6, 2),
        counted(measured.group_size, "query", "head")
    )
}

/// Returns the sentence about the policies that cannot run; `None` if all can.
pub fn left_out(question: &Question<'_>, advice: &Advice<'_>) -> Option<String> {
    let (be, repeat) = match advice.left_out.len() {
        0 => return None,
        1 => ("is", "it repeats"),
        _ => ("are", "they repeat"),
    };
    Some(format!(
        "{} {be} left out, because {repeat} the prompt before anything is evicted: {} has {} positions, and after {} too \
         few are left.",
        advice.left_out.join(", "),
        question.model,
        question.positions,
        counted_tokens(question.context)
    ))
}

/// Returns what the rows of another model than the user's say on the texts that certify.
pub fn other_models_texts(question: &Question<'_>, candidate: &Candidate<'_>) -> Option<String> {
    let quality = &candidate.cell.certifying;
    Some(format!(
        "On {} of {}, the mean KL of {} is {} nats. That is not a bound for {}.",
        counted(quality.kl.len(), question.certifying_texts(), "text"),
        counted_tokens(question.measured.context),
        question.measured.model,
        significant(quality.mean_kl()?, 3),
        question.model
    ))
}

/// Returns how sure the choice is.
pub fn certainty(
    question: &Question<'_>,
    candidate: &Candidate<'_>,
    certificate: &Certificate,
) -> Vec<String> {
    let [chose, certify] = [question.choosing_texts(), question.certifying_texts()];
    let (chosen, texts) = (candidate.cell.choosing.kl.len(), certificate.texts);
    let Some(kl) = certificate.kl else {
        return vec![format!(
            "There are no {certify} texts besides those that chose, so nothing certifies the choice."
        )];
    };
    let mut sentences = vec![format!(
        "The choice was made on {} of {}. On {}, which had no part in it, the mean KL is {} nats.",
        counted(chosen, chose, "text"),
        counted_tokens(question.measured.context),
        counted(texts, certify, "text"),
        significant(kl, 3)
    )];
    sentences.push(bound(certificate));
    match certificate.meets_limits {
        Some(true) => sentences.push(format!("The {certify} texts meet the limits on quality too.")),
        Some(false) => sentences.push(format!("The {certify} texts do not meet the limits on quality.")),
        None => {}
    }
    sentences.extend(certificate.tasks.iter().map(|task| {
        format!(
            "In {} of {} with {}, it has {} right answers to {} questions; the full cache has {}.",
            counted(task.contexts, certify, "context"),
            task.task,
            counted_tokens(task.tokens),
            task.correct,
            task.questions,
            task.full_correct
        )
    }));
    let limited = question.limits.losses.iter().map(|limit| limit.task);
    sentences.extend(limited.filter_map(|task| answers_bound(certificate, task)));
    sentences
}

/// Returns the bound for one more text, or which bound is attainable.
fn bound(certificate: &Certificate) -> String {
    let (texts, attainable) = (certificate.texts, percent(certificate.attainable));
    let level = part(LEVEL);
    let largest = significant(certificate.largest_kl.unwrap_or(f64::NAN), 3);
    match certificate.kl_bound {
        Some(bound) => format!(
            "If your texts are like these, the KL of one more text is at most {} nats with a probability of at least \
             {level} % ({texts} texts attain at most {attainable} %, with their largest KL, {largest} nats).",
            significant(bound, 3)
        ),
        None => format!(
            "A bound at {level} % is not attainable: it needs {} texts, not {texts}. If your texts are like \
             these, the KL of one more text is at most the largest of these, {largest} nats, with a probability of at \
             least {attainable} %.",
            values_for_level(LEVEL)
        ),
    }
}

/// Returns which bound for the lost answers of one more context is attainable.
fn answers_bound(certificate: &Certificate, task: ScoredTask) -> Option<String> {
    let contexts = certificate.tasks.iter().find(|scores| scores.task == task)?.contexts;
    Some(format!(
        "A bound for the answers lost in one more context of {task} is attainable at {} % at most, with {}, so none \
         is given.",
        percent(attainable_level(contexts)),
        counted(contexts, "such", "context")
    ))
}

/// Returns sentences as one paragraph for a terminal, in lines of at most `width` characters.
pub fn paragraph(sentences: &[String], width: usize) -> String {
    escape::wrapped(&sentences.join(" "), width.min(crate::LINE_WIDTH)).join("\n") + "\n"
}

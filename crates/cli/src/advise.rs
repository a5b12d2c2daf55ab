//! `bitkv advise`: which policy, budget and KV format to deploy for a model, a context and a limit.

mod document;
mod export;
mod limits;
mod rows;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use bitkv_bitnet::{CachePrecision, Quantisation};
use bitkv_evict::{Budget, Need, Registry};
use bitkv_lab::memory::{KeptCache, computed_row, weight_parts};
use bitkv_models::Shape;
use bitkv_record::{Accounting, KvFormat};
use bitkv_report::{
    Table,
    advice::{
        Advice, Answer, Candidate, Certificate, MeasurableModel, Memory, Missing, missing,
        sentences::{self, Question},
        tables,
    },
};

use crate::{
    budget::{Bytes, bytes},
    memory::model_shape,
    model::ReadingArguments,
    output,
};
use rows::Origin;

/// The number of runners-up that are shown.
const RUNNERS_UP: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Any model, or bitnet_b1_58-large or BitNet-b1.58-2B-4T, which need no weights.
    #[arg(long)]
    model: String,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Number of tokens in the cache.
    #[arg(long, value_name = "TOKENS")]
    context: usize,
    /// The most bytes of the cache after the prompt, such as 64MiB.
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    memory: Option<Bytes>,
    /// The most bytes of weights, activations and cache together, such as 2GiB. The cache is whole while the
    /// prompt is read.
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    total_memory: Option<Bytes>,
    /// The largest mean KL divergence from the full cache over texts, in nats, such as 0.01.
    #[arg(long, value_name = "NATS")]
    max_kl: Option<f64>,
    /// The share of the full cache's right answers to a retrieval task that may be lost, such as recall=5%.
    /// Repeat the option for several tasks.
    #[arg(long, value_name = "TASK=SHARE")]
    max_loss: Vec<String>,
    /// Finished run folders whose rows decide [default: the measurements of the built-in models].
    #[arg(long, value_name = "RUN", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Also write a JSON file for an inference engine, with the number of tokens that every KV head keeps, as
    /// `bitkv plan --export` does without positions.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// A text file in UTF-8 for --export, if the policy divides its budget by what it observes. Its first
    /// tokens are the context.
    #[arg(long, value_name = "FILE", requires = "export")]
    text: Option<PathBuf>,
    /// Print one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// The answer and everything that is said about it.
struct Answered<'a> {
    question: Question<'a>,
    advice: Advice<'a>,
    /// The cell to deploy: the choice, or the full cache in f16 if it fits and was measured.
    cell: Option<Candidate<'a>>,
    certificate: Option<Certificate>,
    missing: Vec<Missing>,
    origin: Origin,
    /// A sentence about what the policy needs, if it needs more than the cache.
    requirement: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, registry: &Registry) -> Result<()> {
    ensure!(arguments.context > 0, "--context 0 has no cache: give a number of tokens, such as 2048");
    output::check_target("--export", arguments.export.as_deref())?;
    let limits = limits::read(arguments)?;
    let shape = model_shape(&arguments.model, &arguments.reading)?;
    let memory = memory(&shape, arguments.context)?;
    let found = rows::find(arguments, &shape)?;
    let question = Question {
        model: &shape.name,
        context: arguments.context,
        memory: &memory,
        limits: &limits,
        measured: &found.measured,
    };
    let cache_bytes = |kept, kv| cache_bytes(&shape, arguments.context, kept, kv);
    let advice = Advice::new(question.measured, &memory, &limits, cache_bytes);
    let answered = answered(arguments, registry, &shape, question, advice, found.origin);
    if let Some(path) = &arguments.export {
        export::write(path, arguments, registry, &shape, &answered)?;
    }
    if arguments.json {
        return output::json(&document::document(&answered));
    }
    show(&answered, shape.config.max_position_embeddings)
}

/// Returns the answer with its certificate and what is missing.
fn answered<'a>(
    arguments: &Arguments,
    registry: &Registry,
    shape: &Shape,
    question: Question<'a>,
    advice: Advice<'a>,
    origin: Origin,
) -> Answered<'a> {
    let cell = if advice.answer == Answer::Fits { full_cache(&question) } else { advice.kept() };
    let certificate =
        cell.map(|candidate| Certificate::new(candidate.cell, question.measured, question.limits));
    let model = MeasurableModel {
        argument: &arguments.model,
        is_measured: origin == Origin::Own,
        longest: shape.config.max_position_embeddings,
    };
    let missing = missing(&question, model, &advice.answer, certificate.as_ref());
    let requirement = cell.and_then(|candidate| requirement(registry, &candidate.cell.policy));
    Answered { question, advice, cell, certificate, missing, origin, requirement }
}

/// Returns the full cache in f16, if it was measured.
fn full_cache<'a>(question: &Question<'a>) -> Option<Candidate<'a>> {
    let cell = question.measured.reference()?;
    Some(Candidate { cell, cache_bytes: question.memory.full_cache })
}

/// Returns what a policy needs besides the cache and the attention of the prompt.
fn requirement(registry: &Registry, policy: &str) -> Option<String> {
    let policy = registry.policy(policy).ok()?;
    let reads_twice = policy.needs().contains(Need::Reconstruction);
    reads_twice.then(|| {
        format!(
            "{} reads the prompt a second time before it evicts. The time of planning does not include that.",
            policy.spec()
        )
    })
}

/// Returns the bytes of a model at a context of `context` tokens.
fn memory(shape: &Shape, context: usize) -> Result<Memory> {
    let row =
        computed_row(shape, Accounting::Actual, context).with_context(|| format!("--context {context}"))?;
    Ok(Memory { weights: weight_parts(shape), activations: row.activation_bytes, full_cache: row.kv_bytes })
}

/// Returns the bytes of a cache that keeps the fraction `kept` of `context` tokens in the format `kv`.
fn cache_bytes(shape: &Shape, context: usize, kept: f64, kv: KvFormat) -> u64 {
    let quantisation = match kv {
        KvFormat::F16 => Quantisation::None,
        KvFormat::Int8 => Quantisation::Int8,
        KvFormat::Int4 => Quantisation::Int4,
        KvFormat::Kivi4 => Quantisation::kivi(4),
        KvFormat::Kivi2 => Quantisation::kivi(2),
    };
    // The kept fraction of rows is in (0, 1].
    let budget = Budget::fraction(kept).unwrap_or(Budget::FULL);
    KeptCache { budget, precision: CachePrecision::F16, quantisation }.bytes(&shape.config, context)
}

/// Prints the answer, the tables, how sure it is, and what is missing.
fn show(answered: &Answered<'_>, longest: usize) -> Result<()> {
    let Answered { question, advice, .. } = answered;
    let mut first = vec![sentences::answer(question, advice)];
    first.extend(answered.origin.sentence(question));
    if question.context > longest {
        first.push(format!("{} reads at most {longest} tokens.", question.model));
    }
    let mut text = sentences::paragraph(&first, output::width());
    let mut last = Vec::new();
    if let (Some(candidate), Some(certificate)) = (&answered.cell, &answered.certificate)
        && advice.kept().is_some()
    {
        last.extend(sentences::certainty(question, candidate, certificate));
        last.extend(answered.requirement.clone());
    }
    for table in shown_tables(answered) {
        text += &format!("\n{}", table.to_terminal(output::width()));
    }
    if !last.is_empty() {
        text += &format!("\n{}", sentences::paragraph(&last, output::width()));
    }
    text += &missing_text(&answered.missing);
    output::text(&text)
}

/// Returns where the memory is, and what the choice and the runners-up cost. Without a choice, the table has
/// the best caches of every size.
fn shown_tables(answered: &Answered<'_>) -> Vec<Table> {
    let Answered { question, advice, .. } = answered;
    let is_own = answered.origin == Origin::Own;
    let mut all = vec![tables::memory(question, advice.kept().as_ref())];
    let costs = match advice.kept() {
        Some(kept) => {
            let next = advice.runners_up.iter().take(RUNNERS_UP).copied();
            let mut shown: Vec<Candidate> = [kept].into_iter().chain(next).collect();
            // The full cache shows what the limits cost.
            shown.extend(full_cache(question).filter(|full| !shown.contains(full)));
            let caption = "The choice, the runners-up that meet the limits too, and the full cache";
            tables::costs(question, caption, &shown, is_own)
        }
        None => {
            let caption = "Measured caches that no other beats in both bytes and KL";
            tables::costs(question, caption, &advice.front, is_own)
        }
    };
    all.extend((!costs.is_empty()).then_some(costs));
    all
}

/// Returns what is missing, and the commands that measure it. A command that measures several things is shown
/// once.
fn missing_text(missing: &[Missing]) -> String {
    let Some(first) = missing.first() else { return String::new() };
    let whats: Vec<String> = missing.iter().map(|missing| missing.what.clone()).collect();
    let text = sentences::paragraph(&[vec!["What is missing:".to_owned()], whats].concat(), output::width());
    format!("\n{text}Measure it:\n  {}\n", first.command.replace(" && ", "\n  "))
}

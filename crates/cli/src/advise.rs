//! `bitkv advise`: which policy, budget and KV format to deploy for a model, a context and a limit.

mod document;
mod export;
mod limits;
mod rows;
mod sizes;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bitkv_evict::{Need, Registry};
use bitkv_lab::memory::{computed_row, weight_parts};
use bitkv_models::{Shape, published_id};
use bitkv_record::{Accounting, free_name};
use bitkv_report::{
    Table,
    advice::{
        Advice, Answer, Candidate, Certificate, FORMAT_NOTE, MeasurableModel, Memory, Missing, missing,
        sentences::{self, Question},
        tables,
    },
};

use crate::{
    budget::{Bytes, bytes},
    memory::shape_and_model,
    model::ReadingArguments,
    output,
    target::{ForceArgument, Target},
};
use rows::Origin;
use sizes::CellSizes;

/// The run folder that the commands write if it is free.
const OUT: &str = "runs/advise";

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
    /// The most bytes of the cache after the prompt, such as 64MiB or 2.5MB.
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_negative_numbers = true)]
    memory: Option<Bytes>,
    /// The most bytes of weights, activations and cache together, such as 2GiB. The cache is whole while the
    /// prompt is read: if that peak is larger, the answer says so, and the choice is for the state after it.
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
    #[command(flatten)]
    force: ForceArgument,
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
    let export = Target::of("--export", arguments.export.as_deref(), arguments.force)?;
    let limits = limits::read(arguments)?;
    let (shape, loaded) = shape_and_model(&arguments.model, &arguments.reading)?;
    let memory = memory(&shape, arguments.context)?;
    let found = rows::find(arguments, &shape)?;
    let question = Question {
        model: &shape.name,
        context: arguments.context,
        positions: shape.config.max_position_embeddings,
        memory: &memory,
        limits: &limits,
        measured: &found.measured,
        is_own: found.origin == Origin::Own,
    };
    let bytes = CellSizes::new(registry, &shape, loaded.as_ref(), arguments.context);
    let advice = Advice::new(question.measured, &memory, &limits, |cell| bytes.cell(cell));
    let out = free_name(Path::new(OUT))?.display().to_string();
    let answered = answered(arguments, registry, &out, question, advice, found.origin);
    if let Some(out) = export {
        export::write(out, arguments, registry, &shape, &answered)?;
    }
    if arguments.json {
        return output::json(&document::document(&answered));
    }
    show(&answered)
}

/// Returns the answer with its certificate and what is missing.
fn answered<'a>(
    arguments: &Arguments,
    registry: &Registry,
    out: &str,
    question: Question<'a>,
    advice: Advice<'a>,
    origin: Origin,
) -> Answered<'a> {
    let cell = if advice.answer == Answer::Fits { full_cache(&question) } else { advice.kept() };
    // The rows of another model certify nothing about the user's.
    let certificate = cell
        .filter(|_| question.is_own)
        .map(|candidate| Certificate::new(candidate.cell, question.measured, question.limits));
    let model =
        MeasurableModel { argument: &model_argument(arguments), reading: &arguments.reading.options(), out };
    let missing = missing(&question, model, &advice.answer, certificate.as_ref());
    let requirement = cell.and_then(|candidate| requirement(registry, &candidate.cell.policy));
    Answered { question, advice, cell, certificate, missing, origin, requirement }
}

/// Returns the full cache in f16, if it was measured.
fn full_cache<'a>(question: &Question<'a>) -> Option<Candidate<'a>> {
    let cell = question.measured.reference()?;
    Some(Candidate { cell, cache_bytes: question.memory.full_cache, repetition_bytes: 0 })
}

/// Returns the model as commands that read its weights take it. The weights of a model whose configuration is
/// compiled in are on the hub.
fn model_argument(arguments: &Arguments) -> String {
    let model = &arguments.model;
    let on_hub = published_id(model).filter(|_| !Path::new(model).exists());
    on_hub.unwrap_or(model).to_owned()
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

impl Answered<'_> {
    /// Returns the sentences that answer the question.
    fn answer(&self) -> Vec<String> {
        let Question { model, context, positions, .. } = self.question;
        let mut all = vec![sentences::answer(&self.question, &self.advice)];
        all.extend(sentences::left_out(&self.question, &self.advice));
        all.extend(self.origin.sentence(&self.question));
        if context > positions {
            all.push(format!("{model} reads at most {positions} tokens."));
        }
        all
    }

    /// Returns the sentences about how sure the choice is, and what else its policy needs.
    fn certainty(&self) -> Vec<String> {
        let Some(kept) = self.advice.kept() else { return Vec::new() };
        let mut all = match &self.certificate {
            Some(certificate) => sentences::certainty(&self.question, &kept, certificate),
            None => sentences::other_models_texts(&self.question, &kept).into_iter().collect(),
        };
        all.extend(self.requirement.clone());
        all
    }
}

/// Prints the answer, the tables, how sure it is, and what is missing.
fn show(answered: &Answered<'_>) -> Result<()> {
    let mut text = sentences::paragraph(&answered.answer(), output::width());
    for table in shown_tables(answered) {
        text += &format!("\n{}", table.to_terminal(output::width()));
    }
    let last = answered.certainty();
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
    let mut all = vec![tables::memory(question, advice.kept().as_ref())];
    let costs = match advice.kept() {
        Some(kept) => {
            let next = advice.runners_up.iter().take(RUNNERS_UP).copied();
            let mut shown: Vec<Candidate> = [kept].into_iter().chain(next).collect();
            // The full cache shows what the limits cost.
            shown.extend(full_cache(question).filter(|full| !shown.contains(full)));
            let caption = "The choice, the runners-up that meet the limits too, and the full cache";
            tables::costs(question, caption, &shown)
        }
        None => {
            let caption = "Measured caches that no other beats in both bytes and KL";
            tables::costs(question, caption, &advice.front)
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
    let note = sentences::paragraph(&[FORMAT_NOTE.to_owned()], output::width());
    format!("\n{text}Measure it:\n  {}\n{note}", first.command.replace(" && ", "\n  "))
}

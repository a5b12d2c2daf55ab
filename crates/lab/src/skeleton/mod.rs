//! What running a BitNet as a Llama skeleton does to its predictions and to its entropy profile.
//!
//! The published verification of the entropy-adaptive cache (microsoft/BitNet pull request 497) loaded BitNet weights
//! into a plain Llama. Both are run here on the same texts.

pub mod losses;
mod profiles;
mod refutation;
mod report;

use std::{
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_record::{
    HeadRow, LossRow, Mistakes, Reading, RunFolder, SkeletonComparison, SkeletonPair, SkeletonWeights,
    Spread, Text, Texts,
};
use bitkv_stats::paired_bootstrap;

use crate::{
    Loading, Source, Subject, manifest,
    profile::{self, Entropies, Rows},
    progress::Steps,
    window::Window,
};
use losses::Losses;

const RESAMPLES: usize = 2000;

/// As long as the published calibration texts; entropy is also reported at the full windows.
const SHORT: usize = 64;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tokens of each calibration text.
    pub calibration_tokens: usize,
    /// Tokens of each evaluation text; all but the first are scored.
    pub evaluation_tokens: usize,
    /// Start of the bootstrap.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { calibration_tokens: 512, evaluation_tokens: 1024, seed: 20_261_121 }
    }
}

/// A finished comparison.
#[derive(Debug)]
pub struct Outcome {
    /// What came of it.
    pub comparison: SkeletonComparison,
    /// Tables for the terminal.
    pub tables: String,
    /// The run folder.
    pub folder: PathBuf,
}

/// Everything measured on a model and another.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Losses by text.
    pub losses: Vec<Losses>,
    /// Entropies of the true model and of the other.
    pub entropies: [Entropies; 2],
}

/// Compares the models of these names with their skeletons and writes a run folder at `folder`.
///
/// # Errors
/// When a model or text is refused; then nothing is left behind.
pub fn run(models: &[String], texts: &Texts, options: &Options, folder: &Path) -> Result<Outcome> {
    let pairs = models.iter().map(|model| pair(model)).collect::<Result<Vec<_>>>()?;
    check(&pairs)?;
    let (started, clock) = (SystemTime::now(), Instant::now());
    let run = RunFolder::create(folder).with_context(|| {
        format!("the run folder {} cannot be made, name another with --out", folder.display())
    })?;
    let (mut losses, mut heads, mut entries, mut compared) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for [truth, skeleton] in &pairs {
        let mistakes = mistakes(truth)?;
        let (truth, skeleton) = (truth.open()?, skeleton.open()?);
        let measured = measure(&truth, &skeleton, texts, options)?;
        losses.extend(rows(&measured.losses));
        heads.extend(head_rows([&truth, &skeleton], &measured.entropies));
        compared.push(compare([&truth, &skeleton], mistakes, &measured, options.seed));
        entries.extend([truth.entry()?, skeleton.entry()?]);
    }
    let mut manifest = manifest::new(started, options.seed, entries, texts.hashes(), options.to_json());
    manifest.seconds = clock.elapsed().as_secs_f64();
    let comparison = SkeletonComparison {
        refutation: refutation::sentence(),
        models: compared,
        run: Some(run.target().display().to_string()),
    };
    let provenance =
        format!("bitkv {}, revision {}, {}.", manifest.bitkv_version, manifest.revision, manifest.started);
    run.write_json("manifest.json", &manifest)?;
    run.write_rows("texts.csv", &losses)?;
    run.write_rows("heads.csv", &heads)?;
    run.write_json("summary.json", &comparison)?;
    run.write_text("report.md", &report::markdown(&comparison, &provenance))?;
    let tables = report::terminal(&comparison);
    Ok(Outcome { comparison, tables, folder: run.finish()? })
}

/// The model and its skeleton.
fn pair(model: &str) -> Result<[Source; 2]> {
    let skeleton = Loading { llama_skeleton: true, ..Loading::default() };
    Ok([Source::find(model)?, Source::find_with(model, skeleton)?])
}

/// Rows tell models apart by name.
fn check(pairs: &[[Source; 2]]) -> Result<()> {
    ensure!(!pairs.is_empty(), "there is no model to compare: name one with --model");
    let names: Vec<String> = pairs.iter().flatten().map(Source::name).collect();
    if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        bail!("two models are named {}: give each once, or rename one folder", names[i]);
    }
    Ok(())
}

/// Which of the published mistakes the model's skeleton makes.
fn mistakes(source: &Source) -> Result<Mistakes> {
    let checkpoint = source.checkpoint()?;
    let config = checkpoint.config();
    let masters = checkpoint.linear(&config.linears(0)[0])?.has_masters();
    let skeleton = config.clone().as_llama_skeleton();
    let norms = config.norms(0);
    Ok(Mistakes {
        weights: if masters { SkeletonWeights::Masters } else { SkeletonWeights::CodesTimesScale },
        replaced_activation: (config.hidden_act != skeleton.hidden_act)
            .then(|| config.hidden_act.name().into()),
        without_sub_norms: norms.attention_sub.is_some() || norms.mlp_sub.is_some(),
        unquantised_activations: true,
    })
}

/// Runs both models over the evaluation and the calibration texts. `other` may be `truth` itself; then no
/// difference is left.
///
/// # Errors
/// When the windows do not fit the models or the texts, or a model fails.
pub fn measure(truth: &Subject, other: &Subject, texts: &Texts, options: &Options) -> Result<Measured> {
    options.check(truth)?;
    let evaluation: Vec<&Text> = texts.evaluation().collect();
    ensure!(!evaluation.is_empty(), "there are no evaluation texts to compare {} on", truth.name);
    let windows = Window::of_all(truth, &evaluation, options.evaluation_tokens)?;
    let steps = Steps::new(&format!("{} losses", truth.name), windows.len());
    let losses = losses::measure(truth, other, &windows, &steps)?;
    steps.finish();
    let calibration: Vec<&Text> = texts.calibration().collect();
    let windows = Window::of_all(truth, &calibration, options.calibration_tokens)?;
    let entropies = |subject: &Subject| {
        let steps = Steps::new(&format!("{} entropies", subject.name), windows.len());
        let entropies = profile::measure(subject, &windows, &steps);
        steps.finish();
        entropies
    };
    Ok(Measured { losses, entropies: [entropies(truth)?, entropies(other)?] })
}

/// What came of it, with the verdict.
pub fn compare(pair: [&Subject; 2], mistakes: Mistakes, measured: &Measured, seed: u64) -> SkeletonPair {
    let Measured { losses, entropies: [own, its] } = measured;
    let profiles = contexts(own).map(|context| profiles::compare(own, its, context, seed)).collect();
    let difference = losses::difference(losses, profiles, seed);
    let expectations = refutation::expectations(&difference);
    let (truth, other): (Vec<&LossRow>, Vec<&LossRow>) = losses.iter().map(|l| (&l.truth, &l.other)).unzip();
    SkeletonPair {
        model: pair[0].name.clone(),
        mistakes,
        truth: reading(pair[0], &truth, own),
        skeleton: reading(pair[1], &other, its),
        harmless: expectations.iter().all(|expectation| expectation.holds),
        difference,
        expectations,
    }
}

fn reading(subject: &Subject, rows: &[&LossRow], entropies: &Entropies) -> Reading {
    let bits: f64 = rows.iter().map(|row| row.bits_per_token * row.targets as f64).sum();
    let per = |count: fn(&LossRow) -> usize| bits / rows.iter().map(|row| count(row)).sum::<usize>() as f64;
    let bits_per_token = per(|row| row.targets);
    Reading {
        name: subject.name.clone(),
        bits_per_token,
        bits_per_byte: per(|row| row.bytes_scored),
        perplexity: bits_per_token.exp2(),
        uniform_bits: (subject.config().vocab_size as f64).log2(),
        profiles: contexts(entropies).map(|context| profiles::reading(entropies, context)).collect(),
    }
}

/// The lengths entropy is reported at.
fn contexts(entropies: &Entropies) -> impl Iterator<Item = usize> + use<> {
    let longest = entropies.context;
    [SHORT].into_iter().filter(move |&short| short < longest).chain([longest])
}

/// The true model's rows, then the other's.
fn rows(losses: &[Losses]) -> Vec<LossRow> {
    let truth = losses.iter().map(|text| text.truth.clone());
    truth.chain(losses.iter().map(|text| text.other.clone())).collect()
}

fn head_rows(pair: [&Subject; 2], entropies: &[Entropies; 2]) -> Vec<HeadRow> {
    let of = |(subject, entropies): (&Subject, &Entropies)| -> Vec<HeadRow> {
        contexts(entropies).flat_map(|n| entropies.rows(&subject.name, n, Rows::Published)).collect()
    };
    pair.into_iter().zip(entropies).flat_map(of).collect()
}

/// The mean of one value a text, with its bootstrap interval where there are several texts.
fn spread(values: &[f64], seed: u64) -> Spread {
    let interval = paired_bootstrap(values, RESAMPLES, seed);
    Spread { mean: interval.mean, interval: (values.len() > 1).then_some((interval.low, interval.high)) }
}

impl Options {
    /// Whether the windows fit the model.
    fn check(&self, subject: &Subject) -> Result<()> {
        let longest = subject.config().max_position_embeddings;
        let wanted = self.calibration_tokens.max(self.evaluation_tokens);
        ensure!(
            wanted <= longest,
            "{} reads {longest} tokens at most and the comparison wants {wanted}: lower --calibration-tokens or \
             --evaluation-tokens",
            subject.name
        );
        ensure!(
            self.calibration_tokens >= 2 && self.evaluation_tokens >= 2,
            "windows of {} calibration and {} evaluation tokens are too short: use 2 or more",
            self.calibration_tokens,
            self.evaluation_tokens
        );
        Ok(())
    }

    fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let values =
            [("calibration_tokens", self.calibration_tokens), ("evaluation_tokens", self.evaluation_tokens)];
        values.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
    }
}

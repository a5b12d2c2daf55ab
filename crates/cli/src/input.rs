//! What several commands read: tokens, texts, profiles.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use bitkv_evict::{Need, Policy, Shape};
use bitkv_lab::{
    evidence::{self, Numbers},
    head_file,
    profile::measure,
    window::Window,
};
use bitkv_models::{LoadedModel, suite};
use bitkv_progress::Work;
use bitkv_record::{Profile, Queries, Split, Text, Texts};

use crate::bars::BARS;

/// Tokens of a calibration text when a profile has to be measured.
pub(crate) const CALIBRATION_TOKENS: usize = 512;

/// Reads a JSON array of token ids that the model knows and can read at once.
pub(crate) fn tokens(path: &Path, subject: &LoadedModel) -> Result<Vec<u32>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the token file {name}"))?;
    let ids: Vec<u32> = serde_json::from_str(&text)
        .with_context(|| format!("{name} is not a JSON array of token ids such as [1, 2, 3]"))?;
    ensure!(!ids.is_empty(), "{name} holds no token ids: put at least one into the array");
    let (vocabulary, longest) = (subject.config().vocab_size, subject.config().max_position_embeddings);
    if let Some(at) = ids.iter().position(|&id| id as usize >= vocabulary) {
        bail!(
            "{name}: token id {} at index {at} is outside the vocabulary of {vocabulary} of {}: use ids of its tokenizer",
            ids[at],
            subject.name
        );
    }
    ensure!(
        ids.len() <= longest,
        "{name} holds {} tokens and {} reads {longest} at most: shorten it",
        ids.len(),
        subject.name
    );
    Ok(ids)
}

/// Reads a UTF-8 text file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the text file {}", path.display()))?;
    let text = String::from_utf8(bytes).ok();
    let text = text.with_context(|| format!("{} is not UTF-8: convert it first", path.display()))?;
    ensure!(!text.trim().is_empty(), "{} is empty: give it some text", path.display());
    Ok(text)
}

/// Reads a folder of the user's own texts; the files are named without it.
pub(crate) fn texts(folder: &Path, split: Split) -> Result<Texts> {
    Texts::from_folder(folder, split).with_context(|| format!("cannot use the texts of {}", folder.display()))
}

/// Where numbers about heads come from.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Calibration {
    /// A profile for policies that need entropies; measured when it is not given.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Importance of every query head for policies that need it: rows of numbers, one a layer (JSON, TSV or HeadKV's format).
    #[arg(long, value_name = "FILE")]
    head_scores: Option<PathBuf>,
    /// How much each KV head is one for retrieval, 0 to 1, for policies that need it: DuoAttention's TSV, or JSON rows.
    #[arg(long, value_name = "FILE")]
    head_pattern: Option<PathBuf>,
}

/// The numbers that a policy needs, from files; entropies are measured on the calibration texts where no file is given.
pub(crate) fn numbers(subject: &LoadedModel, policy: &Policy, from: &Calibration) -> Result<Numbers> {
    let mut numbers = head_files(evidence::shape(subject, 1), policy, from)?;
    if policy.needs().contains(Need::Entropy) {
        numbers.insert(Need::Entropy, entropies(subject, policy.spec(), from.profile.as_deref())?);
    }
    Ok(numbers)
}

/// The same where there is no model: all from files.
pub(crate) fn numbers_of_file(shape: Shape, policy: &Policy, from: &Calibration) -> Result<Numbers> {
    let mut numbers = head_files(shape, policy, from)?;
    if policy.needs().contains(Need::Entropy) {
        let lacking = || format!("{} goes by entropies: give a file with --profile", policy.spec());
        let file = from.profile.as_deref().with_context(lacking)?;
        let entropies = Profile::of_file(file)?.entropies().concat();
        ensure!(
            entropies.len() == shape.all_query_heads(),
            "{} has {} heads and the tensors {}: use a profile of their model",
            file.display(),
            entropies.len(),
            shape.all_query_heads()
        );
        numbers.insert(Need::Entropy, entropies);
    }
    Ok(numbers)
}

fn head_files(shape: Shape, policy: &Policy, from: &Calibration) -> Result<Numbers> {
    let (needs, mut numbers) = (policy.needs(), Numbers::new());
    let files = [
        (Need::HeadScores, &from.head_scores, shape.query_heads, "--head-scores"),
        (Need::HeadPattern, &from.head_pattern, shape.kv_heads, "--head-pattern"),
    ];
    for (need, file, heads, option) in files {
        if needs.contains(need) {
            let file = file.as_ref().with_context(|| {
                format!("{} goes by {}: give a file with {option}", policy.spec(), need.name())
            })?;
            let mut scores = head_file::read(file, shape.layers, heads)?;
            if need == Need::HeadPattern {
                // DuoAttention's gates may leave 0..1 a little, and are clipped there too.
                scores.iter_mut().for_each(|gate| *gate = gate.clamp(0.0, 1.0));
            }
            numbers.insert(need, scores);
        }
    }
    Ok(numbers)
}

/// Per-head entropies, `[layers * query_heads]`: from a file, or measured on the calibration texts.
fn entropies(subject: &LoadedModel, policy: &str, file: Option<&Path>) -> Result<Vec<f64>> {
    let Some(file) = file else {
        let texts = suite::texts()?;
        let texts: Vec<&Text> = texts.calibration().collect();
        let length = CALIBRATION_TOKENS.min(subject.config().max_position_embeddings);
        let windows = Window::of_all(subject, &texts, length).with_context(|| {
            format!("{policy} needs a profile of {}; give one with --profile", subject.name)
        })?;
        let steps = Work::steps(&BARS, "calibration", windows.len());
        let entropies = measure(subject, &windows, &steps)?;
        steps.finish();
        return Ok(entropies.mean(length, Queries::Published));
    };
    let config = subject.config();
    let heads = config.num_hidden_layers * config.num_attention_heads;
    Ok(Profile::of_file(file)?.entropies_of(file, &subject.name, heads)?)
}

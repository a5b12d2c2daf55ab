//! The main job: the published claims, measured on a model.

mod claims;
mod compression;
mod heads;
mod memory;

use std::{
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use bitkv_record::{CellRow, HeadRow, MemoryRow, ModelEntry, RunFolder, Texts, Verification};
use bitkv_report::{Input, figures, render_html, render_markdown, render_terminal};

use crate::{Source, Subject, manifest, memory::published_models};

pub use compression::{BUDGETS, POLICIES};

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tokens of each calibration text.
    pub calibration_tokens: usize,
    /// Tokens of each evaluation text in the cache when it is cut.
    pub context_tokens: usize,
    /// Tokens scored after the cut.
    pub scored_tokens: usize,
    /// Retrieval contexts.
    pub recalls: usize,
    /// Start of everything random.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            calibration_tokens: 512,
            context_tokens: 896,
            scored_tokens: 127,
            recalls: 20,
            seed: 20_261_121,
        }
    }
}

/// Everything a verification measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Claim 1.
    pub memory: Vec<MemoryRow>,
    /// Claim 2.
    pub heads: Vec<HeadRow>,
    /// Claim 3.
    pub cells: Vec<CellRow>,
}

/// A finished verification.
#[derive(Debug)]
pub struct Outcome {
    /// The claims and their verdicts.
    pub verification: Verification,
    /// Tables for the terminal.
    pub tables: String,
    /// The run folder.
    pub folder: PathBuf,
}

/// Measures the models of `sources` and writes a run folder at `folder`.
///
/// # Errors
/// When a model or text is refused; then nothing is left behind.
pub fn verify(sources: &[Source], texts: &Texts, options: &Options, folder: &Path) -> Result<Outcome> {
    check(sources)?;
    let (started, clock) = (SystemTime::now(), Instant::now());
    // Before anything is measured, so that a folder that cannot be written is found at once.
    let run = RunFolder::create(folder).with_context(|| {
        format!("the run folder {} cannot be made, name another with --out", folder.display())
    })?;
    let mut measured =
        Measured { memory: memory::published()?, heads: heads::published()?, cells: Vec::new() };
    let (mut entries, mut grouped) = (Vec::new(), Vec::new());
    for source in sources {
        let mut subject = source.open()?;
        // Rows of the published models bear their names.
        if published_models()?.iter().any(|shape| shape.name == subject.name) {
            subject.name += " (measured)";
        }
        grouped.push((subject.name.clone(), subject.config().group_size() > 1));
        measure(&subject, texts, options, &mut measured)
            .with_context(|| format!("the verification of {} stopped", subject.name))?;
        entries.push(ModelEntry { name: subject.name.clone(), ..subject.entry()? });
    }
    let mut manifest = manifest::new(started, options.seed, entries, texts.hashes(), options.to_json());
    manifest.seconds = clock.elapsed().as_secs_f64();
    let verification = Verification {
        claims: claims::all(&measured, &grouped, options)?,
        models: manifest.models.iter().map(|m| m.name.clone()).collect(),
        run: Some(run.target().display().to_string()),
    };
    let Measured { memory, heads, cells } = &measured;
    let input = Input { manifest: &manifest, verification: &verification, memory, heads, cells };
    run.write_json("manifest.json", &manifest)?;
    run.write_json("verification.json", &verification)?;
    run.write_rows("memory.csv", memory)?;
    run.write_rows("heads.csv", heads)?;
    run.write_rows("cells.csv", cells)?;
    run.write_text("report.md", &render_markdown(&input))?;
    run.write_text("report.html", &render_html(&input))?;
    for (path, svg) in figures(&input) {
        run.write_text(&path, &svg)?;
    }
    let tables = render_terminal(&input);
    Ok(Outcome { verification, tables, folder: run.finish()? })
}

/// Rows tell models apart by name.
fn check(sources: &[Source]) -> Result<()> {
    ensure!(!sources.is_empty(), "there is no model to verify: name one with --model");
    let names: Vec<String> = sources.iter().map(Source::name).collect();
    if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        bail!("two models are named {}: give each once, or rename one folder", names[i]);
    }
    Ok(())
}

fn measure(subject: &Subject, texts: &Texts, options: &Options, measured: &mut Measured) -> Result<()> {
    options.check(subject)?;
    let entropies = heads::measure(subject, texts, options)?;
    measured.heads.extend(heads::rows(subject, &entropies));
    measured.memory.extend(memory::measured(subject, options)?);
    let profile = heads::profile(&entropies);
    measured.cells.extend(compression::measure(subject, texts, &profile, options)?);
    Ok(())
}

impl Options {
    /// Whether the windows fit the model.
    fn check(&self, subject: &Subject) -> Result<()> {
        let recall = if self.recalls > 0 { compression::RECALL_TOKENS } else { 0 };
        let longest = subject.config().max_position_embeddings;
        let wanted = self.calibration_tokens.max(self.window()).max(recall);
        ensure!(
            wanted <= longest,
            "{} reads {longest} tokens at most and the verification wants {wanted}: lower --calibration-tokens, \
             --context-tokens or --scored-tokens",
            subject.name
        );
        ensure!(
            self.calibration_tokens >= 64 && self.context_tokens >= 64 && self.scored_tokens >= 1,
            "windows of {} calibration, {} context and {} scored tokens are too short: use 64, 64 and 1 or more",
            self.calibration_tokens,
            self.context_tokens,
            self.scored_tokens
        );
        Ok(())
    }

    /// Tokens of an evaluation text: the context, the continuation and the last target.
    fn window(&self) -> usize {
        self.context_tokens.saturating_add(self.scored_tokens).saturating_add(1)
    }

    fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let values = [
            ("calibration_tokens", self.calibration_tokens),
            ("context_tokens", self.context_tokens),
            ("scored_tokens", self.scored_tokens),
            ("recalls", self.recalls),
        ];
        values.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
    }
}

//! `rows.csv`: one row for each cell of a grid, whether it was measured or failed.

use crate::measurement::within;
use crate::{AskedBudget, Form, KvFormat, Positions, Row, ScoredTask, When};
use serde::{Deserialize, Serialize};

/// Hex digits of a cell's key and of the hash of a plan.
const DIGITS: usize = 16;

/// One cell: a model on one context under a policy at a budget. Where [`GridRow::error`] says why it failed, every
/// measurement is empty. Floats are written so that they read back bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridRow {
    /// What the cell is of: the first 16 hex digits of a SHA-256 over model, tokens, policy, budget, the other axes
    /// and the code revision.
    pub key: String,
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the model.
    pub model: String,
    /// What its weights were run as.
    pub form: Form,
    /// Policy specification; "full" for the uncut cache.
    pub policy: String,
    /// Whether the policy sees what no deployable policy can.
    pub oracle: bool,
    /// Whether the policy keeps exactly the entries asked for.
    pub conserving: bool,
    /// How much was asked to be kept.
    pub budget: AskedBudget,
    /// When the cache was cut.
    pub when: When,
    /// Where kept keys stood.
    pub positions: Positions,
    /// How keys and values were stored.
    pub kv: KvFormat,
    /// Seed of what is random.
    pub seed: u64,
    /// What was scored.
    pub task: ScoredTask,
    /// Name of the text, or of the generated context.
    pub text: String,
    /// Register of the text, for example "dialogue"; the task for generated contexts.
    pub register: String,
    /// Tokens in the cache when it was cut.
    pub context_tokens: usize,
    /// Cache entries asked for, over all layers and KV heads.
    pub asked_entries: Option<usize>,
    /// Cache entries kept, over all layers and KV heads.
    pub kept_entries: Option<usize>,
    /// Cache entries without a cut, over all layers and KV heads.
    pub full_entries: Option<usize>,
    /// Bytes of the buffers of the cut cache, all metadata counted.
    pub cache_bytes: Option<u64>,
    /// Bytes of the uncut cache in f16.
    pub full_bytes: Option<u64>,
    /// First 16 hex digits of a SHA-256 over the kept positions.
    pub plan_hash: Option<String>,
    /// Cosine of kept and full attention rows, mean over heads, as published.
    pub attention_cosine: Option<f64>,
    /// Attention mass on the kept positions, mean over heads.
    pub retained_mass: Option<f64>,
    /// Norm of the error of the attention output by the norm of the output, mean over layers.
    pub output_error: Option<f64>,
    /// KL divergence of the next token from the full cache's in nats, mean per target.
    pub kl_nats: Option<f64>,
    /// Fraction of targets with the most likely token of the full cache.
    pub agreement: Option<f64>,
    /// Negative log-likelihood in nats, mean per target.
    pub nll_nats: Option<f64>,
    /// The same, less that of the full cache on the same targets.
    pub nll_difference: Option<f64>,
    /// Tokens scored through the cut cache.
    pub targets: usize,
    /// Tokens of a greedy continuation before the first that differs from the full cache's; all where none differs.
    pub first_divergence: Option<usize>,
    /// Fraction of the tokens of a greedy continuation that are the full cache's.
    pub matching_fraction: Option<f64>,
    /// Answers that were right.
    pub correct: Option<usize>,
    /// Questions asked.
    pub questions: usize,
    /// Where in the context the answer stood, from 0 at the start to 1 at the end.
    pub depth: Option<f64>,
    /// Why the cell failed, in one line (see [`one_line`]).
    pub error: Option<String>,
}

/// A message in one line, as rows need it: line breaks and what surrounds them become one space.
pub fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Row for GridRow {
    const KIND: &'static str = "grid";
    const COLUMNS: &'static [&'static str] = &[
        "key",
        "experiment",
        "model",
        "form",
        "policy",
        "oracle",
        "conserving",
        "budget",
        "when",
        "positions",
        "kv",
        "seed",
        "task",
        "text",
        "register",
        "context_tokens",
        "asked_entries",
        "kept_entries",
        "full_entries",
        "cache_bytes",
        "full_bytes",
        "plan_hash",
        "attention_cosine",
        "retained_mass",
        "output_error",
        "kl_nats",
        "agreement",
        "nll_nats",
        "nll_difference",
        "targets",
        "first_divergence",
        "matching_fraction",
        "correct",
        "questions",
        "depth",
        "error",
    ];

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), String> {
        is_hash("key", &self.key)?;
        self.check_error()?;
        self.check_entries()?;
        self.check_scores()?;
        let unit = [
            ("attention_cosine", self.attention_cosine),
            ("retained_mass", self.retained_mass),
            ("agreement", self.agreement),
            ("matching_fraction", self.matching_fraction),
            ("depth", self.depth),
        ];
        let positive =
            [("output_error", self.output_error), ("kl_nats", self.kl_nats), ("nll_nats", self.nll_nats)];
        unit.into_iter().try_for_each(|(name, value)| within(name, value, 0.0, 1.0))?;
        positive.into_iter().try_for_each(|(name, value)| within(name, value, 0.0, f64::MAX))?;
        match self.nll_difference.filter(|value| !value.is_finite()) {
            Some(value) => Err(format!("nll_difference = {value} is not finite")),
            None => Ok(()),
        }
    }
}

impl GridRow {
    /// A failed cell has no measurement, a measured one no error.
    fn check_error(&self) -> Result<(), String> {
        let Some(error) = &self.error else { return Ok(()) };
        if error.trim().is_empty() || error.contains(['\n', '\r']) {
            return Err(format!("error = {error:?} is not one line of text"));
        }
        let floats = [
            ("attention_cosine", self.attention_cosine),
            ("retained_mass", self.retained_mass),
            ("output_error", self.output_error),
            ("kl_nats", self.kl_nats),
            ("agreement", self.agreement),
            ("nll_nats", self.nll_nats),
            ("nll_difference", self.nll_difference),
            ("matching_fraction", self.matching_fraction),
        ];
        let counts = [
            ("kept_entries", self.kept_entries),
            ("first_divergence", self.first_divergence),
            ("correct", self.correct),
        ];
        let measured = floats.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        let counted = counts.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        match measured.chain(counted).next() {
            Some(name) => Err(format!("{name} is given although error says that the cell failed")),
            None => Ok(()),
        }
    }

    fn check_entries(&self) -> Result<(), String> {
        if let Some(hash) = &self.plan_hash {
            is_hash("plan_hash", hash)?;
        }
        if let (Some(kept), Some(full)) = (self.kept_entries, self.full_entries)
            && kept > full
        {
            return Err(format!("kept_entries = {kept} is more than full_entries = {full}"));
        }
        // Only of a cut that happens once is the size known beforehand.
        if let (true, Some(asked), Some(kept)) = (self.conserving, self.asked_entries, self.kept_entries)
            && self.when == When::ONCE
            && asked != kept
        {
            return Err(format!("conserving is true but kept_entries = {kept} and asked_entries = {asked}"));
        }
        Ok(())
    }

    fn check_scores(&self) -> Result<(), String> {
        if self.correct.is_some_and(|correct| correct > self.questions) {
            return Err(format!("correct is more than questions = {}", self.questions));
        }
        if self.targets == 0 && (self.kl_nats.or(self.agreement).or(self.nll_nats)).is_some() {
            return Err("targets = 0, so there can be no KL, agreement or NLL".to_owned());
        }
        Ok(())
    }
}

pub(crate) fn is_hash(name: &str, text: &str) -> Result<(), String> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    match text.len() == DIGITS && text.bytes().all(digit) {
        true => Ok(()),
        false => Err(format!("{name} = '{text}' is not {DIGITS} lower-case hex digits")),
    }
}

#[cfg(test)]
mod tests;

//! `rows.csv`: one row for each cell of an experiment, whether it was measured or failed.

use crate::axes::axis_columns;
use crate::column::{ANY, FROM_ONE, FROM_ZERO, UNIT, identity, measure};
use crate::{
    Arithmetic, AskedBudget, Axes, Column, Compressor, IsaClass, Metric, Named, PolicyRole, PolicyText,
    PublishedRule, Row, ScoredTask, WeightKind, When,
};
use std::sync::LazyLock;

/// Hex digits of a cell's key and of the hash of a plan.
const DIGITS: usize = 16;

/// One cell: a model on one context under a policy at a budget. Where [`GridRow::error`] says why it failed, it has no
/// results. What each measured column is says the table of [`GridRow::columns`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GridRow {
    /// What the cell is of: the first 16 hex digits of a SHA-256 over model, tokens, policy, budget, axes and code.
    pub key: String,
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the model, with the mark of its form where that is not the true one.
    pub model: String,
    /// Which kind of weights the model was trained with; empty in files of format 1.
    pub weights: Option<WeightKind>,
    /// What the linear layers multiplied; empty in files of format 1.
    pub arithmetic: Option<Arithmetic>,
    /// The instruction sets that the numbers hold for; empty in files of format 1.
    pub isa: Option<IsaClass>,
    /// Canonical policy specification; "full" for the full cache.
    pub policy: String,
    /// The policy as the definition writes it, such as the name of a preset; empty in files of format 1.
    pub written: String,
    /// The role of the policy.
    pub role: PolicyRole,
    /// Whether the policy sees what no deployable policy can.
    pub oracle: bool,
    /// Whether the policy keeps exactly the entries asked for.
    pub conserving: bool,
    /// The tokens that the policy protects whatever their score, such as `sinks=4 recent=8`; empty for rules.
    pub guard: String,
    /// What became of what was not kept.
    pub compressor: Compressor,
    /// How much was asked to be kept.
    pub budget: AskedBudget,
    /// Form, time of eviction, positions and KV format.
    pub axes: Axes,
    /// Seed of what is random.
    pub seed: u64,
    /// What was scored.
    pub task: ScoredTask,
    /// Name of the text, or of the generated context.
    pub text: String,
    /// Register of the text, for example "dialogue"; the task for generated contexts.
    pub register: String,
    /// Tokens in the cache when it was compressed.
    pub context_tokens: usize,
    /// See the table.
    pub asked_entries: Option<usize>,
    /// See the table.
    pub kept_entries: Option<usize>,
    /// See the table.
    pub full_entries: Option<usize>,
    /// See the table.
    pub cache_bytes: Option<u64>,
    /// See the table.
    pub full_bytes: Option<u64>,
    /// First 16 hex digits of a SHA-256 over the kept positions.
    pub plan_hash: Option<String>,
    /// See the table.
    pub attention_cosine: Option<f64>,
    /// See the table.
    pub retained_mass: Option<f64>,
    /// See the table.
    pub output_error: Option<f64>,
    /// See the table.
    pub kl_nats: Option<f64>,
    /// See the table.
    pub agreement: Option<f64>,
    /// See the table.
    pub nll_nats: Option<f64>,
    /// See the table.
    pub nll_difference: Option<f64>,
    /// See the table.
    pub uniform_nats: Option<f64>,
    /// See the table.
    pub form_kl_nats: Option<f64>,
    /// See the table.
    pub form_agreement: Option<f64>,
    /// Tokens scored through the compressed cache.
    pub targets: usize,
    /// UTF-8 bytes of the scored tokens.
    pub bytes_scored: Option<usize>,
    /// See the table.
    pub first_divergence: Option<usize>,
    /// See the table.
    pub matching_fraction: Option<f64>,
    /// See the table.
    pub correct: Option<usize>,
    /// Questions asked.
    pub questions: usize,
    /// See the table.
    pub chance: Option<f64>,
    /// Where in the context the answer stands, from 0 at the start to 1 at the end.
    pub depth: Option<f64>,
    /// Why the cell failed, in one line (see [`one_line`]).
    pub error: Option<String>,
}

const KL: Option<Metric> = Some(Metric::Kl);
const ATTENTION: Option<Metric> = Some(Metric::Attention);
const ERROR: Option<Metric> = Some(Metric::OutputError);
const FREE: Option<Metric> = Some(Metric::FreeRunning);
const FORM: Option<Metric> = Some(Metric::Form);

/// One line a column. What follows from it: the header, the checks, `bitkv list metrics`, the tables of reports and
/// the table in docs/METRICS.md.
#[rustfmt::skip]
static COLUMNS: LazyLock<Vec<Column<GridRow>>> = LazyLock::new(|| {
    let mut columns: Vec<Column<GridRow>> = vec![
        identity!(key, required), identity!(experiment, required), identity!(model, required),
        identity!(weights), identity!(arithmetic), identity!(isa),
        identity!(policy, required), identity!(written), identity!(role), identity!(oracle), identity!(conserving), identity!(guard), identity!(compressor),
        identity!(budget, required),
    ];
    let axes: Vec<Column<GridRow>> = axis_columns!();
    let measured: Vec<Column<GridRow>> = vec![
        identity!(seed), identity!(task, required), identity!(text, required), identity!(register), identity!(context_tokens, required),
        measure!(asked_entries, None, "entries asked for", Entries, FROM_ONE, Neither, "keys and values that the budget comes to"),
        measure!(result kept_entries, None, "entries kept", Entries, FROM_ONE, Lower, "keys and values really kept"),
        measure!(full_entries, None, "entries of the full cache", Entries, FROM_ONE, Neither, "keys and values of the whole context"),
        measure!(cache_bytes, None, "cache", Bytes, FROM_ONE, Lower, "buffers of the compressed cache, all metadata of its format counted"),
        measure!(full_bytes, None, "full cache", Bytes, FROM_ONE, Neither, "buffers of the full cache in f16"),
        identity!(plan_hash),
        measure!(result attention_cosine, ATTENTION, "attention cosine, as published", Cosine, UNIT, Higher, "attention row and its kept part, as published"),
        measure!(result retained_mass, ATTENTION, "retained attention mass", Share, UNIT, Higher, "attention of the last query on what was kept"),
        measure!(result output_error, ERROR, "error of the attention output", Relative, FROM_ZERO, Lower, "error of the attention output by the norm of the output"),
        measure!(result kl_nats, KL, "KL", Nats, FROM_ZERO, Lower, "KL divergence of the next token from the full cache's"),
        measure!(result agreement, KL, "agreement", Share, UNIT, Higher, "most likely next token as with the full cache"),
        measure!(result nll_nats, KL, "NLL", Nats, FROM_ZERO, Lower, "negative log-likelihood of the text after the eviction"),
        measure!(result nll_difference, KL, "NLL less the full cache's", Nats, ANY, Lower, "the same less that through the full cache"),
        measure!(uniform_nats, KL, "NLL of guessing", Nats, FROM_ZERO, Neither, "what guessing any token of the vocabulary costs"),
        measure!(result form_kl_nats, FORM, "KL from the true form", Nats, FROM_ZERO, Lower, "KL divergence of the next token from the true form's, both with the full cache"),
        measure!(result form_agreement, FORM, "agreement with the true form", Share, UNIT, Higher, "most likely next token as in the true form, both with the full cache"),
        identity!(targets),
        measure!(bytes_scored, KL, "text scored", Bytes, FROM_ONE, Neither, "UTF-8 bytes of the scored tokens"),
        measure!(result first_divergence, FREE, "greedy tokens before the first difference", Tokens, FROM_ZERO, Higher, "length of the common prefix with the full cache's greedy continuation"),
        measure!(result matching_fraction, FREE, "greedy tokens that match", Share, UNIT, Higher, "tokens of a greedy continuation that are the full cache's"),
        measure!(result correct, None, "answers right", Answers, FROM_ZERO, Higher, "answers of a retrieval task that are right, of all questions"),
        identity!(questions),
        measure!(chance, None, "answers right by chance", Share, UNIT, Neither, "answers that guessing among the words of the context gets right"),
        identity!(depth),
        identity!(error),
    ];
    columns.extend(axes.into_iter().chain(measured));
    columns
});

/// A message in one line, as rows need it: line breaks and what surrounds them become one space.
pub fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Row for GridRow {
    const KIND: &'static str = "cell";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), String> {
        is_hash("key", &self.key)?;
        self.check_error()?;
        self.check_entries()?;
        self.check_scores()
    }

    /// Format 1 had no roles: they follow from the names of its policies.
    fn upgrade(&mut self) {
        let text = PolicyText::new(&self.policy);
        let is = |names: &[&str]| text.parts.iter().any(|part| names.contains(&part.name.as_str()));
        let published: Vec<&str> = PublishedRule::ALL.iter().map(|rule| rule.name()).collect();
        self.role = match text.parts.len() {
            1 if text.is_named(&["full"]) => PolicyRole::Full,
            1 if is(&published) => PolicyRole::Published,
            _ if self.oracle => PolicyRole::Oracle,
            _ if is(&["random", "entropy-permuted", "entropy-inverse"]) => PolicyRole::Control,
            _ => PolicyRole::Method,
        };
    }
}

impl GridRow {
    /// What a report calls the policy: the name of a preset as it was written, else the canonical text.
    pub fn policy_name(&self) -> &str {
        match self.written.contains(['+', '{']) || self.written.is_empty() {
            true => &self.policy,
            false => &self.written,
        }
    }

    /// A failed cell has no result, a measured one no error.
    fn check_error(&self) -> Result<(), String> {
        let Some(error) = &self.error else { return Ok(()) };
        if error.trim().is_empty() || error.contains(['\n', '\r']) {
            return Err(format!("error = {error:?} is not one line of text"));
        }
        let given = |column: &&Column<Self>| column.is_result && !(column.get)(self).is_missing();
        match COLUMNS.iter().find(given) {
            Some(column) => Err(format!("{} is given although error says that the cell failed", column.name)),
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
        // Only of an eviction that happens once is the size known beforehand.
        if let (true, Some(asked), Some(kept)) = (self.conserving, self.asked_entries, self.kept_entries)
            && self.axes.when == When::ONCE
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
        match self.depth.filter(|depth| !UNIT_RANGE.contains(depth)) {
            Some(depth) => Err(format!("depth = {depth} is not between 0 and 1")),
            None => Ok(()),
        }
    }
}

/// Depths, 0 to 1.
const UNIT_RANGE: std::ops::RangeInclusive<f64> = UNIT.0..=UNIT.1;

pub(crate) fn is_hash(name: &str, text: &str) -> Result<(), String> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    match text.len() == DIGITS && text.bytes().all(digit) {
        true => Ok(()),
        false => Err(format!("{name} = '{text}' is not {DIGITS} lower-case hex digits")),
    }
}

#[cfg(test)]
mod tests;

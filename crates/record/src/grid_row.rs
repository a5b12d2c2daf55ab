//! `rows.csv`: one row for each cell of an experiment, whether it was measured or failed.

mod format_1;

use crate::column::{ANY, FROM_ONE, FROM_ZERO, UNIT, rows, unit};
use crate::{
    Arithmetic, AskedBudget, Axes, Column, Compressor, IsaClass, PolicyRole, Row, RowError, ScoredTask,
    WeightKind, When, column::Need,
};

/// Hex digits of a cell's key and of the hash of a plan.
const DIGITS: usize = 16;

rows! {
    /// One cell: a model on one context under a policy at a budget. Where [`GridRow::error`] says why it
    /// failed, it has no results.
    GridRow;

    /// What the cell is of: the first 16 hex digits of a SHA-256 over model, tokens, policy, budget, axes and
    /// code.
    key: String, Required;
    /// Name of the experiment.
    experiment: String, Required;
    /// Name of the model, with the mark of its form where that is not the true one.
    model: String, Required;
    /// Which kind of weights the model was trained with; empty in files of format 1.
    weights: Option<WeightKind>, Optional;
    /// What the linear layers multiplied; empty in files of format 1.
    arithmetic: Option<Arithmetic>, Optional;
    /// The instruction sets that the numbers hold for; empty in files of format 1.
    isa: Option<IsaClass>, Optional;
    /// Canonical policy specification; "full" for the full cache.
    policy: String, Required;
    /// The policy as the definition writes it, such as the name of a preset; empty in files of format 1.
    written: String, Optional;
    /// The role of the policy.
    role: PolicyRole, Optional;
    /// Whether the policy sees what no deployable policy can.
    oracle: bool, Optional;
    /// Whether the policy keeps exactly the entries asked for.
    conserving: bool, Optional;
    /// The tokens that the policy protects whatever their score, such as `sinks=4 recent=8`; empty for rules.
    guard: String, Optional;
    /// What became of what was not kept.
    compressor: Compressor, Optional;
    /// How much was asked to be kept.
    budget: AskedBudget, Required;
    /// Form, time of eviction, positions and KV format.
    axes: Axes, axes;
    /// Seed of what is random.
    seed: u64, Optional;
    /// What was scored.
    task: ScoredTask, Required;
    /// Name of the text, or of the generated context.
    text: String, Required;
    /// Register of the text, for example "dialogue"; the task for generated contexts.
    register: String, Optional;
    /// Tokens in the cache when it was compressed.
    context_tokens: usize, Required;
    asked_entries: Option<usize>, Optional, "entries asked for", Entries, FROM_ONE, Neither,
        "keys and values that the budget comes to";
    kept_entries: Option<usize>, Result, "entries kept", Entries, FROM_ONE, Lower,
        "keys and values really kept";
    full_entries: Option<usize>, Optional, "entries of the full cache", Entries, FROM_ONE, Neither,
        "keys and values of the whole context";
    cache_bytes: Option<u64>, Optional, "cache", Bytes, FROM_ONE, Lower,
        "buffers of the compressed cache, all metadata of its format counted";
    full_bytes: Option<u64>, Optional, "full cache", Bytes, FROM_ONE, Neither,
        "buffers of the full cache in f16";
    /// First 16 hex digits of a SHA-256 over the kept positions.
    plan_hash: Option<String>, Optional;
    attention_cosine: Option<f64>, Result, "attention cosine, as published" of Attention, Cosine, UNIT,
        Higher, "attention row and its kept part, as published";
    retained_mass: Option<f64>, Result, "retained attention mass" of Attention, Share, UNIT, Higher,
        "attention of the last query on what was kept";
    output_error: Option<f64>, Result, "error of the attention output" of OutputError, Relative, FROM_ZERO,
        Lower, "error of the attention output by the norm of the output";
    kl_nats: Option<f64>, Result, "KL" of Kl, Nats, FROM_ZERO, Lower,
        "KL divergence of the next token from the full cache's";
    agreement: Option<f64>, Result, "agreement" of Kl, Share, UNIT, Higher,
        "most likely next token as with the full cache";
    nll_nats: Option<f64>, Result, "NLL" of Kl, Nats, FROM_ZERO, Lower,
        "negative log-likelihood of the text after the eviction";
    nll_difference: Option<f64>, Result, "NLL less the full cache's" of Kl, Nats, ANY, Lower,
        "the same less that through the full cache";
    uniform_nats: Option<f64>, Optional, "NLL of guessing" of Kl, Nats, FROM_ZERO, Neither,
        "what guessing any token of the vocabulary costs";
    form_kl_nats: Option<f64>, Result, "KL from the true form" of Form, Nats, FROM_ZERO, Lower,
        "KL divergence of the next token from the true form's, both with the full cache";
    form_agreement: Option<f64>, Result, "agreement with the true form" of Form, Share, UNIT, Higher,
        "most likely next token as in the true form, both with the full cache";
    /// Tokens scored through the compressed cache.
    targets: usize, Optional;
    bytes_scored: Option<usize>, Optional, "text scored" of Kl, Bytes, FROM_ONE, Neither,
        "UTF-8 bytes of the scored tokens";
    first_divergence: Option<usize>, Result, "greedy tokens before the first difference" of FreeRunning,
        Tokens, FROM_ZERO, Higher, "length of the common prefix with the full cache's greedy continuation";
    matching_fraction: Option<f64>, Result, "greedy tokens that match" of FreeRunning, Share, UNIT, Higher,
        "tokens of a greedy continuation that are the full cache's";
    correct: Option<usize>, Result, "answers right", Answers, FROM_ZERO, Higher,
        "answers of a retrieval task that are right, of all questions";
    /// Questions asked.
    questions: usize, Optional;
    chance: Option<f64>, Optional, "answers right by chance", Share, UNIT, Neither,
        "answers that guessing among the words of the context gets right";
    /// Where in the context the answer stands, from 0 at the start to 1 at the end.
    depth: Option<f64>, Optional;
    /// Why the cell failed, in one line (see [`one_line`]).
    error: Option<String>, Optional;
}

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

    fn check(&self) -> Result<(), RowError> {
        is_hash("key", &self.key)?;
        self.check_error()?;
        self.check_entries()?;
        self.check_scores()
    }

    fn upgrade(&mut self) {
        self.role = format_1::role(&self.policy, self.oracle);
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
    fn check_error(&self) -> Result<(), RowError> {
        let Some(error) = &self.error else { return Ok(()) };
        if error.trim().is_empty() || error.contains(['\n', '\r']) {
            return Err(RowError::NotOneLine { error: error.clone() });
        }
        let given = |column: &&Column<Self>| column.need == Need::Result && !(column.get)(self).is_missing();
        match COLUMNS.iter().find(given) {
            Some(column) => Err(RowError::ResultOfFailure { column: column.name }),
            None => Ok(()),
        }
    }

    fn check_entries(&self) -> Result<(), RowError> {
        if let Some(hash) = &self.plan_hash {
            is_hash("plan_hash", hash)?;
        }
        if let (Some(kept), Some(full)) = (self.kept_entries, self.full_entries)
            && kept > full
        {
            return Err(RowError::MoreThanFull { kept, full });
        }
        // Only of an eviction that happens once is the size known beforehand.
        if let (true, Some(asked), Some(kept)) = (self.conserving, self.asked_entries, self.kept_entries)
            && self.axes.when == When::ONCE
            && asked != kept
        {
            return Err(RowError::NotConserved { kept, asked });
        }
        Ok(())
    }

    fn check_scores(&self) -> Result<(), RowError> {
        if self.correct.is_some_and(|correct| correct > self.questions) {
            return Err(RowError::MoreAnswersThanQuestions { questions: self.questions });
        }
        if self.targets == 0 && (self.kl_nats.or(self.agreement).or(self.nll_nats)).is_some() {
            return Err(RowError::NoTargets);
        }
        unit("depth", self.depth)
    }
}

pub(crate) fn is_hash(column: &'static str, text: &str) -> Result<(), RowError> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    match text.len() == DIGITS && text.bytes().all(digit) {
        true => Ok(()),
        false => Err(RowError::NotAHash { column, text: text.to_owned(), digits: DIGITS }),
    }
}

#[cfg(test)]
mod tests;

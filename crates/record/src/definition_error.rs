//! Errors of experiment definitions.

use crate::{Form, KvFormat, MetricGroup, ScoredTask, When};

/// The most characters of the name of a section. Files are named after it.
pub(crate) const MOST_CHARACTERS: usize = 100;

/// Why a definition cannot be used. The message is a clause with the key, its value and the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum DefinitionError {
    /// The text is not TOML, or a key is unknown, missing or has the wrong value.
    #[error("{0}")]
    Key(String),
    #[error(
        "format = {format} is newer than this version of bitkv, which reads formats up to {known}: use a newer bitkv"
    )]
    NewerFormat { format: i64, known: usize },
    #[error("format must be a whole number of at least 1: write format = {known}")]
    NoFormat { known: usize },
    #[error(
        "name = \"{name}\" is not a valid name: use at most {MOST_CHARACTERS} lower-case letters, digits and hyphens"
    )]
    Name { name: String },
    #[error("two sections are named '{name}': rename one of them")]
    NameTwice { name: String },
    #[error("budgets lacks 1.0, at which every policy must leave the output unchanged: add 1.0")]
    NoFullBudget,
    #[error(
        "budgets: '{budget}' is more than the {tokens} tokens of a context of task '{task}': write a smaller budget"
    )]
    BudgetAboveContext { budget: String, tokens: usize, task: ScoredTask },
    #[error("controls = false needs a reason: write it in the key analysis of this experiment")]
    NoReason,
    #[error("pairs: '{policy}' is not in policies: add it there, or {}", suggestion(.policy, .known))]
    UnknownPair { policy: String, known: Vec<String> },
    #[error("pairs: '{policy}' is paired with itself: name another policy, or remove the pair")]
    SamePair { policy: String },
    #[error(
        "equivalence tests the policies of pairs, and the values of forms, when, positions and kv, but there are no pairs \
         and every axis has one value: add pairs = [[\"FIRST\", \"SECOND\"]] or a second value, or remove equivalence"
    )]
    NothingToTest,
    #[error(
        "equivalence.accuracy is the margin of right answers, but no task has answers: add a task such as \"passkey\", \
         or remove accuracy"
    )]
    NoAnswers,
    #[error(
        "when: '{when}' has chunks of {chunk} tokens, so a context of {shortest} tokens of task '{task}' is never \
         divided: write {}",
        shorter_chunk(*.when, *.shortest)
    )]
    LongChunk { when: When, chunk: usize, shortest: usize, task: ScoredTask },
    #[error(
        "when: '{when}' evicts after every {every} decoded tokens, but horizon = {horizon} is not longer: {}raise \
         horizon",
        if *.horizon > 1 { format!("set `every` below {horizon}, or ") } else { String::new() }
    )]
    ShortHorizon { when: When, every: usize, horizon: usize },
    #[error("context + horizon is too large: write smaller numbers")]
    TooLong,
    #[error("tasks lists '{task}' with {tokens} tokens twice: list it once, with a larger count")]
    TaskTwice { task: ScoredTask, tokens: usize },
    #[error("metrics lacks \"kl\", which the check at budget 1.0 needs: add \"kl\"")]
    NoKl,
    #[error(
        "metrics lists \"{}\", which compares the forms of a model, but forms does not list both: add \
         forms = [\"{}\", \"{}\"], or remove the metric",
        MetricGroup::Form,
        Form::True,
        Form::PlainLlama
    )]
    OneForm,
    #[error(
        "equal = \"bytes\" compares KV formats, but kv lists only {kv}: add another format to kv, or remove equal"
    )]
    OneKvFormat { kv: KvFormat },
    #[error(
        "policies lacks {}, which every experiment needs as {}: add {}, or write controls = false and give the \
         reason in the key analysis of this experiment",
        crate::listed(.lacking),
        if .lacking.len() == 1 { "a reference" } else { "references" },
        crate::listed(.examples)
    )]
    NoControl { lacking: Vec<&'static str>, examples: Vec<&'static str> },
    #[error(
        "metrics lists \"{}\", which needs the full cache, but policies does not list it: add \"full\"",
        MetricGroup::Form
    )]
    FormWithoutFull,
}

/// Returns what to write instead of a time of eviction whose chunks are not shorter than a context: the same
/// with half of the context, and without chunks.
fn shorter_chunk(when: When, context: usize) -> String {
    let whole = When { prefill_chunk: None, ..when };
    match context / 2 {
        0 => format!("\"{whole}\""),
        half => format!("\"{}\" instead, or \"{whole}\"", When { prefill_chunk: Some(half), ..when }),
    }
}

/// Returns what to write instead of a policy that is not in the list: the nearest name, or another of all
/// names.
fn suggestion(policy: &str, known: &[String]) -> String {
    bitkv_spelling::suggestion(policy, &known.iter().map(String::as_str).collect::<Vec<_>>())
}

impl From<String> for DefinitionError {
    fn from(clause: String) -> Self {
        Self::Key(clause)
    }
}

impl From<&str> for DefinitionError {
    fn from(clause: &str) -> Self {
        Self::Key(clause.to_owned())
    }
}

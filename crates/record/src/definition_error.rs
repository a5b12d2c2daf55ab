//! Errors of experiment definitions.

use crate::{Form, KvFormat, Metric, ScoredTask, When};

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
    #[error("format is not the version of a format: write format = {known}")]
    NoFormat { known: usize },
    #[error("name = \"{name}\" cannot be: use lower-case letters, digits and hyphens")]
    Name { name: String },
    #[error("two sections are named '{name}': rename one of them")]
    NameTwice { name: String },
    #[error("budgets lacks 1.0, at which a policy must change nothing: add 1.0")]
    NoFullBudget,
    #[error(
        "budgets: '{budget}' is more than the {tokens} tokens of a context of task '{task}': ask for fewer"
    )]
    BudgetAboveContext { budget: String, tokens: usize, task: ScoredTask },
    #[error("controls = false needs a reason: give it in analysis of this experiment")]
    NoReason,
    #[error("pairs: '{policy}' is not among policies: add it there, or {}", instead(.policy, .known))]
    UnknownPair { policy: String, known: Vec<String> },
    #[error("pairs: '{policy}' is paired with itself: name another policy, or remove the pair")]
    SamePair { policy: String },
    #[error(
        "when: '{when}' has chunks of {chunk} tokens, so that a context of {shortest} is never divided: write \
         prefill-chunk below {shortest}, or \"once\""
    )]
    LongChunk { when: When, chunk: usize, shortest: usize },
    #[error(
        "when: '{when}' cuts every {every} tokens, but horizon = {horizon} is not longer: write every below {horizon}, \
         or raise horizon"
    )]
    ShortHorizon { when: When, every: usize, horizon: usize },
    #[error("context and horizon together are too large: write smaller ones")]
    TooLong,
    #[error("tasks lists '{task}' with {tokens} tokens twice: raise count instead")]
    TaskTwice { task: ScoredTask, tokens: usize },
    #[error("metrics lacks \"kl\", by which the check at budget 1.0 is made: add it")]
    NoKl,
    #[error(
        "metrics lists \"{}\", which compares the forms of a model, but forms does not list both: add \
         forms = [\"{}\", \"{}\"], or remove the metric",
        Metric::Form,
        Form::True,
        Form::PlainLlama
    )]
    OneForm,
    #[error("equal = \"bytes\" compares KV formats, but kv lists only {kv}: list another, or remove equal")]
    OneKvFormat { kv: KvFormat },
    #[error(
        "policies lacks {lacking}, without which nothing can be judged: add \"{example}\", or write controls = false \
         and the reason in analysis of this experiment"
    )]
    NoControl { lacking: &'static str, example: &'static str },
    #[error(
        "metrics lists \"{}\", which is measured on the full cache, but policies does not list it: add \"full\"",
        Metric::Form
    )]
    FormWithoutFull,
}

fn instead(policy: &str, known: &[String]) -> String {
    bitkv_spelling::instead(policy, &known.iter().map(String::as_str).collect::<Vec<_>>())
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

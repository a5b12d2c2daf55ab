//! The published claims: functions from rows to statements to verdicts.
//!
//! A claim is taken apart into statements that the rows of a run decide. Before that its instrument is checked, in
//! the module `instrument`: on a model that does not predict better than guessing, no statement about compression
//! means anything, and the verdict says so.

mod compression;
mod heads;
mod instrument;
mod memory;
mod plain_llama;
#[cfg(test)]
mod tests;

use crate::Run;
use crate::format::estimate;
use crate::interval::Estimate;
use crate::unique::unique;
use bitkv_record::{ClaimId, GridRow};
use serde::{Serialize, Serializer};

/// `verification.json`: the published claims, what was measured, and whether each holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// The claims, each with its verdict.
    pub claims: Vec<Claim>,
    /// Models measured.
    pub models: Vec<String>,
    /// The run folder, where there is one.
    pub run: Option<String>,
}

/// One published claim beside its measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Which claim.
    pub id: ClaimId,
    /// One line for people.
    pub title: String,
    /// What tells most: what it is, what was published, what this run found.
    pub key_numbers: Vec<[String; 3]>,
    /// The claim, taken apart into statements that can be tested.
    pub statements: Vec<Statement>,
    /// The published numbers, for programs.
    pub published: serde_json::Value,
    /// The measured numbers, for programs.
    pub measured: serde_json::Value,
    /// What the statements amount to; always [`verdict`] of them.
    pub verdict: Verdict,
}

/// What a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementRole {
    /// Part of what was published; decides the verdict.
    Claim,
    /// Whether the published figures follow from the published inputs; says nothing about the world.
    Reproduction,
    /// Whether the claim was tested by means that could have failed it, or carries over; decides nothing.
    Check,
}

/// One testable statement of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What is stated.
    pub text: String,
    /// What was published, formatted.
    pub published: String,
    /// What was measured, formatted; empty when nothing was.
    pub measured: String,
    /// Whether it holds; none when it was not tested.
    pub holds: Option<bool>,
    /// Why it holds, fails or was not tested.
    pub reason: String,
    /// What it is for.
    pub role: StatementRole,
    /// The check of the instrument that failed, so that the statement cannot be decided on this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_check: Option<String>,
}

/// What a claim's statements amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every statement was tested and holds.
    Holds,
    /// Some statements hold; others do not, or were not tested.
    PartlyHolds,
    /// At least one statement was tested and none holds.
    DoesNotHold,
    /// No statement was tested.
    NotTested,
    /// No statement can be tested on the models of this run, because the instrument fails its checks there.
    CannotBeDecided,
}

impl Verdict {
    /// The words used in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::PartlyHolds => "partly holds",
            Self::DoesNotHold => "does not hold",
            Self::NotTested => "not tested",
            Self::CannotBeDecided => "cannot be decided on this model",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The verdict on a claim, from the statements that are part of it ([`StatementRole::Claim`]). A statement that was not
/// tested keeps a claim from holding altogether, because "holds" is said of the whole claim.
pub fn verdict(statements: &[Statement]) -> Verdict {
    let parts = || statements.iter().filter(|s| s.role == StatementRole::Claim);
    let held = parts().filter(|s| s.holds == Some(true)).count();
    let tested = parts().filter(|s| s.holds.is_some()).count();
    match (held, tested) {
        (_, 0) if parts().any(|s| s.failing_check.is_some()) => Verdict::CannotBeDecided,
        (_, 0) => Verdict::NotTested,
        (0, _) => Verdict::DoesNotHold,
        (held, _) if held == parts().count() => Verdict::Holds,
        _ => Verdict::PartlyHolds,
    }
}

impl Claim {
    /// A claim with the verdict its statements amount to.
    pub fn new(
        id: ClaimId,
        title: impl Into<String>,
        statements: Vec<Statement>,
        key_numbers: Vec<[String; 3]>,
        published: serde_json::Value,
        measured: serde_json::Value,
    ) -> Self {
        let verdict = verdict(&statements);
        Self { id, title: title.into(), key_numbers, statements, published, measured, verdict }
    }
}

impl Verification {
    /// The document as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The claims that the definition asks for, in its order.
pub fn all(run: &Run<'_>) -> Vec<Claim> {
    let claim = |id: &ClaimId| match id {
        ClaimId::Memory => memory::claim(run),
        ClaimId::Heads => heads::claim(run),
        ClaimId::Compression => compression::claim(run),
        ClaimId::PlainLlama => plain_llama::claim(run),
    };
    run.definition.claims.iter().map(claim).collect()
}

/// The claims with the models and the folder of a run.
pub fn verification(run: &Run<'_>) -> Verification {
    Verification { claims: all(run), models: models(run), run: run.folder.map(str::to_owned) }
}

/// Names of the models of a run.
pub fn models(run: &Run<'_>) -> Vec<String> {
    run.manifest.models.iter().map(|model| model.name.clone()).collect()
}

/// A statement that was tested.
fn tested(text: &str, published: String, measured: String, holds: bool, reason: String) -> Statement {
    decided(text, published, measured, Some(holds), reason)
}

/// A statement that an interval decides, or leaves open.
fn decided(
    text: &str,
    published: String,
    measured: String,
    holds: Option<bool>,
    reason: String,
) -> Statement {
    let reason = if holds.is_some() { reason } else { format!("{reason}; this leaves it open") };
    let (role, failing_check) = (StatementRole::Claim, None);
    Statement { text: text.into(), published, measured, holds, reason, role, failing_check }
}

/// A statement of whose rows none is there.
fn missing(text: &str, published: String) -> Statement {
    untested(text, published, "the run has no rows for it".into())
}

/// A statement that the rows at hand cannot decide.
fn untested(text: &str, published: String, reason: String) -> Statement {
    let (measured, role, failing_check) = (String::new(), StatementRole::Claim, None);
    Statement { text: text.into(), published, measured, holds: None, reason, role, failing_check }
}

/// The same statement as one that only reproduces published arithmetic.
fn reproduction(statement: Statement) -> Statement {
    let text = format!("Reproduction: {}", statement.text);
    Statement { role: StatementRole::Reproduction, text, ..statement }
}

/// Marks a statement as a check of the claim's means, which decides nothing, and prefixes the model's name.
fn check(model: &str, statement: Statement) -> Statement {
    Statement { role: StatementRole::Check, text: format!("{model}: check: {}", statement.text), ..statement }
}

/// The statements about a model, undecided where the instrument fails there; what was measured stays.
fn judged(failing: Option<String>, statements: Vec<Statement>) -> Vec<Statement> {
    let Some(failing) = failing else { return statements };
    let undecided = |statement: Statement| match statement.role {
        StatementRole::Claim => Statement {
            holds: None,
            reason: format!("cannot be decided on this model: {failing}"),
            failing_check: Some(failing.clone()),
            ..statement
        },
        _ => statement,
    };
    statements.into_iter().map(undecided).collect()
}

/// Whether a mean reaches `figure`: yes if its whole 95 % interval does, no if none of it does. A single text has no
/// interval, so that nothing is decided on it.
fn reaches(found: &Estimate, figure: f64) -> Option<bool> {
    match found.interval? {
        (low, _) if low >= figure => Some(true),
        (_, high) if high < figure => Some(false),
        _ => None,
    }
}

/// A fraction in percent.
fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// A mean with its interval; without one it says why nothing is decided.
fn show(found: &Estimate, print: impl Fn(f64) -> String) -> String {
    let alone = if found.interval.is_none() { " on a single text" } else { "" };
    estimate(Some(*found), print) + alone
}

/// Prints a number times a factor; what rounds to 0 has no sign.
fn decimals(factor: f64, decimals: usize) -> impl Fn(f64) -> String {
    move |value| format!("{:.decimals$}", factor * value + 0.0)
}

/// The rows of one model that claims are decided on: of the first experiment that has the model, with the first value
/// on every axis but the form.
struct Cells<'a> {
    rows: Vec<&'a GridRow>,
    model: &'a str,
    seed: u64,
}

impl<'a> Cells<'a> {
    /// Of every model of a run, in order of first appearance; cells that failed are left out.
    fn of_models(run: &Run<'a>) -> Vec<Cells<'a>> {
        let measured = || run.rows.iter().filter(|row| row.error.is_none());
        let of = |model: &'a str| {
            let mut rows: Vec<&GridRow> = measured().filter(|row| row.model == model).collect();
            if let Some((experiment, axes)) = rows.first().map(|first| (&first.experiment, first.axes)) {
                rows.retain(|row| row.experiment == *experiment && row.axes == axes);
            }
            Cells { rows, model, seed: run.manifest.seed }
        };
        unique(measured().map(|row| row.model.as_str())).into_iter().map(of).collect()
    }
}

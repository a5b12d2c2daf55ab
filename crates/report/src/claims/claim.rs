//! A claim, the statements it is taken apart into, and the verdict on them.

use bitkv_record::ClaimId;
use serde::Serialize;

use crate::verdict::Verdict;

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

//! A claim, its statements, and the verdict that follows from them.

use bitkv_record::ClaimId;
use serde::Serialize;

use super::evidence::{Evidence, RowFilter};
use crate::verdict::Verdict;

/// One published claim with its measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Identifies the claim.
    pub id: ClaimId,
    /// The claim in one line, for people.
    pub title: String,
    /// The most important numbers. Each is a description, the published value and the value of this run.
    pub key_numbers: Vec<[String; 3]>,
    /// The testable statements that the claim consists of.
    pub statements: Vec<Statement>,
    /// The published numbers, for programs.
    pub published: serde_json::Value,
    /// The measured numbers, for programs.
    pub measured: serde_json::Value,
    /// The verdict on the claim: always [`verdict`] of its statements.
    pub verdict: Verdict,
}

/// What a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementRole {
    /// The statement is part of the claim and counts towards the verdict.
    Claim,
    /// The statement says whether the published figures follow from the published inputs. It does not count.
    Reproduction,
    /// The statement checks the method: whether the test could have failed, or carries over. It does not
    /// count.
    Check,
}

/// One testable statement of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The statement in words.
    pub text: String,
    /// The published value, as text.
    pub published: String,
    /// The measured value, as text. It is empty if nothing was measured.
    pub measured: String,
    /// Whether the statement holds, or `None` if it was not tested, or if the measurement leaves it open.
    pub holds: Option<bool>,
    /// The rule that decides the statement, in words. It is empty if nothing was measured.
    pub rule: String,
    /// What the numbers mean, or why the statement was not decided, in whole sentences.
    pub reason: String,
    /// The rows that decide the statement; `None` for arithmetic on published numbers, and if nothing was
    /// measured.
    pub rows: Option<RowFilter>,
    /// The command that measures these rows again; empty without rows.
    pub command: String,
    /// The role of the statement.
    pub role: StatementRole,
    /// The check that the model failed, if that is why the statement cannot be decided on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_check: Option<String>,
}

/// Returns the verdict on a claim. Only statements that are part of the claim count
/// ([`StatementRole::Claim`]). A claim with a statement that was not decided never "holds", because "holds"
/// refers to the whole claim.
pub fn verdict(statements: &[Statement]) -> Verdict {
    let counted = || statements.iter().filter(|s| s.role == StatementRole::Claim);
    let held = counted().filter(|s| s.holds == Some(true)).count();
    let tested = counted().filter(|s| s.holds.is_some()).count();
    match (held, tested) {
        (_, 0) if counted().any(|s| s.failing_check.is_some()) => Verdict::CannotBeDecided,
        (_, 0) => Verdict::NotTested,
        (0, _) => Verdict::DoesNotHold,
        (held, _) if held == counted().count() => Verdict::Holds,
        _ => Verdict::PartlyHolds,
    }
}

impl Statement {
    /// Returns the statement with the rows that decide it.
    pub(super) fn decided_by(self, Evidence { rows, command }: Evidence) -> Self {
        Self { rows: Some(rows), command, ..self }
    }
}

impl Claim {
    /// Returns the statement that decides the claim best: the first that does not hold, or the first that
    /// holds if all do. It is `None` if no statement was decided.
    pub fn deciding(&self) -> Option<&Statement> {
        let counted = |holds| {
            let mut statements = self.statements.iter();
            statements.find(move |s| s.role == StatementRole::Claim && s.holds == Some(holds))
        };
        counted(false).or_else(|| counted(true))
    }

    /// Returns a claim with the verdict that follows from its statements.
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

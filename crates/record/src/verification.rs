//! `verification.json`: the published claims, what was measured, and whether each holds.

use crate::{RecordError, json};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KIND: &str = "verification";

/// The outcome of a verification run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The claims, each with its verdict.
    pub claims: Vec<Claim>,
    /// Models measured.
    pub models: Vec<String>,
    /// The run folder, where one was written.
    pub run: Option<String>,
}

/// Which of the published claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimId {
    /// How much of the memory is KV cache.
    Memory,
    /// How attention heads divide into classes by entropy.
    Heads,
    /// What compressing the cache costs.
    Compression,
}

impl ClaimId {
    /// The name in files and anchors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Heads => "heads",
            Self::Compression => "compression",
        }
    }
}

/// One published claim beside its measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Which claim.
    pub id: ClaimId,
    /// One line for people.
    pub title: String,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Part of what was published; decides the verdict.
    #[default]
    Claim,
    /// Whether the published figures follow from the published inputs; says nothing about the world.
    Reproduction,
    /// Whether the claim was tested by means that could have failed it, or carries over; decides nothing.
    Check,
}

/// One testable statement of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    #[serde(default)]
    pub role: Role,
}

/// What a claim's statements amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Every statement was tested and holds.
    #[serde(rename = "holds")]
    Holds,
    /// Some statements hold; others do not, or were not tested.
    #[serde(rename = "partly holds")]
    PartlyHolds,
    /// At least one statement was tested and none holds.
    #[serde(rename = "does not hold")]
    DoesNotHold,
    /// No statement was tested.
    #[serde(rename = "not tested")]
    NotTested,
}

impl Verdict {
    /// The words used in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::PartlyHolds => "partly holds",
            Self::DoesNotHold => "does not hold",
            Self::NotTested => "not tested",
        }
    }
}

/// The verdict on a claim, from the statements that are part of it ([`Role::Claim`]). A statement that was not
/// tested keeps a claim from holding altogether, because "holds" is said of the whole claim.
pub fn verdict(statements: &[Statement]) -> Verdict {
    let parts = || statements.iter().filter(|s| s.role == Role::Claim);
    let held = parts().filter(|s| s.holds == Some(true)).count();
    let tested = parts().filter(|s| s.holds.is_some()).count();
    match (held, tested) {
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
        published: serde_json::Value,
        measured: serde_json::Value,
    ) -> Self {
        let verdict = verdict(&statements);
        Self { id, title: title.into(), statements, published, measured, verdict }
    }
}

impl Verification {
    /// Reads a verification. Refuses unknown keys, a claim given twice and a verdict that does not follow from its
    /// statements.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        Self::from_json(&json::read_text(path)?, &path.display().to_string())
    }

    /// Parses a verification; `file` names the text in errors.
    pub fn from_json(text: &str, file: &str) -> Result<Self, RecordError> {
        let verification: Self = json::parse(text, file, KIND)?;
        verification.check(file)?;
        Ok(verification)
    }

    /// The document as indented JSON: what the file holds and what `bitkv verify --json` prints.
    pub fn to_json(&self) -> Result<String, RecordError> {
        self.check(KIND)?;
        json::render(self, KIND, KIND)
    }

    /// Writes the verification, refusing what [`Verification::read`] would refuse.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        self.check(&path.display().to_string())?;
        json::write_text(path, &self.to_json()?)
    }

    fn check(&self, file: &str) -> Result<(), RecordError> {
        let refuse = |reason| Err(RecordError::Content { file: file.to_owned(), kind: KIND, reason });
        for (i, claim) in self.claims.iter().enumerate() {
            let name = claim.id.name();
            if self.claims[..i].iter().any(|earlier| earlier.id == claim.id) {
                return refuse(format!("claim '{name}' appears twice"));
            }
            let expected = verdict(&claim.statements);
            if claim.verdict != expected {
                let (found, expected) = (claim.verdict.name(), expected.name());
                return refuse(format!(
                    "verdict of claim '{name}' is '{found}' but its statements say '{expected}'"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(holds: &[Option<bool>]) -> Vec<Statement> {
        let one = |&holds: &Option<bool>| Statement {
            text: "KV share at 2048".into(),
            published: "65.4 %".into(),
            measured: "65.4 %".into(),
            holds,
            reason: "same formula".into(),
            role: Role::Claim,
        };
        holds.iter().map(one).collect()
    }

    #[test]
    fn the_verdict_follows_from_the_statements() {
        let (yes, no, untested) = (Some(true), Some(false), None);
        let cases: [(&[Option<bool>], Verdict); 9] = [
            (&[], Verdict::NotTested),
            (&[untested, untested], Verdict::NotTested),
            (&[yes], Verdict::Holds),
            (&[yes, yes], Verdict::Holds),
            (&[yes, no], Verdict::PartlyHolds),
            (&[yes, untested], Verdict::PartlyHolds),
            (&[yes, no, untested], Verdict::PartlyHolds),
            (&[no, no], Verdict::DoesNotHold),
            (&[no, untested], Verdict::DoesNotHold),
        ];
        for (holds, expected) in cases {
            assert_eq!(verdict(&statements(holds)), expected, "{holds:?}");
        }
    }

    #[test]
    fn reproductions_and_checks_decide_nothing() {
        let with = |role, holds| Statement { role, ..statements(&[holds]).remove(0) };
        let aside =
            [with(Role::Reproduction, Some(true)), with(Role::Check, Some(false)), with(Role::Check, None)];
        assert_eq!(verdict(&aside), Verdict::NotTested);
        for (holds, expected) in [(true, Verdict::Holds), (false, Verdict::DoesNotHold)] {
            let all: Vec<_> = aside.iter().cloned().chain([with(Role::Claim, Some(holds))]).collect();
            assert_eq!(verdict(&all), expected);
        }
    }

    #[test]
    fn a_verification_reads_back_equal_and_uses_the_promised_words() {
        let numbers = serde_json::json!({"kv_fraction": 0.654});
        let claim = Claim::new(
            ClaimId::Memory,
            "t",
            statements(&[Some(true), Some(false)]),
            numbers.clone(),
            numbers,
        );
        let verification = Verification { claims: vec![claim], models: vec!["m".into()], run: None };
        let text = verification.to_json().unwrap();
        assert!(
            text.contains(r#""id": "memory""#) && text.contains(r#""verdict": "partly holds""#),
            "{text}"
        );
        assert_eq!(Verification::from_json(&text, "v.json").unwrap(), verification);
        for verdict in [Verdict::Holds, Verdict::PartlyHolds, Verdict::DoesNotHold, Verdict::NotTested] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
    }

    #[test]
    fn a_verdict_that_does_not_follow_is_refused() {
        let claim = Claim {
            verdict: Verdict::Holds,
            ..Claim::new(ClaimId::Heads, "t", statements(&[Some(false)]), ().into(), ().into())
        };
        let verification = Verification { claims: vec![claim.clone()], models: vec![], run: None };
        let message = verification.to_json().unwrap_err().to_string();
        assert!(message.contains("heads") && message.contains("does not hold"), "{message}");
        let good = Claim { verdict: Verdict::DoesNotHold, ..claim };
        let twice = Verification { claims: vec![good.clone(), good], models: vec![], run: None };
        assert!(twice.to_json().unwrap_err().to_string().contains("twice"));
    }
}

//! Statements in words: how they are made, marked and judged, and how their numbers are printed.

use crate::format::estimate;
use crate::interval::Estimate;

use super::claim::{Statement, StatementRole};

/// A statement that was tested.
pub(super) fn tested(
    text: &str,
    published: String,
    measured: String,
    holds: bool,
    reason: String,
) -> Statement {
    decided(text, published, measured, Some(holds), reason)
}

/// A statement that an interval decides, or leaves open.
pub(super) fn decided(
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
pub(super) fn missing(text: &str, published: String) -> Statement {
    untested(text, published, "the run has no rows for it".into())
}

/// A statement that the rows at hand cannot decide.
pub(super) fn untested(text: &str, published: String, reason: String) -> Statement {
    let (measured, role, failing_check) = (String::new(), StatementRole::Claim, None);
    Statement { text: text.into(), published, measured, holds: None, reason, role, failing_check }
}

/// The same statement as one that only reproduces published arithmetic.
pub(super) fn reproduction(statement: Statement) -> Statement {
    let text = format!("Reproduction: {}", statement.text);
    Statement { role: StatementRole::Reproduction, text, ..statement }
}

/// Marks a statement as a check of the claim's means, which decides nothing, and prefixes the model's name.
pub(super) fn check(model: &str, statement: Statement) -> Statement {
    Statement { role: StatementRole::Check, text: format!("{model}: check: {}", statement.text), ..statement }
}

/// The statements about a model, undecided where the instrument fails there; what was measured stays.
pub(super) fn judged(failing: Option<String>, statements: Vec<Statement>) -> Vec<Statement> {
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
pub(super) fn reaches(found: &Estimate, figure: f64) -> Option<bool> {
    match found.interval? {
        (low, _) if low >= figure => Some(true),
        (_, high) if high < figure => Some(false),
        _ => None,
    }
}

/// A fraction in percent.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// A mean with its interval; without one it says why nothing is decided.
pub(super) fn show(found: &Estimate, print: impl Fn(f64) -> String) -> String {
    let alone = if found.interval.is_none() { " on a single text" } else { "" };
    estimate(Some(*found), print) + alone
}

/// Prints a number times a factor; what rounds to 0 has no sign.
pub(super) fn decimals(factor: f64, decimals: usize) -> impl Fn(f64) -> String {
    move |value| format!("{:.decimals$}", factor * value + 0.0)
}

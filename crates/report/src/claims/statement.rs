//! Makes statements from their parts, and formats their numbers.

use crate::format::{estimate, significant};
use crate::interval::Estimate;

use super::claim::{Statement, StatementRole};
use super::rule::Decision;

/// Returns a statement that a rule decides or leaves open.
pub(super) fn decided(
    text: &str,
    published: String,
    measured: String,
    Decision { holds, rule }: Decision,
    reason: &str,
) -> Statement {
    let reason = reason.to_owned();
    Statement { holds, measured, rule, ..untested(text, published, reason) }
}

/// Returns an undecided statement for which the run has no rows.
pub(super) fn missing(text: &str, published: String) -> Statement {
    untested(text, published, "The run has no rows for it.".into())
}

/// Returns a statement that the rows of the run cannot decide.
pub(super) fn untested(text: &str, published: String, reason: String) -> Statement {
    let (role, text) = (StatementRole::Claim, text.to_owned());
    let (measured, rule, command) = (String::new(), String::new(), String::new());
    Statement {
        text,
        published,
        measured,
        holds: None,
        rule,
        reason,
        rows: None,
        command,
        role,
        failing_check: None,
    }
}

/// Marks a statement as one that only reproduces published arithmetic.
pub(super) fn reproduction(statement: Statement) -> Statement {
    let text = format!("Reproduction: {}", statement.text);
    Statement { role: StatementRole::Reproduction, text, ..statement }
}

/// Marks a statement as a check of the method, which does not count towards the verdict. Prefixes the model's
/// name.
pub(super) fn check(model: &str, statement: Statement) -> Statement {
    Statement { role: StatementRole::Check, text: format!("{model}: check: {}", statement.text), ..statement }
}

/// Returns the statements about a model. If the model fails a check, the statements that count become
/// undecided; their measured values stay.
pub(super) fn undecided_if(failing_check: Option<String>, statements: Vec<Statement>) -> Vec<Statement> {
    let Some(failing) = failing_check else { return statements };
    let undecided = |statement: Statement| match statement.role {
        StatementRole::Claim => Statement {
            holds: None,
            reason: format!("This cannot be decided on this model: {failing}."),
            failing_check: Some(failing.clone()),
            ..statement
        },
        _ => statement,
    };
    statements.into_iter().map(undecided).collect()
}

/// Formats a fraction as a percentage.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// Formats a mean with its interval and its unit. A mean without an interval comes from too few texts, and
/// the text says so.
pub(super) fn with_interval(found: &Estimate, print: impl Fn(f64) -> String, unit: &str) -> String {
    let suffix = if found.interval.is_none() { " (too few texts for an interval)" } else { "" };
    format!("{} {unit}{suffix}", estimate(Some(*found), print))
}

/// Formats a difference with its sign and three digits.
pub(super) fn signed(value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", significant(value, 3))
}

/// Returns a formatter of a number times a factor. A value that rounds to 0 has no sign.
pub(super) fn decimals(factor: f64, decimals: usize) -> impl Fn(f64) -> String {
    move |value| format!("{:.decimals$}", factor * value + 0.0)
}

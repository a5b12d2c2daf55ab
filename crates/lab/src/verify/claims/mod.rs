//! The claims, taken apart into statements that the measured rows decide.

mod compression;
mod heads;
mod memory;

use anyhow::Result;
use bitkv_record::{Claim, Role, Statement};
use bitkv_stats::Interval;

use super::{Measured, Options};

/// All three, in order.
///
/// `grouped` tells of each model in the rows whether query heads share KV heads.
pub(super) fn all(measured: &Measured, grouped: &[(String, bool)], options: &Options) -> Result<Vec<Claim>> {
    Ok(vec![
        memory::claim(&measured.memory)?,
        heads::claim(&measured.heads, grouped),
        compression::claim(&measured.cells, options.seed),
    ])
}

/// A statement that was tested.
fn tested(text: &str, published: String, measured: String, holds: bool, reason: String) -> Statement {
    Statement { text: text.into(), published, measured, holds: Some(holds), reason, role: Role::Claim }
}

/// A statement that an interval decides, or leaves open.
fn decided(
    text: &str,
    published: String,
    measured: String,
    holds: Option<bool>,
    reason: String,
) -> Statement {
    let reason = if holds.is_some() { reason } else { format!("{reason}; the interval leaves it open") };
    Statement { text: text.into(), published, measured, holds, reason, role: Role::Claim }
}

/// Whether a mean reaches `figure`: yes if its whole 95 % interval does, no if none of it does.
fn reaches(found: &Interval, figure: f64) -> Option<bool> {
    if found.low >= figure {
        Some(true)
    } else if found.high < figure {
        Some(false)
    } else {
        None
    }
}

/// A statement that the rows at hand cannot decide.
fn untested(text: &str, published: String, reason: String) -> Statement {
    Statement {
        text: text.into(),
        published,
        measured: String::new(),
        holds: None,
        reason,
        role: Role::Claim,
    }
}

/// The same statement as one that only reproduces published arithmetic.
fn reproduction(statement: Statement) -> Statement {
    Statement { role: Role::Reproduction, text: format!("Reproduction: {}", statement.text), ..statement }
}

/// The same statement as a check of the claim's means, which decides nothing; `model` is told in front.
fn check(model: &str, statement: Statement) -> Statement {
    Statement { role: Role::Check, text: format!("{model}: check: {}", statement.text), ..statement }
}

/// A fraction in percent.
fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

/// The names in `rows`, each once, in order.
fn names<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in rows {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_across_the_figure_decides_nothing() {
        let interval = |low, high| Interval { mean: (low + high) / 2.0, low, high };
        assert_eq!(reaches(&interval(0.97, 0.99), 0.96), Some(true));
        assert_eq!(reaches(&interval(0.90, 0.95), 0.96), Some(false));
        assert_eq!(reaches(&interval(0.95, 0.97), 0.96), None);
        assert_eq!(reaches(&interval(f64::NAN, f64::NAN), 0.96), None);
    }
}

//! The claims, taken apart into statements that the measured rows decide.

mod compression;
mod heads;
mod memory;

use anyhow::Result;
use bitkv_record::{Claim, Statement};

use super::{Measured, Options};

/// All three, in order.
pub(super) fn all(measured: &Measured, options: &Options) -> Result<Vec<Claim>> {
    Ok(vec![
        memory::claim(&measured.memory)?,
        heads::claim(&measured.heads),
        compression::claim(&measured.cells, options.seed),
    ])
}

/// A statement that was tested.
fn tested(text: &str, published: String, measured: String, holds: bool, reason: String) -> Statement {
    Statement { text: text.into(), published, measured, holds: Some(holds), reason }
}

/// A statement that the rows at hand cannot decide.
fn untested(text: &str, published: String, reason: String) -> Statement {
    Statement { text: text.into(), published, measured: String::new(), holds: None, reason }
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

//! Reads a section `[[memory]]` of a definition: a table of bytes by context length.

use super::MemoryStudy;
use super::keys::{Keys, Place, count, named, text};
use super::listed_model::models;
use crate::gap::Gaps;
use crate::{Accounting, Form};
use toml::Table;

pub(super) const KEYS: [&str; 5] = ["name", "models", "forms", "contexts", "accounting"];

/// Reads a memory study.
pub(super) fn read(table: Table, file: &Place, gaps: &mut Gaps) -> MemoryStudy {
    let mut keys = Keys::named(table, &KEYS, "memory", file, gaps);
    let at_least_one = |place: &Place, value| count(place, value, 1);
    let both = vec![Accounting::Published, Accounting::Actual];
    MemoryStudy {
        name: gaps.value("name", keys.required("name", "\"memory\"", text), String::new()),
        models: gaps.value("models", models(&mut keys), Vec::new()),
        forms: gaps.value("forms", keys.list("forms", Some(vec![Form::True]), named), Vec::new()),
        contexts: gaps.value("contexts", keys.list("contexts", None, at_least_one), Vec::new()),
        accounting: gaps.value("accounting", keys.list("accounting", Some(both), named), Vec::new()),
    }
}

//! A small definition, its texts, and helpers that run it.

use std::path::Path;

use bitkv_record::{GridRow, read_rows};

use super::Place;

/// The run folder that [`Place::run_grid`] writes.
pub(crate) const RUN: &str = "runs/small";

/// A definition that takes seconds on the trained model.
const SMALL: &str = r#"
analysis = "Which is best? Refuted if the interval of the difference includes zero."

[[experiment]]
name = "small"
models = ["first-gqa"]
texts = "texts"
context = 64
horizon = 16
budgets = [1.0, 0.5, 0.25]
policies = ["full", "uniform+recency", "uniform+window-attention", "uniform+random", "uniform+oracle"]
calibration = { tokens = 64 }
"#;

/// Returns the small definition with replaced parts.
#[track_caller]
pub(crate) fn definition(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(SMALL.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the definition has no {from}");
        text.replacen(from, to, 1)
    })
}

/// Returns a text of consecutive numbers, which has no repetitions.
pub(crate) fn numbers(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("{n} ")).collect()
}

/// Returns the rows of a finished run.
pub(crate) fn rows(folder: &Path) -> Vec<GridRow> {
    read_rows(&folder.join("rows.csv")).unwrap()
}

/// Returns the rows of one policy at one budget, both as they are written in rows.
pub(crate) fn rows_at<'a>(rows: &'a [GridRow], policy: &str, budget: &str) -> Vec<&'a GridRow> {
    let wanted = |row: &&GridRow| row.policy == policy && row.budget.to_string() == budget;
    let found: Vec<&GridRow> = rows.iter().filter(wanted).collect();
    assert!(!found.is_empty(), "no row of {policy} at {budget}");
    found
}

impl Place {
    /// A folder with the texts of the small definition.
    pub(crate) fn with_texts() -> Place {
        let place = Place::new();
        place.write("texts/counting.txt", numbers(1000, 400));
        place.write("texts/later.txt", numbers(7000, 400));
        place
    }

    /// Runs a definition, returns its rows, and deletes the run.
    #[track_caller]
    pub(crate) fn run_grid(&self, text: &str) -> Vec<GridRow> {
        self.write("small.toml", text);
        self.text(&["run", "small.toml", "--out", RUN]);
        let rows = rows(&self.path(RUN));
        std::fs::remove_dir_all(self.path("runs")).unwrap();
        rows
    }
}

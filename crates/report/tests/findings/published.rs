//! Single sentences of other documents.

use crate::cells::{Cell, MODELS, Run};
use crate::results::newest;
use crate::sentence::{Check, Sentence};
use std::fs;

/// Returns how many times as much as they are asked for the published rules keep.
pub(crate) fn overspending() -> Sentence {
    let run = Run::newest("verify");
    let mut largest: f64 = 0.0;
    for model in MODELS {
        for rule in ["entropy-proportional", "entropy-global", "entropy-inverted"] {
            for budget in ["0.5", "0.2", "0.1"] {
                let asked: f64 = budget.parse().unwrap();
                largest = largest.max(run.kept(&Cell::new(model, rule, budget)) / asked);
            }
        }
    }
    Sentence::new(
        "rules that do not conserve their budget (the published ones) keep up to {} times as much.",
        &[&format!("{largest:.1}")],
        [],
    )
}

/// Returns how long the same grid takes in transformers and kvpress.
pub(crate) fn peers() -> Sentence {
    let path = newest("peers-grid").join("grid.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let grid: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ratio = grid["ratio"]["median"].as_f64().unwrap();
    Sentence::new(
        "They take {} times as long as bitkv; we expected {}.",
        &[&format!("{ratio:.1}"), &20],
        [Check::new(ratio > 1.0, "bitkv is slower")],
    )
}

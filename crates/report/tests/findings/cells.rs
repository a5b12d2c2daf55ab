//! Selects the rows of a cell and computes means over texts and paired differences from them.

use crate::results;
use crate::sentence::signed;
use bitkv_record::{AskedBudget, Axes, Form, GridRow, KvFormat, PolicyText, Positions, ScoredTask, When};
use bitkv_stats::mean_interval;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The two built-in models.
pub(crate) const MODELS: [&str; 2] = ["tiny-mha", "tiny-gqa"];

/// The rows of one run.
pub(crate) struct Run {
    /// The folder of the run.
    pub(crate) folder: PathBuf,
    rows: Vec<(String, GridRow)>,
}

/// A cell whose rows are selected. Policies are compared without their seeds.
#[derive(Clone)]
pub(crate) struct Cell {
    model: String,
    policy: String,
    budget: AskedBudget,
    axes: Axes,
    task: ScoredTask,
    context: Option<usize>,
}

/// A mean of paired differences, one per text, with its 95 % interval.
#[derive(Clone, Copy)]
pub(crate) struct Difference {
    /// The mean.
    pub(crate) mean: f64,
    low: f64,
    high: f64,
}

impl Difference {
    /// Returns whether the interval is below zero.
    pub(crate) fn below(&self) -> bool {
        self.high < 0.0
    }

    /// Returns whether the interval is above zero.
    pub(crate) fn above(&self) -> bool {
        self.low > 0.0
    }

    /// Returns the mean with its sign, nats per token, and a star if the interval excludes zero.
    pub(crate) fn marked(&self) -> String {
        format!("{}{}", signed(self.mean), self.star())
    }

    /// Returns a star if the interval excludes zero.
    pub(crate) fn star(&self) -> &'static str {
        if self.undecided() { "" } else { " \\*" }
    }

    /// Returns whether the interval includes zero.
    pub(crate) fn undecided(&self) -> bool {
        !self.below() && !self.above()
    }
}

impl Cell {
    /// Returns the cell of a policy on texts, evicted once, in f16, at original positions.
    pub(crate) fn new(model: &str, policy: &str, budget: &str) -> Self {
        Self {
            model: model.to_owned(),
            policy: without_seeds(policy),
            budget: budget.parse().unwrap(),
            axes: Axes::default(),
            task: ScoredTask::TEXT,
            context: None,
        }
    }

    /// Returns the same cell with another KV format.
    pub(crate) fn kv(self, kv: KvFormat) -> Self {
        Self { axes: Axes { kv, ..self.axes }, ..self }
    }

    /// Returns the same cell in another form of the model.
    pub(crate) fn form(self, form: Form) -> Self {
        Self { axes: Axes { form, ..self.axes }, ..self }
    }

    /// Returns the same cell with another time of eviction.
    pub(crate) fn when(self, when: When) -> Self {
        Self { axes: Axes { when, ..self.axes }, ..self }
    }

    /// Returns the same cell with other positions.
    pub(crate) fn positions(self, positions: Positions) -> Self {
        Self { axes: Axes { positions, ..self.axes }, ..self }
    }

    /// Returns the same cell for a retrieval task.
    pub(crate) fn task(self, task: &str) -> Self {
        Self { task: task.parse().unwrap(), ..self }
    }

    /// Returns the same cell for contexts of a number of tokens.
    pub(crate) fn context(self, tokens: usize) -> Self {
        Self { context: Some(tokens), ..self }
    }

    fn has(&self, policy: &str, row: &GridRow) -> bool {
        // Rows of a plain Llama have the form after the name of the model.
        row.model.split('+').next() == Some(&self.model)
            && policy == self.policy
            && row.budget == self.budget
            && row.axes == self.axes
            && row.task == self.task
            && self.context.is_none_or(|tokens| tokens == row.context_tokens)
    }
}

impl Run {
    /// Reads the newest run of a name.
    pub(crate) fn newest(name: &str) -> Self {
        Self::read(&results::newest(name))
    }

    /// Reads the run in a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let rows = results::rows::<GridRow>(folder, "rows.csv");
        let rows = rows.into_iter().map(|row| (without_seeds(&row.policy), row)).collect();
        Self { folder: folder.to_owned(), rows }
    }

    /// Returns all rows, in the order of the file.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &GridRow> {
        self.rows.iter().map(|(_, row)| row)
    }

    /// Returns the measured rows of a cell, in the order of the file. They may be empty.
    pub(crate) fn rows_of<'a>(&'a self, cell: &Cell) -> impl Iterator<Item = &'a GridRow> + use<'a> {
        let cell = cell.clone();
        let measured = self.rows.iter().filter(|(_, row)| row.error.is_none());
        measured.filter(move |(policy, row)| cell.has(policy, row)).map(|(_, row)| row)
    }

    /// Returns a value by text. The seeds of a policy are averaged.
    pub(crate) fn by_text(&self, cell: &Cell, value: fn(&GridRow) -> Option<f64>) -> BTreeMap<&str, f64> {
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for row in self.rows_of(cell) {
            values.entry(&row.text).or_default().extend(value(row));
        }
        assert!(!values.is_empty(), "{} has no rows of {}", results::name_of(&self.folder), cell.described());
        values.into_iter().map(|(text, values)| (text, mean(&values))).collect()
    }

    /// Returns the mean KL of a cell over texts, nats per token.
    pub(crate) fn kl(&self, cell: &Cell) -> f64 {
        self.mean(cell, |row| row.kl_nats)
    }

    /// Returns the share of the entries that a cell really kept, 0..1.
    pub(crate) fn kept(&self, cell: &Cell) -> f64 {
        self.mean(cell, |row| Some(row.kept_entries? as f64 / row.full_entries? as f64))
    }

    /// Returns the mean of a value over texts.
    pub(crate) fn mean(&self, cell: &Cell, value: fn(&GridRow) -> Option<f64>) -> f64 {
        mean(&self.by_text(cell, value).into_values().collect::<Vec<_>>())
    }

    /// Returns the paired difference in KL of two cells, the first minus the second, nats per token.
    pub(crate) fn kl_difference(&self, first: &Cell, second: &Cell) -> Difference {
        let (first, second) =
            (self.by_text(first, |row| row.kl_nats), self.by_text(second, |row| row.kl_nats));
        assert!(first.keys().eq(second.keys()), "the cells were measured on different texts");
        let differences: Vec<f64> = first.values().zip(second.values()).map(|(a, b)| a - b).collect();
        interval(&differences)
    }

    /// Returns the right answers and the questions of a retrieval cell.
    pub(crate) fn answers(&self, cell: &Cell) -> (usize, usize) {
        let rows = self.rows_of(cell).fold((0, 0), |(correct, questions), row| {
            (correct + row.correct.unwrap_or(0), questions + row.questions)
        });
        assert!(rows.1 > 0, "{} has no rows of {}", results::name_of(&self.folder), cell.described());
        rows
    }

    /// Returns the share of questions that a cell answers, 0..1.
    pub(crate) fn accuracy(&self, cell: &Cell) -> f64 {
        let (correct, questions) = self.answers(cell);
        correct as f64 / questions as f64
    }
}

impl Cell {
    fn described(&self) -> String {
        format!("{} with {} at {}, task {}, {:?}", self.policy, self.model, self.budget, self.task, self.axes)
    }
}

/// Returns the mean of differences, one per text, with its 95 % interval.
pub(crate) fn interval(differences: &[f64]) -> Difference {
    let found = mean_interval(differences).expect("four or more finite differences");
    Difference { mean: found.mean, low: found.low, high: found.high }
}

/// Returns the mean of values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Returns the canonical text of a policy without the options that only choose random numbers.
fn without_seeds(policy: &str) -> String {
    let mut text = PolicyText::new(policy);
    for part in &mut text.parts {
        part.options.retain(|option| !option.starts_with("seed=") && !option.starts_with("seeds="));
    }
    text.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_averaged_on_each_text_before_texts_are_paired() {
        let row = |policy: &str, text: &str, kl: f64| {
            let row =
                GridRow { model: "m".into(), policy: policy.into(), text: text.into(), ..GridRow::default() };
            (without_seeds(policy), GridRow { kl_nats: Some(kl), budget: "0.5".parse().unwrap(), ..row })
        };
        // The permuted policy has the means 4, 6, 6 and 6, and the uniform one 1, 2, 2 and 3.
        let mut rows = vec![row("permuted+p", "a", 3.0), row("permuted{seed=1}+p", "a", 5.0)];
        rows.extend(["b", "c", "d"].map(|text| row("permuted+p", text, 6.0)));
        let uniform = [("a", 1.0), ("b", 2.0), ("c", 2.0), ("d", 3.0)];
        rows.extend(uniform.map(|(text, kl)| row("uniform+p", text, kl)));
        let run = Run { folder: "results/r".into(), rows };
        let (permuted, uniform) = (Cell::new("m", "permuted+p", "0.5"), Cell::new("m", "uniform+p", "0.5"));
        assert_eq!(run.kl(&permuted), 5.5);
        let difference = run.kl_difference(&permuted, &uniform);
        assert_eq!(difference.mean, 3.5);
        assert!(difference.above() && !difference.below() && !difference.undecided());
    }
}

//! Renders a comparison as tables.

use super::{ComparedCell, Comparison, Difference};
use crate::block::{Block, Document};
use crate::format::{MISSING, estimate, fixed, percent, significant};
use crate::render;
use crate::table::Table;
use crate::unique;
use bitkv_record::{Axes, ScoredTask};

/// Returns the comparison as plain text for a terminal of `width` characters.
pub fn render_comparison_terminal(comparison: &Comparison, width: usize) -> String {
    render::terminal(&document(comparison), width)
}

/// Returns the comparison as Markdown.
pub fn render_comparison_markdown(comparison: &Comparison) -> String {
    render::markdown(&document(comparison))
}

/// One measure of a comparison, with its heading and its format.
struct ShownMeasure {
    title: &'static str,
    difference: fn(&ComparedCell) -> Option<Difference>,
    print: fn(f64) -> String,
}

/// The measures that have tables.
const SHOWN: [ShownMeasure; 5] = [
    ShownMeasure { title: "KL, nats", difference: |cell| cell.kl_nats, print: |value| significant(value, 3) },
    ShownMeasure { title: "agreement, %", difference: |cell| cell.agreement, print: percent },
    ShownMeasure { title: "NLL, nats", difference: |cell| cell.nll_nats, print: |value| fixed(value, 4) },
    ShownMeasure { title: "answers right, %", difference: |cell| cell.accuracy, print: percent },
    ShownMeasure { title: "entries kept, %", difference: |cell| cell.kept, print: percent },
];

/// The sentence before the tables.
const READING: &str = "B minus A is the mean over texts, with its 95 % interval: an interval that does not include 0 is a \
difference between the runs.";

/// Returns the comparison as a document: the counts, then a table for each measure that differs.
fn document(comparison: &Comparison) -> Document {
    let mut blocks = vec![Block::List(counts(comparison))];
    if comparison.identical < comparison.matched {
        blocks.push(Block::Text(READING.to_owned()));
        let names = |cell: &ComparedCell| (cell.experiment.clone(), cell.model.clone());
        for (experiment, model) in unique(comparison.groups.iter().map(names)) {
            let is_own = |cell: &&ComparedCell| cell.experiment == experiment && cell.model == model;
            let own: Vec<&ComparedCell> = comparison.groups.iter().filter(is_own).collect();
            let caption = format!("{experiment}, {model}");
            blocks.extend(SHOWN.iter().filter_map(|shown| table(&own, &caption, shown)).map(Block::Table));
        }
    }
    Document::new(format!("A: {}, B: {}", comparison.a, comparison.b), blocks)
}

/// Returns sentences that count the cells.
fn counts(comparison: &Comparison) -> Vec<String> {
    let Comparison { a, b, matched, identical, failed, only_a, only_b, .. } = comparison;
    let mut list = vec![match identical == matched {
        true => format!("All {matched} cells that both runs have are identical."),
        false => format!("{matched} cells are in both runs; {identical} of them are identical."),
    }];
    let generated = || "No text is in both runs; only generated contexts were compared.".to_owned();
    list.extend(comparison.only_generated.then(generated));
    for (count, name) in [(only_a, a), (only_b, b)] {
        list.extend((*count > 0).then(|| format!("Cells only in {name}: {count}.")));
    }
    let failures = || format!("Cells that failed in at least one of the runs and are in no table: {failed}.");
    list.extend((*failed > 0).then(failures));
    list
}

/// Returns the table of the cells in which the measure differs, or `None` if it is the same in all cells.
fn table(cells: &[&ComparedCell], caption: &str, shown: &ShownMeasure) -> Option<Table> {
    let titles = "policy|budget|>texts|>A|>B|>B minus A [95 % CI]";
    let mut table = Table::titled(format!("{caption}: {}", shown.title), titles);
    let labels: Vec<String> = cells.iter().map(|cell| variant(cell)).collect();
    let mut equal = 0;
    for label in unique(labels.iter()) {
        if !label.is_empty() {
            table.group(label.clone());
        }
        for (cell, _) in cells.iter().zip(&labels).filter(|(_, own)| *own == label) {
            let Some(measure) = (shown.difference)(cell) else { continue };
            if measure.a == measure.b && measure.difference.interval.is_none_or(|(low, high)| low == high) {
                equal += 1;
                continue;
            }
            table.push(row(cell, measure, shown.print));
        }
    }
    if equal > 0 {
        table.note(format!("Rows left out because they are the same in both runs: {equal}."));
    }
    table.unless_empty()
}

/// Returns the row of one cell.
fn row(cell: &ComparedCell, measure: Difference, print: fn(f64) -> String) -> Vec<String> {
    let finite = |value: f64| if value.is_finite() { print(value) } else { MISSING.to_owned() };
    vec![
        cell.policy.clone(),
        cell.budget.to_string(),
        cell.texts.to_string(),
        finite(measure.a),
        finite(measure.b),
        estimate(Some(measure.difference), print),
    ]
}

/// Returns the task and the axes of a cell that are not the default ones.
fn variant(cell: &ComparedCell) -> String {
    let task = if cell.task == ScoredTask::TEXT { String::new() } else { cell.task.to_string() };
    let parts = [task, cell.axes.label(&[Axes::default()])];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

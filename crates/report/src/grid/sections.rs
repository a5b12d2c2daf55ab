//! What the report of a grid says, in order.

use super::measure::{ACCURACY, KEPT, KL, PARTICULARS};
use super::slice::{Slice, Variant, is_loose, slices};
use super::units::unit;
use super::{
    GridInput, baseline, chart, failures, forms, limits, matrix, pairs, profiles, retrieval, timing, variants,
};
use crate::document::Block;
use crate::sections::{checked, drawn, provenance, reproduce};
use crate::table::Table;
use crate::unique;
use baseline::Baseline;
use bitkv_record::{Experiment, GridRow, ScoredTask};

const READING: &str = "The columns are budgets: what is asked to be kept, as a fraction of the cache, tokens for each KV head or bytes. Numbers are means over texts of tokens \
predicted through the cut cache, compared with the full cache on the same tokens. Within a group the lowest KL over the \
budgets that all of it have comes first. Which differences decide, the pairs of the definition say.";

pub(super) fn title(input: &GridInput<'_>) -> String {
    let profiles = input.definition.profiles.iter().map(|profile| profile.name.as_str());
    let names: Vec<&str> = experiments(input).into_iter().chain(profiles).collect();
    format!("Experiments: {}", names.join(", "))
}

/// Those of the definition, then those that only rows name.
fn experiments<'a>(input: &GridInput<'a>) -> Vec<&'a str> {
    let defined = input.definition.experiments.iter().map(|experiment| experiment.name.as_str());
    let measured: Vec<&str> = unique(input.rows.iter().map(|row| row.experiment.as_str()));
    unique(defined.chain(measured.iter().copied()))
        .into_iter()
        .filter(|name| measured.contains(name))
        .collect()
}

/// The analysis, which was written first, then every experiment.
pub(super) fn whole(input: &GridInput<'_>) -> Vec<Block> {
    let mut blocks = vec![provenance(input.manifest)];
    blocks.push(Block::Heading(2, "What was asked, and what would refute it".to_owned()));
    blocks.extend(paragraphs(&input.definition.analysis));
    blocks.push(Block::Text(READING.to_owned()));
    for name in experiments(input) {
        blocks.extend(experiment(input, name));
    }
    blocks.extend(profiles::blocks(input));
    blocks.extend(limits::blocks(input));
    blocks.extend(reproduce(input.manifest, input.run));
    blocks
}

fn experiment(input: &GridInput<'_>, name: &str) -> Vec<Block> {
    let rows = rows_of(input, name);
    let mut blocks = vec![Block::Heading(2, format!("Experiment {name}"))];
    let defined = input.definition.experiments.iter().find(|experiment| experiment.name == name);
    let remarks = defined.and_then(|experiment| experiment.analysis.as_deref());
    blocks.extend(remarks.into_iter().flat_map(paragraphs));
    blocks.extend(checked(failures::self_check(&rows)));
    blocks.extend(failures::blocks(&rows));
    let counted: Vec<GridRow> = rows.iter().map(|row| unit(row)).collect();
    let slices = slices(&counted.iter().collect::<Vec<_>>(), defined);
    for model in unique(slices.iter().map(|slice| slice.model)) {
        let own: Vec<&Slice<'_>> = slices.iter().filter(|slice| slice.model == model).collect();
        blocks.extend(of_model(&own, defined, (name, model), input.manifest.seed));
    }
    let times: Vec<Block> = timing::tables(input.timings, name).into_iter().map(Block::Table).collect();
    if !times.is_empty() {
        blocks.push(Block::Details(format!("Times of {name}"), times));
    }
    blocks
}

/// One section a variant, and tables across variants where there are several.
fn of_model(
    slices: &[&Slice<'_>],
    defined: Option<&Experiment>,
    (experiment, model): (&str, &str),
    seed: u64,
) -> Vec<Block> {
    let all: Vec<Variant> = slices.iter().map(|slice| slice.variant).collect();
    let mut blocks = Vec::new();
    if all.len() > 1 {
        blocks.push(Block::Heading(3, format!("{model}: side by side")));
        let tables = across(slices, &format!("{experiment}, {model}"), seed);
        blocks.extend(tables.into_iter().map(Block::Table));
    }
    let asked = defined.map_or(&[][..], |defined| &defined.pairs);
    for slice in slices {
        let label = slice.variant.label(&all);
        let label = if label.is_empty() { String::new() } else { format!(", {label}") };
        blocks.push(Block::Heading(3, format!("{model}{label}")));
        let caption = format!("{experiment}, {model}{label}");
        blocks.extend(of_slice(slice, asked, &caption, seed));
        let tasks = retrieval::tasks(slice);
        blocks.extend(pairs::on_tasks(&tasks, asked, &caption, seed).map(Block::Table));
        blocks.extend(retrieval::blocks(slice, &caption, seed));
    }
    blocks
}

/// What changes with the variant: KL, differences in KL and in answers, and the order of policies.
fn across(slices: &[&Slice<'_>], caption: &str, seed: u64) -> Vec<Table> {
    let mut tables = Vec::new();
    let texts: Vec<Slice<'_>> = slices.iter().map(|slice| slice.only(ScoredTask::TEXT, None)).collect();
    if texts.iter().any(|slice| KL.is_in(slice.rows())) {
        tables.push(variants::side_by_side(&texts, caption, &KL, seed));
        tables.extend(forms::order(&texts, caption, seed));
        tables.extend(variants::differences(&[(String::new(), texts)], caption, &KL, seed));
    }
    let named: Vec<String> =
        unique(slices.iter().flat_map(|slice| retrieval::tasks(slice)).map(|(name, _)| name));
    let of = |name: String| {
        let own = slices.iter().filter_map(|slice| {
            retrieval::tasks(slice).into_iter().find(|(other, _)| *other == name).map(|(_, own)| own)
        });
        let own: Vec<Slice<'_>> = own.collect();
        (name, own)
    };
    let groups: Vec<(String, Vec<Slice<'_>>)> =
        named.into_iter().map(of).filter(|(_, own)| own.len() == slices.len()).collect();
    tables.extend(variants::differences(&groups, caption, &ACCURACY, seed));
    tables
}

/// KL and what it means beside the baselines; the other measures are folded.
fn of_slice(slice: &Slice<'_>, asked: &[(String, String)], caption: &str, seed: u64) -> Vec<Block> {
    let texts = slice.only(ScoredTask::TEXT, None);
    if texts.is_empty() {
        return Vec::new();
    }
    let caption = format!("{caption}, {} texts", texts.texts());
    let mut tables = Vec::new();
    if KL.is_in(texts.rows()) {
        tables.push(matrix::measured(&texts, &caption, &KL, seed));
    }
    // Where all keep what was asked, the budgets say it already.
    let loose = texts.rows().iter().any(|row| is_loose(row));
    if loose {
        tables.push(matrix::measured(&texts, &caption, &KEPT, seed));
    }
    if !asked.is_empty() {
        tables.extend(pairs::on_texts(&texts, asked, &caption, seed));
    }
    let against = |baseline| baseline::against(&texts, &caption, (baseline, &KL), seed);
    tables.extend(Baseline::ALL.into_iter().filter_map(against));
    let mut blocks: Vec<Block> = tables.into_iter().map(Block::Table).collect();
    let chart = chart::kl(&texts, &caption, seed);
    blocks.extend(chart.iter().map(|chart| drawn(chart, "Grey: controls and the oracle.")));

    let kept = (!loose).then_some(&KEPT);
    let shown = PARTICULARS.iter().chain(kept).filter(|measure| measure.is_in(texts.rows()));
    let mut others: Vec<Block> =
        shown.map(|measure| Block::Table(matrix::measured(&texts, &caption, measure, seed))).collect();
    others.extend(matrix::worst_register(&texts, &caption).map(Block::Table));
    if !others.is_empty() {
        blocks.push(Block::Details(format!("{caption}: other measures"), others));
    }
    blocks
}

/// The self-check, the failures and KL without intervals.
pub(super) fn brief(input: &GridInput<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for name in experiments(input) {
        let rows = rows_of(input, name);
        blocks.push(Block::Heading(2, name.to_owned()));
        blocks.extend(checked(failures::self_check(&rows)));
        blocks.extend(failures::blocks(&rows));
        let defined = input.definition.experiments.iter().find(|experiment| experiment.name == name);
        let counted: Vec<GridRow> = rows.iter().map(|row| unit(row)).collect();
        let slices = slices(&counted.iter().collect::<Vec<_>>(), defined);
        let variants: Vec<Variant> = slices.iter().map(|slice| slice.variant).collect();
        for slice in &slices {
            let texts = slice.only(ScoredTask::TEXT, None);
            let label = slice.variant.label(&variants);
            let label = if label.is_empty() { String::new() } else { format!(", {label}") };
            let caption = format!("{}{label}: KL in nats, mean over {} texts", slice.model, texts.texts());
            let table = matrix::points(&texts, &caption, &KL);
            blocks.extend((!table.is_empty()).then_some(Block::Table(table)));
        }
    }
    blocks.extend(profiles::blocks(input));
    let run = input
        .run
        .map(|run| format!("Intervals, controls and all measures: report.html and report.md in {run}"));
    blocks.extend(run.map(Block::Text));
    blocks
}

fn rows_of<'a>(input: &GridInput<'a>, experiment: &str) -> Vec<&'a GridRow> {
    input.rows.iter().filter(|row| row.experiment == experiment).collect()
}

/// Text as it was written, divided at empty lines.
pub(super) fn paragraphs(text: &str) -> Vec<Block> {
    let parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts.filter(|part| !part.is_empty()).map(Block::Text).collect()
}

//! The sections of a report about one experiment: policies by budget, with intervals over texts, and compared
//! with controls.
//!
//! The rows of an experiment are divided into [`Slice`]s: one model and one variant (form, time of eviction,
//! positions, KV format). A [`Quantity`] is a number of a row; a `Measure` is a quantity with its unit and
//! its format. The modules `matrix`, `baseline`, `pairs`, `variants`, `forms` and `retrieval` make tables of
//! measures from slices.

mod baseline;
mod chart;
mod depths;
mod difference_table;
mod draws;
mod explorer;
mod failures;
mod flips;
mod forest;
mod forms;
mod matrix;
mod measure;
mod pairs;
mod quantity;
mod ranks;
mod retrieval;
mod slice;
mod tested_table;
mod timing;
mod units;
mod variants;

pub(crate) use draws::by_draw;
pub(crate) use failures::TOLERANCE;
pub(crate) use quantity::{Quantity, by_text, difference, mean_over_texts, over_texts};
pub(crate) use units::{base_model_name, pooled, without_policy_seed};

use crate::block::{Block, chart_figure, paragraphs};
use crate::curve::Scale;
use crate::page::data::{BoardData, ChartData, DepthData, ForestData};
use crate::policies::is_loose;
use crate::table::Table;
use crate::{Run, unique};
use baseline::Baseline;
use bitkv_record::{Axes, Experiment, GridRow, ScoredTask};
use chart::{GREY_NOTE, against_kept};
use measure::{ACCURACY, AGREEMENT, KEPT, KL, other_measures};
use pairs::Asked;
use slice::{Slice, slices, with_comma};

/// How to read the tables, once above all of them.
pub(crate) const READING: &str = "Each column is a budget: how much of the cache a policy may keep, as a \
fraction, as tokens per KV head, or as bytes. Each number is a mean over texts. Tokens predicted through the \
compressed cache are compared with the same tokens predicted through the full cache. Within a group, the policy \
with the lowest KL is first, over the budgets that all policies of the group have. What decides is written in the \
analysis above; the pairs of policies that the definition names have tables of their own.";

/// Returns the names of the measured experiments: those of the definition, then those that only rows have.
pub(crate) fn names<'a>(run: &Run<'a>) -> Vec<&'a str> {
    let defined = run.definition.experiments.iter().map(|experiment| experiment.name.as_str());
    let measured: Vec<&str> = unique(run.rows.iter().map(|row| row.experiment.as_str()));
    unique(defined.chain(measured.iter().copied()))
        .into_iter()
        .filter(|name| measured.contains(name))
        .collect()
}

/// Returns the sections about one experiment.
pub(crate) fn blocks(run: &Run<'_>, name: &str) -> Vec<Block> {
    let rows = rows_of(run, name);
    let mut blocks = vec![Block::Heading(2, format!("Experiment {name}"))];
    let defined = run.definition.experiments.iter().find(|experiment| experiment.name == name);
    let analysis = defined.and_then(|experiment| experiment.analysis.as_deref());
    blocks.extend(analysis.into_iter().flat_map(paragraphs));
    blocks.extend(failures::self_check(&rows));
    blocks.extend(failures::blocks(&rows));
    let pooled_rows: Vec<GridRow> = rows.iter().map(|row| pooled(row)).collect();
    let slices = slices(&pooled_rows.iter().collect::<Vec<_>>(), defined);
    for model in unique(slices.iter().map(|slice| slice.model)) {
        let own: Vec<&Slice<'_>> = slices.iter().filter(|slice| slice.model == model).collect();
        blocks.extend(model_blocks(&own, defined, name, model));
    }
    let times: Vec<Block> = timing::tables(run.timings, name).into_iter().map(Block::Table).collect();
    if !times.is_empty() {
        blocks.push(Block::Details(format!("Times of {name}"), times));
    }
    blocks
}

/// What the script of a page draws of an experiment.
pub(crate) struct Interactive {
    pub(crate) chart: ChartData,
    pub(crate) forest: ForestData,
    pub(crate) depths: Option<DepthData>,
}

/// Returns what the script of a page draws of an experiment.
pub(crate) fn interactive(run: &Run<'_>, name: &str) -> Interactive {
    let defined = run.definition.experiments.iter().find(|experiment| experiment.name == name);
    let pooled_rows: Vec<GridRow> = rows_of(run, name).into_iter().map(pooled).collect();
    let panels = named_slices(&pooled_rows, defined);
    Interactive {
        chart: explorer::chart(name, &panels),
        forest: forest::forest(name, &panels, Asked::new(defined)),
        depths: depths::depths(name, &panels),
    }
}

/// Returns the boards of an experiment.
pub(crate) fn boards(run: &Run<'_>, name: &str) -> Vec<BoardData> {
    let defined = run.definition.experiments.iter().find(|experiment| experiment.name == name);
    let pooled_rows: Vec<GridRow> = rows_of(run, name).into_iter().map(pooled).collect();
    let slices = named_slices(&pooled_rows, defined);
    slices.iter().flat_map(|(name, slice)| ranks::boards(name, slice)).collect()
}

/// Returns the slices of an experiment, each with its model and the axes on which slices differ.
fn named_slices<'a>(rows: &'a [GridRow], defined: Option<&Experiment>) -> Vec<(String, Slice<'a>)> {
    let slices = slices(&rows.iter().collect::<Vec<_>>(), defined);
    let all: Vec<Axes> = slices.iter().map(|slice| slice.axes).collect();
    let label = |slice: &Slice<'_>| format!("{}{}", slice.model, with_comma(&slice.axes.label(&all)));
    slices.into_iter().map(|slice| (label(&slice), slice)).collect()
}

/// Returns one section per variant of a model, and tables across variants if it has several.
fn model_blocks(
    slices: &[&Slice<'_>],
    defined: Option<&Experiment>,
    experiment: &str,
    model: &str,
) -> Vec<Block> {
    let all: Vec<Axes> = slices.iter().map(|slice| slice.axes).collect();
    let mut blocks = Vec::new();
    if all.len() > 1 {
        blocks.push(Block::Heading(3, format!("{model}: side by side")));
        let tables = variant_tables(slices, Asked::new(defined), &format!("{experiment}, {model}"));
        blocks.extend(tables.into_iter().map(Block::Table));
    }
    let asked = Asked::new(defined);
    for slice in slices {
        let label = with_comma(&slice.axes.label(&all));
        blocks.push(Block::Heading(3, format!("{model}{label}")));
        let caption = format!("{experiment}, {model}{label}");
        blocks.extend(slice_blocks(slice, asked, &caption));
        let tasks = retrieval::tasks(slice);
        blocks.extend(pairs::task_differences(&tasks, asked, &caption).into_iter().map(Block::Table));
        blocks.extend(retrieval::blocks(slice, &caption));
    }
    blocks
}

/// Returns the tables across variants: KL, differences in KL and in right answers, and the order of policies.
fn variant_tables(slices: &[&Slice<'_>], asked: Asked<'_>, caption: &str) -> Vec<Table> {
    let mut tables = Vec::new();
    let texts: Vec<Slice<'_>> = slices.iter().map(|slice| slice.only(ScoredTask::TEXT, None)).collect();
    if texts.iter().any(|slice| KL.is_in(slice.rows())) {
        tables.push(variants::side_by_side(&texts, caption, &KL));
        tables.extend(forms::order(&texts, caption));
        tables.extend(variants::differences(&[(String::new(), texts)], caption, &KL, asked.margins.kl));
    }
    let named: Vec<String> =
        unique(slices.iter().flat_map(|slice| retrieval::tasks(slice)).map(|(name, _)| name));
    let task_slices = |name: String| {
        let own = slices.iter().filter_map(|slice| {
            retrieval::tasks(slice).into_iter().find(|(other, _)| *other == name).map(|(_, own)| own)
        });
        let own: Vec<Slice<'_>> = own.collect();
        (name, own)
    };
    let groups: Vec<(String, Vec<Slice<'_>>)> =
        named.into_iter().map(task_slices).filter(|(_, own)| own.len() == slices.len()).collect();
    tables.extend(variants::differences(&groups, caption, &ACCURACY, asked.margins.accuracy));
    tables
}

/// Returns the section of one slice: KL, its differences from the baselines, figures, and the other measures
/// folded.
fn slice_blocks(slice: &Slice<'_>, asked: Asked<'_>, caption: &str) -> Vec<Block> {
    let texts = slice.only(ScoredTask::TEXT, None);
    if texts.is_empty() {
        return Vec::new();
    }
    let caption = format!("{caption}, {} texts", texts.texts());
    let mut tables = Vec::new();
    if KL.is_in(texts.rows()) {
        tables.push(matrix::with_intervals(&texts, &caption, &KL));
    }
    // If all policies keep what was requested, the budgets already show it.
    let loose = texts.rows().iter().any(|row| is_loose(row));
    if loose {
        tables.push(matrix::with_intervals(&texts, &caption, &KEPT));
    }
    tables.extend(pairs::text_differences(&texts, asked, &caption));
    tables.extend(draws::spread(&texts, &caption));
    let differences = |baseline| baseline::differences(&texts, &caption, baseline, &KL);
    tables.extend(Baseline::ALL.into_iter().filter_map(differences));
    let mut blocks: Vec<Block> = tables.into_iter().map(Block::Table).collect();
    for (measure, scale) in [(&KL, Scale::Log), (&AGREEMENT, Scale::Fit)] {
        let chart = against_kept(&texts, &caption, measure, scale);
        blocks.extend(chart.iter().map(|chart| chart_figure(chart, GREY_NOTE)));
    }

    let kept = (!loose).then_some(&KEPT);
    let other_measures = other_measures();
    let shown = other_measures.iter().chain(kept).filter(|measure| measure.is_in(texts.rows()));
    let mut others: Vec<Block> =
        shown.map(|measure| Block::Table(matrix::with_intervals(&texts, &caption, measure))).collect();
    others.extend(matrix::worst_register(&texts, &caption).map(Block::Table));
    if !others.is_empty() {
        blocks.push(Block::Details(format!("{caption}: other measures"), others));
    }
    blocks
}

/// Returns the short section of an experiment: the self-check, the failures, KL at every budget, and the
/// other measures at the smallest budget, without intervals.
pub(crate) fn brief(run: &Run<'_>, name: &str) -> Vec<Block> {
    let rows = rows_of(run, name);
    let mut blocks = vec![Block::Heading(2, name.to_owned())];
    blocks.extend(failures::self_check(&rows));
    blocks.extend(failures::blocks(&rows));
    let defined = run.definition.experiments.iter().find(|experiment| experiment.name == name);
    let pooled_rows: Vec<GridRow> = rows.iter().map(|row| pooled(row)).collect();
    let slices = slices(&pooled_rows.iter().collect::<Vec<_>>(), defined);
    let all: Vec<Axes> = slices.iter().map(|slice| slice.axes).collect();
    for slice in &slices {
        let label = format!("{}{}", slice.model, with_comma(&slice.axes.label(&all)));
        let texts = slice.only(ScoredTask::TEXT, None);
        let caption = format!("{label}, mean over {} texts", texts.texts());
        let tables =
            [Some(matrix::without_intervals(&texts, &caption, &KL)), at_last_budget(slice, &texts, &label)];
        blocks.extend(tables.into_iter().flatten().filter(|table| !table.is_empty()).map(Block::Table));
    }
    blocks
}

/// Returns the table of entries kept, agreement, and right answers of every task at the last budget, or
/// `None` if none of these was measured.
fn at_last_budget<'a>(slice: &Slice<'a>, texts: &Slice<'a>, label: &str) -> Option<Table> {
    let on_texts = [(&KEPT, texts), (&AGREEMENT, texts)].into_iter();
    let mut columns: Vec<_> = on_texts
        .filter(|(measure, texts)| measure.is_in(texts.rows()))
        .map(|(measure, texts)| (measure.with_unit(), measure, texts.only(ScoredTask::TEXT, None)))
        .collect();
    let tasks = retrieval::tasks(slice).into_iter();
    columns.extend(tasks.map(|(name, own)| (format!("{}: {name}", ACCURACY.with_unit()), &ACCURACY, own)));
    let budget = slice.budgets().last().copied().filter(|_| !columns.is_empty())?;
    let mut table = matrix::at_budget(slice, &format!("{label}, at budget {budget}"), budget, &columns);
    // The table before it explains the marks.
    table.drop_notes();
    Some(table)
}

/// Returns the rows of one experiment.
fn rows_of<'a>(run: &Run<'a>, experiment: &str) -> Vec<&'a GridRow> {
    run.rows.iter().filter(|row| row.experiment == experiment).collect()
}

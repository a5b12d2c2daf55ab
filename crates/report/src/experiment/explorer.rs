//! The chart of every measure against the size of the cache, for the script of a page: one panel for each
//! model and variant.

use super::measure::{ACCURACY, AGREEMENT, KL, Measure, charted_measures};
use super::quantity::{Quantity, by_text, mean_over_texts, over_texts};
use super::retrieval;
use super::slice::{Contender, Slice};
use crate::curve::{Axis, Scale};
use crate::page::data::{AxisData, ChartData, LineData, MeasureData, PanelData, PointData};
use crate::policies::is_faint;
use bitkv_record::{AskedBudget, Better, PolicyRole, PolicyText, ScoredTask};

/// The most coloured lines that a panel shows before the reader chooses. More are hard to distinguish.
const SHOWN: usize = 7;
/// How to read the chart.
const NOTE: &str = "Each point is a mean over texts, with its 95 % interval. Grey lines are controls and the oracle. Select a \
name to hide or show its line. Move over a point, or focus the chart and use the arrow keys, to read its numbers.";

/// The bytes of the compressed cache.
const BYTES: Quantity = Quantity::new(|row| row.cache_bytes.map(|bytes| bytes as f64));

/// Returns the chart of an experiment. `panels` has the slices with their names.
pub(super) fn chart(title: &str, panels: &[(String, Slice<'_>)]) -> ChartData {
    let panels = panels.iter().map(|(name, slice)| panel(name.clone(), slice));
    let panels = panels.filter(|panel| !panel.measures.is_empty()).collect();
    ChartData { title: format!("{title}: quality against size"), note: NOTE.to_owned(), front: true, panels }
}

/// A measure on the rows that have it.
struct Shown<'a> {
    measure: Measure,
    name: String,
    rows: Slice<'a>,
    scales: &'static [Scale],
}

/// Returns the panel of one slice.
fn panel(name: String, slice: &Slice<'_>) -> PanelData {
    let shown = measures(slice);
    let contenders: Vec<Contender<'_>> =
        slice.contenders().into_iter().filter(|contender| contender.role != PolicyRole::Full).collect();
    let mut coloured = 0;
    let mut lines: Vec<LineData> = Vec::new();
    for contender in contenders {
        let faint = is_faint(contender.role);
        coloured += usize::from(!faint);
        let points: Vec<_> = shown.iter().map(|shown| points(shown, contender.policy)).collect();
        if points.iter().any(|points| !points.is_empty()) {
            let (name, full) = (contender.marked(), contender.policy.to_owned());
            let is_random = PolicyText::new(contender.policy).is_random_choice();
            let shown = if faint { is_random } else { coloured <= SHOWN };
            lines.push(LineData { name, full, faint, marks: false, shown, points });
        }
    }
    let measures = shown.iter().enumerate().map(|(i, shown)| {
        let points = || lines.iter().flat_map(move |line| &line.points[i]);
        measure_data(shown, &points().cloned().collect::<Vec<_>>())
    });
    PanelData { name, measures: measures.collect(), lines }
}

/// Returns the measures that a slice has: those of texts, and the right answers of each task.
fn measures<'a>(slice: &Slice<'a>) -> Vec<Shown<'a>> {
    let texts = || slice.only(ScoredTask::TEXT, None);
    let mut all = vec![
        Shown {
            measure: KL,
            name: KL.name().to_owned(),
            rows: texts(),
            scales: &[Scale::Log, Scale::Linear],
        },
        Shown {
            measure: AGREEMENT,
            name: AGREEMENT.name().to_owned(),
            rows: texts(),
            scales: &[Scale::Fit, Scale::Unit],
        },
    ];
    let others = charted_measures().into_iter();
    all.extend(others.map(|measure| Shown {
        measure,
        name: measure.name().to_owned(),
        rows: texts(),
        scales: &[Scale::Linear],
    }));
    all.extend(retrieval::tasks(slice).into_iter().map(|(name, rows)| Shown {
        measure: ACCURACY,
        name: format!("{}: {name}", ACCURACY.name()),
        rows,
        scales: &[Scale::Unit],
    }));
    all.retain(|shown| shown.measure.is_in(shown.rows.rows()));
    all
}

/// Returns the points of a policy: one for each budget at which something was evicted.
fn points(shown: &Shown<'_>, policy: &str) -> Vec<PointData> {
    let budgets = shown.rows.budgets().into_iter().filter(|budget| *budget != AskedBudget::FULL);
    let point = |budget: AskedBudget| {
        let rows = shown.rows.at(policy, budget);
        let found = over_texts(&rows, shown.measure.quantity)?;
        let (low, high) = found.interval.unzip();
        Some(PointData {
            label: budget.to_string(),
            x: vec![mean_over_texts(&rows, Quantity::KEPT), mean_over_texts(&rows, BYTES)],
            y: vec![Some(found.value), low, high],
            n: by_text(&rows, shown.measure.quantity).len(),
        })
    };
    budgets.filter_map(point).collect()
}

/// Returns a measure with its axes.
fn measure_data(shown: &Shown<'_>, points: &[PointData]) -> MeasureData {
    let (name, unit) = (&shown.name, shown.measure.axis_unit());
    let values = || points.iter().flat_map(|point| point.y.iter().copied().flatten());
    let scale = |scale: &Scale| Axis { label: format!("{name}{unit}"), scale: *scale }.data(values());
    let width = |i: usize, label: &str, scale| -> AxisData {
        Axis { label: label.to_owned(), scale }.data(points.iter().filter_map(move |point| point.x[i]))
    };
    let better = match shown.measure.better() {
        Better::Higher => 1,
        Better::Lower => -1,
        Better::Neither => 0,
    };
    MeasureData {
        name: name.clone(),
        unit: unit.trim_start_matches(", ").to_owned(),
        better,
        scales: shown.scales.iter().map(scale).collect(),
        widths: vec![
            width(0, "fraction of entries kept", Scale::Unit),
            width(1, "bytes of the cache", Scale::Linear),
        ],
    }
}

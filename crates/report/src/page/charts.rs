//! Turns charts with fixed axes into charts with a choice of measures and panels.

use super::data::{ChartData, LineData, MeasureData, PanelData, PointData};
use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::unique;

/// Returns a chart whose panels have several measures: each chart of a panel is one measure, and lines with
/// the same label belong together.
pub(crate) fn joined(title: String, note: String, panels: Vec<(String, Vec<Chart>)>) -> ChartData {
    let panels = panels.into_iter().filter(|(_, charts)| !charts.is_empty());
    let panels = panels.map(|(name, charts)| panel(name, &charts)).collect();
    ChartData { title, note, front: false, panels }
}

/// Returns one panel.
fn panel(name: String, charts: &[Chart]) -> PanelData {
    let series = || charts.iter().flat_map(|chart| &chart.series);
    let line = |label: &str| LineData {
        name: label.to_owned(),
        full: String::new(),
        faint: series().any(|series| series.label == label && series.faint),
        marks: false,
        shown: true,
        points: charts.iter().map(|chart| points(chart, label)).collect(),
    };
    let labels = unique(series().map(|series| series.label.as_str()));
    PanelData {
        name,
        measures: charts.iter().map(measure).collect(),
        lines: labels.into_iter().map(line).collect(),
    }
}

/// Returns the points of a line in a chart.
fn points(chart: &Chart, label: &str) -> Vec<PointData> {
    let own = chart.series.iter().filter(|series: &&Series| series.label == label);
    let point = |point: &Point| {
        let (low, high) = point.interval.unzip();
        let label = format!("{} {}", chart.x.label, crate::format::count(point.x));
        PointData { label, x: vec![Some(point.x)], y: vec![Some(point.y), low, high], n: 0 }
    };
    own.flat_map(|series| series.points.iter().map(point)).collect()
}

/// Returns the measure of a chart. A share can be shown on its whole range and on that of its values.
fn measure(chart: &Chart) -> MeasureData {
    let all = || chart.series.iter().flat_map(|series| &series.points);
    let values =
        || all().flat_map(|point| [Some(point.y), point.interval.map(|i| i.0), point.interval.map(|i| i.1)]);
    let other = match chart.y.scale {
        Scale::Unit => Scale::Fit,
        Scale::Log => Scale::Linear,
        _ => Scale::Log,
    };
    let scale = |scale| Axis { label: chart.y.label.clone(), scale }.data(values().flatten());
    MeasureData {
        name: chart.y.label.clone(),
        unit: String::new(),
        better: 0,
        scales: vec![scale(chart.y.scale), scale(other)],
        widths: vec![chart.x.data(all().map(|point| point.x))],
    }
}

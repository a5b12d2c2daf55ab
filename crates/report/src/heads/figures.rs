//! Entropy against length, and layer by head.

use super::{Model, View};
use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::heat_map::HeatMap;
use crate::unique;

/// Two charts with one line for each model that was measured at two lengths or more.
pub(super) fn charts(models: &[Model<'_>]) -> Vec<Chart> {
    let bits = |view: &View| {
        view.mean.map(|mean| Point { x: view.context as f64, y: mean.value, interval: mean.interval })
    };
    let normalised =
        |view: &View| view.normalised.map(|y| Point { x: view.context as f64, y, interval: None });
    let chart = |what: &str, scale, point: &dyn Fn(&View) -> Option<Point>| Chart {
        title: format!("{what} against context length"),
        x: Axis { label: "context, tokens".to_owned(), scale: Scale::Doubling },
        y: Axis { label: what.to_owned(), scale },
        series: models.iter().flat_map(|model| series(model, point)).collect(),
    };
    let both = [
        chart("mean entropy, bits", Scale::Linear, &bits),
        chart("mean H / log2 n", Scale::Unit, &normalised),
    ];
    both.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

/// One line for each set of texts; named after the model alone when there is one set.
fn series(model: &Model<'_>, point: &dyn Fn(&View) -> Option<Point>) -> Vec<Series> {
    let measured = model.measured();
    let sets = unique(measured.iter().map(|view| view.series()));
    let line = |set: &&str| Series {
        label: if sets.len() == 1 { model.name.to_owned() } else { format!("{}, {set}", model.name) },
        faint: false,
        points: measured.iter().filter(|view| view.series() == *set).filter_map(|view| point(view)).collect(),
    };
    sets.iter().map(line).filter(|series| series.points.len() > 1).collect()
}

/// The maps to show first, and the others.
pub(super) fn heat_maps(models: &[Model<'_>]) -> (Vec<HeatMap>, Vec<HeatMap>) {
    let all = models.iter().flat_map(|model| &model.views).flat_map(View::known);
    let maximum = all.fold(0.0, f64::max).ceil().max(1.0);
    let (mut maps, mut others) = (Vec::new(), Vec::new());
    for model in models {
        let foremost = model.foremost();
        for view in &model.views {
            let map = HeatMap {
                title: format!("{}: attention entropy, {}", model.name, view.profile),
                values: view.matrix.clone(),
                maximum,
            };
            let is_foremost = foremost.iter().any(|other| std::ptr::eq(*other, view));
            if is_foremost { &mut maps } else { &mut others }.push(map);
        }
    }
    (maps, others)
}

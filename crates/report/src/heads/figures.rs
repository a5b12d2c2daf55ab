//! Charts of entropy against context length, and heat maps by layer and head.

use super::model::ModelProfiles;
use super::view::View;
use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::heat_map::HeatMap;

/// Returns two charts, of mean entropy and of mean normalised entropy. Each has one line for every model that
/// was measured at two or more context lengths.
pub(super) fn charts(models: &[ModelProfiles<'_>]) -> Vec<Chart> {
    let bits = |view: &View, x| view.mean.map(|mean| Point { x, y: mean.value, interval: mean.interval });
    let normalised = |view: &View, x| view.normalised.map(|y| Point { x, y, interval: None });
    let chart = |what: &str, scale, point: &dyn Fn(&View, f64) -> Option<Point>| Chart {
        title: format!("{what} against context length"),
        x: Axis { label: "context, tokens".to_owned(), scale: Scale::Doubling },
        y: Axis { label: what.to_owned(), scale },
        series: models.iter().filter_map(|model| series(model, point)).collect(),
    };
    let both = [
        chart("mean entropy, bits", Scale::Linear, &bits),
        chart("mean H / log2 n", Scale::Unit, &normalised),
    ];
    both.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

/// Returns the line of one model, or `None` if it has fewer than two points.
fn series(model: &ModelProfiles<'_>, point: &dyn Fn(&View, f64) -> Option<Point>) -> Option<Series> {
    let to_point = |view: &View| point(view, view.context? as f64);
    let points: Vec<Point> = model.views.iter().filter_map(to_point).collect();
    (points.len() > 1).then(|| Series { label: model.name.clone(), faint: false, points })
}

/// Returns the heat maps at each model's longest context, and the heat maps at the other contexts.
pub(super) fn heat_maps(models: &[ModelProfiles<'_>]) -> (Vec<HeatMap>, Vec<HeatMap>) {
    let all = models.iter().flat_map(|model| &model.views).flat_map(View::known);
    let maximum = all.fold(0.0, f64::max).ceil().max(1.0);
    let map = |model: &ModelProfiles<'_>, view: &View| HeatMap {
        title: format!("{}: attention entropy, {}", model.name, view.profile),
        values: view.matrix.clone(),
        maximum,
    };
    let (mut maps, mut others) = (Vec::new(), Vec::new());
    for model in models {
        let Some((longest, rest)) = model.views.split_last() else { continue };
        maps.push(map(model, longest));
        others.extend(rest.iter().map(|view| map(model, view)));
    }
    (maps, others)
}

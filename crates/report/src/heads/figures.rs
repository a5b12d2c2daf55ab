//! Charts of entropy against context length, and heat maps by layer and head.

use super::model::Model;
use super::view::View;
use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::heat_map::HeatMap;

/// Two charts with one line for each model that was measured at two lengths or more.
pub(super) fn charts(models: &[Model<'_>]) -> Vec<Chart> {
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

fn series(model: &Model<'_>, point: &dyn Fn(&View, f64) -> Option<Point>) -> Option<Series> {
    let at = |view: &View| point(view, view.context? as f64);
    let points: Vec<Point> = model.views.iter().filter_map(at).collect();
    (points.len() > 1).then(|| Series { label: model.name.clone(), faint: false, points })
}

/// The maps to show first, and the others.
pub(super) fn heat_maps(models: &[Model<'_>]) -> (Vec<HeatMap>, Vec<HeatMap>) {
    let all = models.iter().flat_map(|model| &model.views).flat_map(View::known);
    let maximum = all.fold(0.0, f64::max).ceil().max(1.0);
    let map = |model: &Model<'_>, view: &View| HeatMap {
        title: format!("{}: attention entropy, {}", model.name, view.profile),
        values: view.matrix.clone(),
        maximum,
    };
    let (mut maps, mut others) = (Vec::new(), Vec::new());
    for model in models {
        let Some((foremost, rest)) = model.views.split_last() else { continue };
        maps.push(map(model, foremost));
        others.extend(rest.iter().map(|view| map(model, view)));
    }
    (maps, others)
}

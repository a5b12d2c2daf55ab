//! The heads claim: classes, statistics and length dependence of attention entropy.

mod view;

use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::format::{MISSING, estimate, fixed, optional, percent};
use crate::heat_map::HeatMap;
use crate::published::{PUBLISHED_HEADS, PublishedHeads};
use crate::table::{Align, Table};
use crate::unique;
use bitkv_record::{ClassCounts, HeadClass, HeadRow, Thresholds};
use view::{View, views};

/// The two published sets of class bounds, with the names used in tables.
const BOUNDS: [(&str, Thresholds); 2] =
    [("code: 0.5/1.5/3.0/4.0", Thresholds::CODE), ("printed: 0.5/1.5/2.5/3.5", Thresholds::PRINTED)];

/// The tables and figures of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelHeads {
    /// Model name.
    pub model: String,
    /// Class counts under both sets of bounds, beside the published ones.
    pub classes: Table,
    /// Mean, spread and extremes, beside the published ones.
    pub statistics: Table,
    /// Entropy against context length; none when only one length was profiled.
    pub lengths: Option<Table>,
    /// The same as a chart: bits, and normalised by `log2` of the keys.
    pub charts: Vec<Chart>,
    /// One map for each profile, on one scale.
    pub heat_maps: Vec<HeatMap>,
}

/// Summaries for each model, in order of first appearance. `seed` seeds the bootstrap over texts.
pub fn summaries(rows: &[HeadRow], seed: u64) -> Vec<ModelHeads> {
    let models = unique(rows.iter().map(|row| row.model.as_str())).into_iter();
    models.map(|model| summary(model, &views(model, rows, seed))).collect()
}

fn summary(model: &str, views: &[View]) -> ModelHeads {
    let by_length = lengths(model, views);
    ModelHeads {
        model: model.to_owned(),
        classes: classes(model, views),
        statistics: statistics(model, views),
        charts: if by_length.is_some() { charts(model, views) } else { Vec::new() },
        lengths: by_length,
        heat_maps: heat_maps(model, views),
    }
}

fn classes(model: &str, views: &[View]) -> Table {
    use Align::{Left, Right};
    let mut columns =
        vec![("profile", Left), ("context", Right), ("class bounds, bits", Left), ("heads", Right)];
    columns.extend(HeadClass::ALL.map(|class| (class.name(), Right)));
    columns.push(("< 1.5 bits %", Right));
    let mut table = Table::new(format!("{model}: heads by class"), &columns);
    let mut push = |name: &str, context: String, bounds: &str, counts: ClassCounts| {
        let share = (counts.sink + counts.focused) as f64 / counts.total() as f64;
        let mut row = vec![name.to_owned(), context, bounds.to_owned(), counts.total().to_string()];
        row.extend(HeadClass::ALL.map(|class| counts.of(class).to_string()));
        row.push(percent(share));
        table.push(row);
    };
    for view in views.iter().filter(|view| !view.known().is_empty()) {
        for (name, bounds) in BOUNDS {
            push(&view.profile, view.context_text(), name, bounds.count(view.known()));
        }
    }
    for PublishedHeads { model, classes, .. } in PUBLISHED_HEADS {
        push(&format!("published, {model}"), "≤ 64".to_owned(), BOUNDS[0].0, classes);
    }
    for view in views.iter().filter(|view| view.unknown() > 0) {
        let (unknown, profile) = (view.unknown(), &view.profile);
        table.note(format!("Profile {profile}: heads without a recorded entropy, not counted: {unknown}."));
    }
    table.note(
        "The published counts follow from the bounds in the code, not from the bounds printed beside them.",
    );
    table
}

fn statistics(model: &str, views: &[View]) -> Table {
    use Align::{Left, Right};
    let columns = [
        ("profile", Left),
        ("context", Right),
        ("mean", Right),
        ("std", Right),
        ("CV", Right),
        ("min", Right),
        ("max", Right),
        ("mean H / log2 n", Right),
    ];
    let mut table = Table::new(format!("{model}: attention entropy over heads, bits"), &columns);
    for view in views {
        let numbers = view.statistics().map_or([None; 5], |s| [s.mean, s.std, s.cv, s.min, s.max].map(Some));
        let mut row = vec![view.profile.clone(), view.context_text()];
        row.extend(numbers.map(|number| optional(number, |n| fixed(n, 4))));
        row.push(optional(view.normalised, |n| fixed(n, 3)));
        table.push(row);
    }
    for p in PUBLISHED_HEADS {
        let mut row = vec![format!("published, {}", p.model), "≤ 64".to_owned()];
        // As many decimals as were published.
        row.extend([p.mean, p.std, p.cv, p.min, p.max].map(|n| fixed(n, 4).trim_end_matches('0').to_owned()));
        row.push(MISSING.to_owned());
        table.push(row);
    }
    table.note("std is the population standard deviation; n is the number of keys a query sees.");
    table
}

fn lengths(model: &str, views: &[View]) -> Option<Table> {
    use Align::{Left, Right};
    let mut views: Vec<&View> = views.iter().filter(|view| view.is_measured()).collect();
    views.sort_by_key(|view| (view.series().to_owned(), view.context));
    if unique(views.iter().map(|view| view.context)).len() < 2 {
        return None;
    }
    let columns = [
        ("texts", Left),
        ("context", Right),
        ("log2 context", Right),
        ("mean entropy, bits [95 % CI]", Right),
        ("mean H / log2 n", Right),
        ("< 1.5 bits %", Right),
    ];
    let mut table = Table::new(format!("{model}: attention entropy against context length"), &columns);
    for view in views {
        let below = view.known().iter().filter(|h| **h < 1.5).count();
        let share = (!view.known().is_empty()).then(|| below as f64 / view.known().len() as f64);
        table.push(vec![
            view.series().to_owned(),
            view.context_text(),
            fixed((view.context as f64).log2(), 2),
            estimate(view.mean, |h| fixed(h, 3)),
            optional(view.normalised, |n| fixed(n, 3)),
            optional(share, percent),
        ]);
    }
    table.note(
        "Entropy cannot exceed log2 n, so bits at different lengths are not comparable; H / log2 n is.",
    );
    Some(table)
}

fn charts(model: &str, views: &[View]) -> Vec<Chart> {
    let measured: Vec<&View> = views.iter().filter(|view| view.is_measured()).collect();
    let chart = |what: &str, scale, point: &dyn Fn(&View) -> Option<Point>| {
        let names = unique(measured.iter().map(|view| view.series())).into_iter();
        let series = names.map(|name| Series {
            label: name.to_owned(),
            points: measured
                .iter()
                .filter(|view| view.series() == name)
                .filter_map(|view| point(view))
                .collect(),
        });
        Chart {
            title: format!("{model}: {what} against context length"),
            x: Axis { label: "context, tokens".to_owned(), scale: Scale::Doubling },
            y: Axis { label: what.to_owned(), scale },
            series: series.filter(|series| !series.points.is_empty()).collect(),
        }
    };
    let bits = |view: &View| {
        view.mean.map(|mean| Point { x: view.context as f64, y: mean.value, interval: mean.interval })
    };
    let normalised =
        |view: &View| view.normalised.map(|y| Point { x: view.context as f64, y, interval: None });
    let both = [
        chart("mean entropy, bits", Scale::Linear, &bits),
        chart("mean H / log2 n", Scale::Unit, &normalised),
    ];
    both.into_iter().filter(|chart| !chart.series.is_empty()).collect()
}

fn heat_maps(model: &str, views: &[View]) -> Vec<HeatMap> {
    let all = views.iter().flat_map(View::known);
    let maximum = all.fold(0.0, f64::max).ceil().max(1.0);
    let map = |view: &View| HeatMap {
        title: format!("{model}: attention entropy, {}", view.profile),
        values: view.matrix.clone(),
        maximum,
    };
    views.iter().map(map).collect()
}

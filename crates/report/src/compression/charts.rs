//! Quality against the fraction really kept.

use super::{Kind, ModelCompression, PolicySummary, marked, tables::ordered};
use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::interval::Estimate;
use crate::unique;

/// KL, agreement and recall against the fraction really kept, one line a policy. Budget 1 is left to the self-check;
/// charts without a value above zero are left out.
pub fn charts(model: &ModelCompression) -> Vec<Chart> {
    let kinds: [(&str, Scale, Metric); 3] = [
        ("KL, nats", Scale::Log, |p| p.kl),
        ("agreement", Scale::Fit, |p| p.agreement),
        ("recall", Scale::Unit, |p| p.recall),
    ];
    let charts = kinds.map(|(what, scale, of)| Chart {
        title: format!("{}: {what} against fraction kept", model.model),
        x: Axis { label: "fraction of cache kept".to_owned(), scale: Scale::Unit },
        y: Axis { label: what.to_owned(), scale },
        series: series(model, of),
    });
    let shows = |chart: &Chart| chart.series.iter().flat_map(|s| &s.points).any(|point| point.y > 0.0);
    charts.into_iter().filter(shows).collect()
}

/// What a chart shows of a policy.
type Metric = fn(&PolicySummary) -> Option<Estimate>;

fn series(model: &ModelCompression, of: Metric) -> Vec<Series> {
    let asked = || model.budgets.iter().filter(|at| at.budget < 1.0);
    // The legend follows the table of the tightest budget, where policies differ most.
    let tightest_first = asked().collect::<Vec<_>>().into_iter().rev().flat_map(|at| ordered(&at.policies));
    let line = |name: &str| {
        let own: Vec<&PolicySummary> =
            asked().flat_map(|at| &at.policies).filter(|p| p.policy == name).collect();
        let point =
            |p: &&PolicySummary| of(p).map(|e| Point { x: p.fraction, y: e.value, interval: e.interval });
        // Marks may differ from budget to budget: a rule that overshoots at one need not do so at another.
        let label = own.iter().max_by_key(|p| marked(p).len()).map_or_else(String::new, |p| marked(p));
        let faint = own.iter().any(|p| matches!(p.kind(), Kind::Control | Kind::Oracle));
        Series { label, faint, points: own.iter().filter_map(point).collect() }
    };
    let names = unique(tightest_first.filter(|p| p.kind() != Kind::Full).map(|p| p.policy.as_str()));
    names.into_iter().map(line).filter(|series| !series.points.is_empty()).collect()
}

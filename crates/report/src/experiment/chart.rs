//! Charts of a measure against the fraction of the cache that was kept.

use super::measure::Measure;
use super::quantity::{Quantity, mean_over_texts, over_texts};
use super::slice::{Contender, Slice};
use crate::curve::{Axis, Chart, Point, Scale, Series};
use crate::policies::is_faint;
use bitkv_record::{AskedBudget, PolicyRole};

/// Explains the grey lines of a chart.
pub(super) const GREY_NOTE: &str = "Grey lines are controls and the oracle.";

/// Returns a chart with one line per policy, without the full budget, or `None` if no value is above zero.
pub(super) fn against_kept(
    slice: &Slice<'_>,
    caption: &str,
    measure: &Measure,
    scale: Scale,
) -> Option<Chart> {
    let budgets: Vec<AskedBudget> =
        slice.budgets().into_iter().filter(|budget| *budget != AskedBudget::FULL).collect();
    let line = |contender: Contender<'_>| {
        let point = |budget: &AskedBudget| {
            let rows = slice.at(contender.policy, *budget);
            let found = over_texts(&rows, measure.quantity)?;
            Some(Point {
                x: mean_over_texts(&rows, Quantity::KEPT)?,
                y: found.value,
                interval: found.interval,
            })
        };
        let points = budgets.iter().filter_map(point).collect();
        Series { label: contender.marked(), faint: is_faint(contender.role), points }
    };
    let evicting = slice.contenders().into_iter().filter(|contender| contender.role != PolicyRole::Full);
    let series: Vec<Series> = evicting.map(line).filter(|series| !series.points.is_empty()).collect();
    let has_values = series.iter().flat_map(|series| &series.points).any(|point| point.y > 0.0);
    let (name, unit) = (measure.name(), measure.axis_unit());
    has_values.then(|| Chart {
        title: format!("{caption}: {name} against the entries kept"),
        x: Axis { label: "fraction of entries kept".to_owned(), scale: Scale::Unit },
        y: Axis { label: format!("{name}{unit}"), scale },
        series,
    })
}

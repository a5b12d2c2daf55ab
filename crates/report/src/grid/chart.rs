//! KL against the part of the cache that is really held.

use super::quantity::{Quantity, mean_over_texts, over_texts};
use super::slice::Slice;
use crate::compression::Kind;
use crate::curve::{Axis, Chart, Point, Scale, Series};
use bitkv_record::AskedBudget;

/// One line a policy. The full budget is left out; none where nothing is above zero.
pub(super) fn kl(slice: &Slice<'_>, caption: &str, seed: u64) -> Option<Chart> {
    let budgets: Vec<AskedBudget> =
        slice.budgets().into_iter().filter(|budget| *budget != AskedBudget::FULL).collect();
    let line = |contender: super::slice::Contender<'_>| {
        let point = |budget: &AskedBudget| {
            let rows = slice.at(contender.policy, *budget);
            let kl = over_texts(&rows, Quantity::KL, seed)?;
            Some(Point { x: mean_over_texts(&rows, Quantity::KEPT)?, y: kl.value, interval: kl.interval })
        };
        let faint = matches!(contender.kind(), Kind::Control | Kind::Oracle);
        Series { label: contender.marked(), faint, points: budgets.iter().filter_map(point).collect() }
    };
    let evicting = slice.contenders().into_iter().filter(|contender| contender.kind() != Kind::Full);
    let series: Vec<Series> = evicting.map(line).filter(|series| !series.points.is_empty()).collect();
    let shows = series.iter().flat_map(|series| &series.points).any(|point| point.y > 0.0);
    shows.then(|| Chart {
        title: format!("{caption}: KL against the entries kept"),
        x: Axis { label: "fraction of entries kept".to_owned(), scale: Scale::Unit },
        y: Axis { label: "KL, nats".to_owned(), scale: Scale::Log },
        series,
    })
}

//! The heads claim: classes, statistics and length dependence of attention entropy.

mod figures;
mod tables;
#[cfg(test)]
mod tests;
mod view;

use crate::curve::Chart;
use crate::heat_map::HeatMap;
use crate::table::Table;
use crate::unique;
use bitkv_record::{HeadRow, Thresholds};
use view::{View, views};

/// The two published sets of class bounds, with the names used in tables.
const BOUNDS: [(&str, Thresholds); 2] =
    [("code: 0.5/1.5/3.0/4.0", Thresholds::CODE), ("printed: 0.5/1.5/2.5/3.5", Thresholds::PRINTED)];

/// Bits below which a head counts as a sink or as focused, under both sets of bounds.
const FOCUSED_BITS: f64 = 1.5;

/// What was recorded of the heads of all models.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    /// Class counts under both sets of bounds: as published, recounted, and measured at the longest context.
    pub classes: Table,
    /// Mean, spread and extremes of the same.
    pub statistics: Table,
    /// One table for each model measured at two context lengths or more.
    pub lengths: Vec<Table>,
    /// The same as charts with one line a model: bits, and normalised by `log2` of the keys.
    pub charts: Vec<Chart>,
    /// Published maps, and for each model the map at the longest context; one scale for all maps.
    pub maps: Vec<HeatMap>,
    /// The maps at the other contexts.
    pub other_maps: Vec<HeatMap>,
    /// A selection of all this for a terminal.
    pub brief: Table,
}

/// The parts of the heads that are below 1.5 bits in a model that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct FocusedShares {
    /// Model name.
    pub model: String,
    /// Context length and share at the shortest context.
    pub shortest: (usize, f64),
    /// Context length and share at the longest context.
    pub longest: (usize, f64),
}

/// The profiles of one model.
struct Model<'a> {
    name: &'a str,
    views: Vec<View>,
}

impl Model<'_> {
    /// Measured profiles by rising context.
    fn measured(&self) -> Vec<&View> {
        let mut views: Vec<&View> = self.views.iter().filter(|view| view.is_measured()).collect();
        views.sort_by_key(|view| view.context);
        views
    }

    /// The profiles to show in full: what was published, and the measured one with the longest context.
    fn foremost(&self) -> Vec<&View> {
        let published = self.views.iter().filter(|view| view.is_published());
        published.chain(self.measured().pop()).collect()
    }
}

fn models(rows: &[HeadRow], seed: u64) -> Vec<Model<'_>> {
    let names = unique(rows.iter().map(|row| row.model.as_str())).into_iter();
    names.map(|name| Model { name, views: views(name, rows, seed) }).collect()
}

/// Everything about the heads in `rows`; none without rows. `seed` seeds the bootstrap over texts.
pub fn summary(rows: &[HeadRow], seed: u64) -> Option<Heads> {
    if rows.is_empty() {
        return None;
    }
    let models = models(rows, seed);
    let (maps, other_maps) = figures::heat_maps(&models);
    Some(Heads {
        classes: tables::classes(&models),
        statistics: tables::statistics(&models),
        lengths: models.iter().filter_map(tables::lengths).collect(),
        charts: figures::charts(&models),
        maps,
        other_maps,
        brief: tables::brief(&models),
    })
}

/// The share of heads below 1.5 bits in each measured model.
pub fn focused_shares(rows: &[HeadRow], seed: u64) -> Vec<FocusedShares> {
    let shares = |model: &Model<'_>| {
        let measured = model.measured();
        let at = |view: &&&View| Some((view.context, view.focused_share()?));
        Some(FocusedShares {
            model: model.name.to_owned(),
            shortest: measured.first().as_ref().and_then(at)?,
            longest: measured.last().as_ref().and_then(at)?,
        })
    };
    models(rows, seed).iter().filter_map(shares).collect()
}

//! The populations from which the samples of the simulation come.

use crate::rows::Cells;
use bitkv_stats::{Rng, Summary, median};

/// A kind of values: all sources are tried, and their coverage is averaged.
pub(crate) struct Population {
    pub(crate) name: &'static str,
    pub(crate) sources: Vec<Source>,
    /// Whether the values are the differences that reports mark.
    pub(crate) is_reported: bool,
}

/// A distribution with a known mean.
pub(crate) struct Source {
    shape: Shape,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

enum Shape {
    Normal,
    /// The exponential of normal values of this standard deviation.
    LogNormal(f64),
    /// Real values, one per text, all equally likely.
    Values(Vec<f64>),
}

impl Source {
    /// Draws a value.
    pub(crate) fn draw(&self, rng: &mut Rng) -> f64 {
        match &self.shape {
            Shape::Normal => f64::from(rng.normal()),
            Shape::LogNormal(spread) => (spread * f64::from(rng.normal())).exp(),
            Shape::Values(values) => values[rng.below(values.len())],
        }
    }

    /// Returns the distribution of real values, or `None` if they are all equal: then nothing can be missed.
    fn real(values: Vec<f64>) -> Option<Self> {
        let Summary { mean, std, .. } = Summary::new(&values).filter(|summary| summary.std > 0.0)?;
        Some(Self { shape: Shape::Values(values), mean, deviation: std })
    }
}

/// Returns all populations. The real ones are those of the cells of a run.
pub(crate) fn all(cells: &Cells) -> Vec<Population> {
    let own: Vec<Source> = cells.values().filter_map(Source::real).collect();
    let spreads: Vec<f64> = own.iter().filter_map(log_deviation).collect();
    let spread = median(&spreads).expect("the run has cells");
    let normal = Source { shape: Shape::Normal, mean: 0.0, deviation: 1.0 };
    let variance = spread * spread;
    let log_normal = Source {
        shape: Shape::LogNormal(spread),
        mean: (variance / 2.0).exp(),
        deviation: ((variance.exp() - 1.0) * variance.exp()).sqrt(),
    };
    let population = |name, sources| Population { name, sources, is_reported: false };
    let reported = cells.reported_pairs().filter_map(Source::real).collect();
    vec![
        population("normal", vec![normal]),
        population("log-normal", vec![log_normal]),
        population("real KLs", own),
        Population { name: "real pairs of reports", sources: reported, is_reported: true },
        population("all real pairs", cells.all_pairs().filter_map(Source::real).collect()),
    ]
}

/// Returns the standard deviation of the logarithms of a cell's values.
fn log_deviation(source: &Source) -> Option<f64> {
    let Shape::Values(values) = &source.shape else { return None };
    Summary::new(&values.iter().map(|value| value.max(1e-9).ln()).collect::<Vec<_>>()).map(|s| s.std)
}

//! Reads a section `[[experiment]]` of a definition.

use super::keys::{Keys, Place, count, named, text};
use super::listed_model::models;
use super::{Experiment, check, equivalence, parts};
use crate::{AxisLists, Equal, MetricGroup, RecordError};
use toml::Table;

/// The keys besides those of the axes.
#[rustfmt::skip]
pub(super) const KEYS: [&str; 17] = [
    "name", "models", "texts", "context", "horizon", "budgets", "policies", "pairs", "equal", "metrics",
    "tasks", "calibration", "seeds", "draws", "equivalence", "controls", "analysis",
];

/// The default metrics: those that apply to every experiment and have the same value in every run.
const METRICS: [MetricGroup; 4] =
    [MetricGroup::Kl, MetricGroup::Attention, MetricGroup::OutputError, MetricGroup::FreeRunning];

/// Reads an experiment and checks it as a whole.
pub(super) fn read(table: Table, file: &Place) -> Result<Experiment, RecordError> {
    let mut keys = Keys::named(table, &[&KEYS[..], AxisLists::KEYS].concat(), "experiment", file)?;
    let at_least_one = |place: &Place, value| count(place, value, 1);
    let name = keys.required("name", "\"scorers\"", text)?;
    let context = keys.required("context", "896", at_least_one)?;
    let experiment = Experiment {
        models: models(&mut keys)?,
        axes: AxisLists::read(&mut keys)?,
        texts: parts::texts(&mut keys)?,
        context,
        horizon: keys.required("horizon", "127", at_least_one)?,
        budgets: keys.list("budgets", None, parts::budget)?,
        policies: keys.list("policies", None, parts::policy)?,
        pairs: keys.list("pairs", Some(Vec::new()), parts::pair)?,
        equal: keys.value("equal", named)?.unwrap_or(Equal::Tokens),
        metrics: keys.list("metrics", Some(METRICS.to_vec()), named)?,
        tasks: parts::tasks(&mut keys, context)?,
        calibration: parts::calibration(&mut keys)?,
        seeds: keys.list("seeds", Some(vec![0]), |place, value| count(place, value, 0).map(|n| n as u64))?,
        draws: keys.value("draws", parts::draws)?.unwrap_or(1),
        equivalence: keys.value("equivalence", equivalence::read)?,
        controls: keys.flag("controls")?.unwrap_or(true),
        analysis: keys.text("analysis")?,
        name,
    };
    check::experiment(&experiment, &keys.place)?;
    Ok(experiment)
}

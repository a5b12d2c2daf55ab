//! Reads a section `[[experiment]]` of a definition.

use super::keys::{Keys, Place, count, named, seed, text};
use super::listed_model::models;
use super::{CalibrationSettings, Experiment, TextSource, check, equivalence, parts};
use crate::gap::Gaps;
use crate::{AxisLists, Equal, MetricGroup};
use toml::Table;

/// The keys besides those of the axes.
#[rustfmt::skip]
pub(super) const KEYS: [&str; 18] = [
    "name", "models", "texts", "context", "horizon", "budgets", "policies", "pairs", "equal", "metrics",
    "tasks", "calibration", "seeds", "draws", "equivalence", "controls", "analysis",
    "cell_seconds",
];

/// The default metrics: those that apply to every experiment and have the same value in every run.
const METRICS: [MetricGroup; 4] =
    [MetricGroup::Kl, MetricGroup::Attention, MetricGroup::OutputError, MetricGroup::FreeRunning];

/// Reads an experiment and checks it as a whole. Its gaps are added to those of the file. Returns it with its
/// place, and with the keys that could not be read; their values mean nothing.
pub(super) fn read(table: Table, file: &Place, of_file: &mut Gaps) -> (Experiment, (Place, Gaps)) {
    let mut gaps = Gaps::default();
    let known = [&KEYS[..], AxisLists::KEYS].concat();
    let mut keys = Keys::named(table, &known, "experiment", file, &mut gaps);
    let at_least_one = |place: &Place, value| count(place, value, 1);
    let name = gaps.value("name", keys.required("name", "\"scorers\"", text), String::new());
    let context = gaps.value("context", keys.required("context", "896", at_least_one), 1);
    let default = CalibrationSettings::default();
    let experiment = Experiment {
        models: gaps.value("models", models(&mut keys), Vec::new()),
        axes: AxisLists::read(&mut keys, &mut gaps),
        texts: gaps.value("texts", parts::texts(&mut keys), TextSource::Evaluation),
        context,
        horizon: gaps.value("horizon", keys.required("horizon", "127", at_least_one), 1),
        budgets: gaps.value("budgets", keys.list("budgets", None, parts::budget), Vec::new()),
        policies: gaps.value("policies", keys.list("policies", None, parts::policy), Vec::new()),
        pairs: gaps.value("pairs", keys.list("pairs", Some(Vec::new()), parts::pair), Vec::new()),
        equal: gaps.value("equal", keys.value("equal", named), None).unwrap_or(Equal::Tokens),
        metrics: gaps.value("metrics", keys.list("metrics", Some(METRICS.to_vec()), named), Vec::new()),
        tasks: gaps.value("tasks", parts::tasks(&mut keys, context), Vec::new()),
        calibration: gaps.value("calibration", parts::calibration(&mut keys), default),
        seeds: gaps.value("seeds", keys.list("seeds", Some(vec![0]), seed), vec![0]),
        draws: gaps.value("draws", keys.value("draws", parts::draws), None).unwrap_or(1),
        equivalence: gaps.value("equivalence", keys.value("equivalence", equivalence::read), None),
        controls: gaps.value("controls", keys.flag("controls"), None).unwrap_or(true),
        analysis: gaps.value("analysis", keys.text("analysis"), None),
        cell_seconds: gaps.value("cell_seconds", keys.value("cell_seconds", parts::cell_seconds), None),
        name,
    };
    check::experiment(&experiment, &keys.place, &mut gaps);
    of_file.take(&mut gaps);
    (experiment, (keys.place, gaps))
}

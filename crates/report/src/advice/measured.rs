//! The cells of a model that can be deployed, read from rows.

use super::quality::{Quality, constant_mean, mean};
use super::units::{self, RunRows, Unit, UnitRow};
use crate::unique;
use bitkv_record::{
    AskedBudget, Compressor, Form, GridRow, KvFormat, PolicyRole, Positions, ScoredTask, TimingRow, When,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The rows of experiments whose names begin with this word choose; those of all others certify.
const CALIBRATION: &str = "calibration";
/// The experiments whose names begin with this word only give times.
const TIMING: &str = "timing";

/// The name of the full cache in rows.
pub(super) const FULL: &str = "full";

/// What the rows of a model say about its cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredModel {
    /// The name of the model in the rows.
    pub model: String,
    /// The tokens in the cache when it was compressed, for texts; 0 if no texts were measured.
    pub context: usize,
    /// Whether the rows have texts that only choose, rather than halves of the same texts.
    pub has_calibration: bool,
    /// The cells, all measured on the same texts, in the order of the rows.
    pub cells: Vec<MeasuredCell>,
    /// What is left out of the rows, as sentences.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// A policy at a budget in a KV format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredCell {
    /// The policy as the definition writes it, such as the name of a preset.
    pub policy: String,
    /// The fraction of the entries that it was asked to keep.
    pub budget: f64,
    /// The format of the cache.
    pub kv: KvFormat,
    /// The fraction of the entries that it kept, the mean over rows.
    pub kept: f64,
    /// The quality on the texts that choose.
    pub choosing: Quality,
    /// The quality on the texts that certify.
    pub certifying: Quality,
    /// The time to choose what is kept, in seconds; `None` if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_seconds: Option<f64>,
    /// The mean time to decode one token through the cache, in seconds; `None` if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_seconds: Option<f64>,
}

impl MeasuredCell {
    /// Returns whether this is the full cache in f16.
    pub fn is_reference(&self) -> bool {
        self.policy == FULL && self.kv == KvFormat::F16
    }
}

impl MeasuredModel {
    /// Does the same as [`MeasuredModel::from_runs`] with the rows of one run, whose texts have no hashes.
    pub fn new(model: &str, rows: &[GridRow], timings: &[TimingRow], context: usize) -> MeasuredModel {
        MeasuredModel::from_runs(model, &[RunRows { rows, timings, texts: &[] }], context)
    }

    /// Reads the cells of `model` that can be deployed. A policy that reads what no cache can know, a control
    /// and a cell on another axis than the KV format cannot. Of several context lengths, the rows of the one
    /// nearest to `context` tokens are used. Texts that choose do not certify. Cells that lack texts which
    /// others have are left out, because their means cannot be compared. [`MeasuredModel::notes`] says what
    /// is left out. The order of the runs does not matter.
    pub fn from_runs(model: &str, runs: &[RunRows<'_>], context: usize) -> MeasuredModel {
        let runs = units::sorted(runs);
        let mut usable = units::unit_rows(&runs, model);
        usable.retain(|row| can_deploy(row.row));
        keep_nearest_context(&mut usable, context);
        let text = usable.iter().find(|row| row.row.task == ScoredTask::TEXT);
        let context = text.map_or(0, |row| row.row.context_tokens);
        let has_calibration = usable.iter().any(|row| calibrates(row.row));
        let mut notes = Vec::new();
        if has_calibration {
            notes.extend(leave_out_overlap(&mut usable));
        }
        let incomplete = keep_complete(&mut usable);
        notes.extend((incomplete > 0).then(|| {
            format!(
                "rows of {model}: {incomplete} cells were not measured on all texts of the others and are left out"
            )
        }));
        let parts = if has_calibration { by_experiment(usable) } else { by_halves(usable) };
        let cells = unique(parts.iter().flatten().map(|row| CellKey::new(row.row)));
        let timings: Vec<&TimingRow> =
            runs.iter().flat_map(|run| run.timings).filter(|row| row.model == model).collect();
        let mut cells: Vec<MeasuredCell> = cells.iter().map(|key| key.cell(&parts, &timings)).collect();
        cells.retain(|cell| !cell.choosing.kl.is_empty());
        share_plan_times(&mut cells);
        MeasuredModel { model: model.to_owned(), context, has_calibration, cells, notes }
    }

    /// Returns the full cache in f16, with which right answers are compared; `None` if it was not measured.
    pub fn reference(&self) -> Option<&MeasuredCell> {
        self.cells.iter().find(|cell| cell.is_reference())
    }
}

/// What distinguishes cells that can be deployed.
#[derive(PartialEq)]
struct CellKey {
    policy: String,
    budget: AskedBudget,
    kv: KvFormat,
}

impl CellKey {
    fn new(row: &GridRow) -> CellKey {
        CellKey { policy: row.policy_name().to_owned(), budget: row.budget, kv: row.axes.kv }
    }

    /// Returns the cell with its rows of both parts, those that choose and those that certify.
    fn cell(&self, parts: &[Vec<UnitRow<'_>>; 2], timings: &[&TimingRow]) -> MeasuredCell {
        let [choosing, certifying] = parts.each_ref().map(|part| self.rows(part));
        let all = || choosing.iter().chain(&certifying).map(|row| row.row);
        let asked: Vec<f64> = all().filter_map(asked_entries).collect();
        let kept: Vec<f64> = all().filter_map(kept_fraction).collect();
        let spec = all().next().map(|row| row.policy.as_str());
        let timed: Vec<&&TimingRow> = timings
            .iter()
            .filter(|row| Some(row.policy.as_str()) == spec)
            .filter(|row| row.budget == self.budget && row.axes.kv == self.kv)
            .collect();
        let plan: Vec<f64> = timed.iter().map(|row| row.plan_seconds).collect();
        let decode: Vec<f64> = timed.iter().filter_map(|row| row.decode_seconds_per_token).collect();
        MeasuredCell {
            policy: self.policy.clone(),
            budget: constant_mean(&asked).unwrap_or(1.0),
            kv: self.kv,
            kept: constant_mean(&kept).unwrap_or(1.0),
            choosing: Quality::new(&choosing),
            certifying: Quality::new(&certifying),
            plan_seconds: mean(&plan),
            decode_seconds: mean(&decode),
        }
    }

    /// Returns the rows of the cell in the order of their texts, depths and seeds.
    fn rows<'a>(&self, part: &[UnitRow<'a>]) -> Vec<UnitRow<'a>> {
        let own = part.iter().filter(|row| CellKey::new(row.row) == *self);
        let mut rows: Vec<UnitRow> = own.cloned().collect();
        rows.sort_by(|a, b| {
            let depths = a.row.depth.partial_cmp(&b.row.depth).unwrap_or(EQUAL);
            a.unit.cmp(&b.unit).then(depths).then(a.row.seed.cmp(&b.row.seed))
        });
        rows
    }
}

const EQUAL: std::cmp::Ordering = std::cmp::Ordering::Equal;

/// Returns whether a user can deploy the cell of a row, and its bytes follow from a model's shape.
fn can_deploy(row: &GridRow) -> bool {
    let is_full = row.role == PolicyRole::Full;
    let is_method = matches!(row.role, PolicyRole::Method | PolicyRole::Published) && !row.oracle;
    let is_plain = row.axes.form == Form::True
        && row.axes.when == When::ONCE
        && row.axes.positions == Positions::Original
        && row.compressor == Compressor::Drop;
    // Only a fraction means the same at another context length.
    let part = asked_fraction(row.budget);
    row.error.is_none()
        && is_plain
        && !row.experiment.starts_with(TIMING)
        && part.is_some_and(|part| is_full || (is_method && part < 1.0))
}

/// Returns the fraction of the entries that a budget asks for; `None` if it depends on the context.
fn asked_fraction(budget: AskedBudget) -> Option<f64> {
    match budget {
        AskedBudget::Fraction(part) => Some(part),
        AskedBudget::Ratio(removed) => Some(1.0 - removed),
        AskedBudget::Tokens(_) | AskedBudget::Bytes(_) | AskedBudget::Realised(..) => None,
    }
}

/// Returns the fraction of the entries that a row asked for. Rounding to whole tokens does not count. If KV
/// formats are compared at equal bytes, a format asks for more entries than its budget in f16.
fn asked_entries(row: &GridRow) -> Option<f64> {
    let asked = asked_fraction(row.budget)?;
    let (Some(entries), Some(full)) = (row.asked_entries, row.full_entries) else { return Some(asked) };
    let part = entries as f64 / full as f64;
    let token = 1.0 / row.context_tokens.max(1) as f64;
    Some(if (part - asked).abs() <= token { asked } else { part })
}

/// Returns the fraction of the entries that a row kept. Rounding to whole tokens does not count.
fn kept_fraction(row: &GridRow) -> Option<f64> {
    if row.conserving || row.role == PolicyRole::Full {
        return asked_entries(row);
    }
    Some(row.kept_entries? as f64 / row.full_entries? as f64)
}

/// Keeps the rows of each task whose context length is nearest to `context` tokens, as a ratio.
fn keep_nearest_context(rows: &mut Vec<UnitRow<'_>>, context: usize) {
    let distance = |tokens: usize| (tokens as f64 / context.max(1) as f64).ln().abs();
    let nearest = |task: ScoredTask| {
        let lengths = rows.iter().filter(|row| row.row.task == task).map(|row| row.row.context_tokens);
        lengths.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)))
    };
    let tasks = unique(rows.iter().map(|row| row.row.task));
    let chosen: Vec<_> = tasks.into_iter().map(|task| (task, nearest(task))).collect();
    rows.retain(|row| chosen.contains(&(row.row.task, Some(row.row.context_tokens))));
}

/// Returns whether a row is one of a calibration experiment, which chooses.
fn calibrates(row: &GridRow) -> bool {
    row.experiment.starts_with(CALIBRATION)
}

/// Leaves out the rows that certify on texts and contexts that choose too. Returns a sentence if there are
/// any.
fn leave_out_overlap(rows: &mut Vec<UnitRow<'_>>) -> Option<String> {
    let choosing = rows.iter().filter(|row| calibrates(row.row)).map(|row| row.unit.clone());
    let choosing: BTreeSet<Unit> = choosing.collect();
    let mut left_out = BTreeSet::new();
    rows.retain(|row| {
        let chooses_too = !calibrates(row.row) && choosing.iter().any(|unit| row.unit.may_be(unit));
        if chooses_too {
            left_out.insert(row.unit.clone());
        }
        !chooses_too
    });
    let number = left_out.len();
    (number > 0).then(|| format!("{number} texts or contexts choose, so they do not certify"))
}

/// Divides rows into those of calibration experiments, which choose, and all others, which certify.
fn by_experiment(rows: Vec<UnitRow<'_>>) -> [Vec<UnitRow<'_>>; 2] {
    let (choosing, certifying) = rows.into_iter().partition(|row| calibrates(row.row));
    [choosing, certifying]
}

/// Divides rows by their texts: every second one chooses, in the order of their names.
fn by_halves(rows: Vec<UnitRow<'_>>) -> [Vec<UnitRow<'_>>; 2] {
    let units: BTreeSet<Unit> = rows.iter().map(|row| row.unit.clone()).collect();
    let chooses = |row: &UnitRow| {
        let before = units.range(..row.unit.clone()).filter(|unit| unit.task == row.unit.task);
        before.count().is_multiple_of(2)
    };
    let (choosing, certifying) = rows.into_iter().partition(chooses);
    [choosing, certifying]
}

/// The texts of a cell, and whether each chooses.
type CellTexts = BTreeSet<(bool, Unit)>;

/// Keeps the cells that were measured on the most texts, and the rows of these texts. Returns the number of
/// cells that are left out. Right answers are compared with those of the full cache, which checks that the
/// questions are the same.
fn keep_complete(rows: &mut Vec<UnitRow<'_>>) -> usize {
    let cells = unique(rows.iter().map(|row| CellKey::new(row.row)));
    let texts_of = |key: &CellKey| -> CellTexts {
        let own = rows.iter().filter(|row| is_measured_text(row.row) && CellKey::new(row.row) == *key);
        own.map(|row| (calibrates(row.row), row.unit.clone())).collect()
    };
    let with_texts = |key: CellKey| {
        let texts = texts_of(&key);
        (key, texts)
    };
    let cells: Vec<(CellKey, CellTexts)> = cells.into_iter().map(with_texts).collect();
    // The full cache is in every run, so its texts do not say what the policies share.
    let is_policy = |cell: &&(CellKey, CellTexts)| cell.0.policy != FULL;
    let most = |cells: &mut dyn Iterator<Item = &(CellKey, CellTexts)>| {
        cells.map(|(_, texts)| texts).max_by(|a, b| a.len().cmp(&b.len()).then(b.cmp(a))).cloned()
    };
    let common =
        most(&mut cells.iter().filter(is_policy)).or_else(|| most(&mut cells.iter())).unwrap_or_default();
    let complete: Vec<&CellKey> =
        cells.iter().filter(|(_, texts)| texts.is_superset(&common)).map(|(key, _)| key).collect();
    rows.retain(|row| {
        let is_common = || common.contains(&(calibrates(row.row), row.unit.clone()));
        complete.contains(&&CellKey::new(row.row)) && (row.row.task != ScoredTask::TEXT || is_common())
    });
    cells.len() - complete.len()
}

/// Returns whether a row says how much a cell costs on a text.
fn is_measured_text(row: &GridRow) -> bool {
    row.task == ScoredTask::TEXT && Quality::text_values(row).is_some()
}

/// Gives all cells of a policy the longest of their times to plan: the first cell computes the scores, and
/// those that follow use them.
fn share_plan_times(cells: &mut [MeasuredCell]) {
    for policy in unique(cells.iter().map(|cell| cell.policy.clone())) {
        let of_policy = cells.iter_mut().filter(|cell| cell.policy == policy);
        let mut times: Vec<&mut Option<f64>> = of_policy.map(|cell| &mut cell.plan_seconds).collect();
        let longest = times.iter().filter_map(|time| **time).max_by(f64::total_cmp);
        times.iter_mut().for_each(|time| **time = longest);
    }
}

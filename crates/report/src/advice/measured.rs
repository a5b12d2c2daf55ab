//! The cells of a model that can be deployed, read from rows.

use super::quality::{Quality, mean};
use crate::unique;
use bitkv_record::{
    AskedBudget, Compressor, Form, GridRow, KvFormat, PolicyRole, Positions, ScoredTask, TimingRow, When,
};
use serde::{Deserialize, Serialize};

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
    /// Reads the cells of `model` that can be deployed. A policy that reads what no cache can know, a control
    /// and a cell on another axis than the KV format cannot. Of several context lengths, the rows of the one
    /// nearest to `context` tokens are used. Cells that lack texts which others have are left out, because
    /// their means cannot be compared.
    pub fn new(model: &str, rows: &[GridRow], timings: &[TimingRow], context: usize) -> MeasuredModel {
        let usable: Vec<&GridRow> = rows.iter().filter(|row| row.model == model && can_deploy(row)).collect();
        let usable = at_nearest_context(&usable, context);
        let is_text = |row: &&&GridRow| row.task == ScoredTask::TEXT;
        let context = usable.iter().find(is_text).map_or(0, |row| row.context_tokens);
        let has_calibration = usable.iter().any(|row| row.experiment.starts_with(CALIBRATION));
        let parts = if has_calibration { by_experiment(&usable) } else { by_halves(&usable) };
        let cells = unique(usable.iter().map(|row| CellKey::new(row)));
        let mut cells: Vec<MeasuredCell> = cells.iter().map(|key| key.cell(&parts, timings, model)).collect();
        keep_complete(&mut cells);
        share_plan_times(&mut cells);
        MeasuredModel { model: model.to_owned(), context, has_calibration, cells }
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
    fn cell(&self, parts: &[Vec<&GridRow>; 2], timings: &[TimingRow], model: &str) -> MeasuredCell {
        let [choosing, certifying] = parts.each_ref().map(|part| self.rows(part));
        let all = || choosing.iter().chain(&certifying);
        let asked: Vec<f64> = all().filter_map(|row| asked_entries(row)).collect();
        let kept: Vec<f64> = all().filter_map(|row| kept_fraction(row)).collect();
        let spec = all().next().map(|row| row.policy.as_str());
        let timed: Vec<&TimingRow> = timings
            .iter()
            .filter(|row| row.model == model && Some(row.policy.as_str()) == spec)
            .filter(|row| row.budget == self.budget && row.axes.kv == self.kv)
            .collect();
        let plan: Vec<f64> = timed.iter().map(|row| row.plan_seconds).collect();
        let decode: Vec<f64> = timed.iter().filter_map(|row| row.decode_seconds_per_token).collect();
        MeasuredCell {
            policy: self.policy.clone(),
            budget: constant_mean(&asked),
            kv: self.kv,
            kept: constant_mean(&kept),
            choosing: Quality::new(&choosing),
            certifying: Quality::new(&certifying),
            plan_seconds: mean(&plan),
            decode_seconds: mean(&decode),
        }
    }

    /// Returns the rows of the cell in the order of their texts, one for each text and depth.
    fn rows<'a>(&self, part: &[&'a GridRow]) -> Vec<&'a GridRow> {
        let own = part.iter().filter(|row| CellKey::new(row) == *self);
        let mut rows: Vec<&GridRow> = own.copied().collect();
        rows.sort_by(|a, b| unit(a).cmp(&unit(b)).then(a.depth.partial_cmp(&b.depth).unwrap_or(EQUAL)));
        rows.dedup_by(|a, b| unit(a) == unit(b) && a.depth == b.depth);
        rows
    }
}

const EQUAL: std::cmp::Ordering = std::cmp::Ordering::Equal;

/// Returns what identifies the context of a row.
fn unit(row: &GridRow) -> (ScoredTask, &str) {
    (row.task, &row.text)
}

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

/// Returns the rows of each task whose context length is nearest to `context` tokens, as a ratio.
fn at_nearest_context<'a>(rows: &[&'a GridRow], context: usize) -> Vec<&'a GridRow> {
    let distance = |tokens: usize| (tokens as f64 / context.max(1) as f64).ln().abs();
    let nearest = |task: ScoredTask| {
        let lengths = rows.iter().filter(|row| row.task == task).map(|row| row.context_tokens);
        lengths.min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)))
    };
    let tasks = unique(rows.iter().map(|row| row.task));
    let chosen: Vec<_> = tasks.into_iter().map(|task| (task, nearest(task))).collect();
    let is_chosen = |row: &&&GridRow| chosen.contains(&(row.task, Some(row.context_tokens)));
    rows.iter().filter(is_chosen).copied().collect()
}

/// Divides rows into those of calibration experiments, which choose, and all others, which certify.
fn by_experiment<'a>(rows: &[&'a GridRow]) -> [Vec<&'a GridRow>; 2] {
    let (choosing, certifying) = rows.iter().partition(|row| row.experiment.starts_with(CALIBRATION));
    [choosing, certifying]
}

/// Divides rows by their texts: every second one chooses, in the order of their names.
fn by_halves<'a>(rows: &[&'a GridRow]) -> [Vec<&'a GridRow>; 2] {
    let mut units = unique(rows.iter().map(|row| unit(row)));
    units.sort_unstable();
    let chooses = |row: &&&GridRow| {
        let before = units.iter().take_while(|other| **other != unit(row));
        before.filter(|(task, _)| *task == row.task).count().is_multiple_of(2)
    };
    let (choosing, certifying) = rows.iter().partition(chooses);
    [choosing, certifying]
}

/// Keeps the cells that were measured on as many texts as any other. Right answers are compared with those of
/// the full cache, which checks that the questions are the same.
fn keep_complete(cells: &mut Vec<MeasuredCell>) {
    let sizes = |cell: &MeasuredCell| (cell.choosing.kl.len(), cell.certifying.kl.len());
    let most = cells.iter().map(sizes).fold((0, 0), |most, own| (most.0.max(own.0), most.1.max(own.1)));
    cells.retain(|cell| most.0 > 0 && sizes(cell) == most);
}

/// Returns the mean of fractions, which is exact if they are equal; 1 for an empty list.
fn constant_mean(fractions: &[f64]) -> f64 {
    match fractions {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => *first,
        fractions => mean(fractions).unwrap_or(1.0),
    }
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

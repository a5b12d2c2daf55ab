//! What identifies the texts and the generated contexts of rows, over several runs.

use bitkv_record::{FileHash, GridRow, PolicyRole, ScoredTask, TimingRow};
use std::collections::{BTreeMap, BTreeSet};

/// The rows of one run.
#[derive(Debug, Clone, Copy)]
pub struct RunRows<'a> {
    /// The rows of its cells.
    pub rows: &'a [GridRow],
    /// Its times.
    pub timings: &'a [TimingRow],
    /// The hashes of its texts, by the names that the rows have.
    pub texts: &'a [FileHash],
}

/// A text or a generated context. It may be in several runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    /// The task.
    pub(super) task: ScoredTask,
    name: String,
    content: Content,
}

/// What distinguishes texts and contexts of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Content {
    /// The SHA-256 of a text.
    Hash(String),
    /// The number of the run, for a text without a hash.
    Run(usize),
    /// The seed from which a context was generated.
    Seed(u64),
}

impl Unit {
    /// Returns whether two texts may be the same one: their contents are equal, or their names are and one of
    /// them has no hash.
    pub(super) fn may_be(&self, other: &Unit) -> bool {
        let both_hashed = matches!((&self.content, &other.content), (Content::Hash(_), Content::Hash(_)));
        let is_text = self.task == ScoredTask::TEXT;
        self == other || (is_text && self.task == other.task && self.name == other.name && !both_hashed)
    }
}

/// A row and what it was measured on.
#[derive(Debug, Clone)]
pub(super) struct UnitRow<'a> {
    /// The row.
    pub(super) row: &'a GridRow,
    /// The text or the context.
    pub(super) unit: Unit,
}

/// Returns the runs in an order that does not depend on the order in which they were named. A run that was
/// named twice counts once.
pub(super) fn sorted<'a>(runs: &[RunRows<'a>]) -> Vec<RunRows<'a>> {
    let keys = |run: &RunRows<'a>| run.rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>();
    let mut runs = runs.to_vec();
    runs.sort_by_cached_key(keys);
    runs.dedup_by(|a, b| a.rows == b.rows && a.timings == b.timings);
    runs
}

/// Returns the rows of `model` in all runs with their texts. A row that an earlier run has too counts once.
pub(super) fn unit_rows<'a>(runs: &[RunRows<'a>], model: &str) -> Vec<UnitRow<'a>> {
    let names = names_by_hash(runs);
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    for (number, run) in runs.iter().enumerate() {
        let seeds = context_seeds(run.rows);
        let own_rows = || run.rows.iter().filter(|row| row.model == model);
        for row in own_rows().filter(|row| !seen.contains(row.key.as_str())) {
            let content = match row.task == ScoredTask::TEXT {
                true => only_hash(run.texts, &row.text).map_or(Content::Run(number), Content::Hash),
                false => Content::Seed(seeds.get(&context_key(row)).copied().unwrap_or(row.seed)),
            };
            let name = match &content {
                Content::Hash(hash) => names.get(hash.as_str()).copied().unwrap_or(&row.text),
                _ => &row.text,
            };
            all.push(UnitRow { row, unit: Unit { task: row.task, name: name.to_owned(), content } });
        }
        // A cell that failed in one run may have succeeded in another.
        seen.extend(own_rows().filter(|row| row.error.is_none()).map(|row| row.key.as_str()));
    }
    all
}

/// Returns the first of the names that each text has in the runs, by its hash.
fn names_by_hash<'a>(runs: &[RunRows<'a>]) -> BTreeMap<&'a str, &'a str> {
    let mut names = BTreeMap::new();
    for text in runs.iter().flat_map(|run| run.texts) {
        let name = names.entry(text.sha256.as_str()).or_insert(text.name.as_str());
        *name = (*name).min(text.name.as_str());
    }
    names
}

/// Returns the hash of the text that has this name; `None` if no text has it, or several have it.
fn only_hash(texts: &[FileHash], name: &str) -> Option<String> {
    let mut hashes = texts.iter().filter(|text| text.name == name).map(|text| &text.sha256);
    let first = hashes.next()?;
    hashes.all(|other| other == first).then(|| first.clone())
}

/// What has one seed for its generated context: an experiment and the name of the context.
fn context_key(row: &GridRow) -> (&str, &str) {
    (&row.experiment, &row.text)
}

/// Returns the seeds of generated contexts. An experiment generates them from its first seed, which the rows
/// of the full cache have. Those of a random policy have the seeds of the policy.
fn context_seeds(rows: &[GridRow]) -> BTreeMap<(&str, &str), u64> {
    let full = rows.iter().filter(|row| row.role == PolicyRole::Full && row.task != ScoredTask::TEXT);
    full.map(|row| (context_key(row), row.seed)).collect()
}

//! What a cell costs in quality, text by text.

use super::units::UnitRow;
use bitkv_record::{GridRow, ScoredTask};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The quality of a cell on some texts and generated contexts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The KL divergence from the full cache in nats, `[texts]`.
    pub kl: Vec<f64>,
    /// The share of tokens whose most likely token is that of the full cache, `[texts]`.
    pub agreement: Vec<f64>,
    /// The increase of the negative log-likelihood over the full cache in nats, `[texts]`.
    pub nll: Vec<f64>,
    /// The right answers to the questions of each retrieval task.
    pub tasks: Vec<TaskScores>,
}

/// The right answers to the questions of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskScores {
    /// The task.
    pub task: ScoredTask,
    /// The number of tokens in each context.
    pub tokens: usize,
    /// The number of right answers, `[contexts]`.
    pub correct: Vec<usize>,
    /// The number of questions, `[contexts]`.
    pub questions: Vec<usize>,
}

impl TaskScores {
    /// Returns the number of right answers in all contexts.
    pub fn right(&self) -> usize {
        self.correct.iter().sum()
    }

    /// Returns the number of questions in all contexts.
    pub fn asked(&self) -> usize {
        self.questions.iter().sum()
    }
}

impl Quality {
    /// Returns the quality that `rows` of one cell record. They are in the order of their texts and depths. A
    /// text that has several rows counts once, with the mean over its seeds.
    pub(super) fn new(rows: &[UnitRow<'_>]) -> Quality {
        let mut quality = Quality::default();
        for rows in rows.chunk_by(|a, b| a.unit == b.unit) {
            match rows[0].unit.task == ScoredTask::TEXT {
                true => quality.push_text(rows),
                false => quality.push_context(rows),
            }
        }
        quality
    }

    /// Returns the KL, the agreement and the increase of the NLL of a row on a text; `None` if one of them
    /// was not measured.
    pub(super) fn text_values(row: &GridRow) -> Option<[f64; 3]> {
        Some([row.kl_nats?, row.agreement?, row.nll_difference?])
    }

    /// Adds the rows of one text.
    fn push_text(&mut self, rows: &[UnitRow<'_>]) {
        let values = |i: usize| -> Option<f64> {
            let measured = |row: &UnitRow| Some((row.row.seed, Quality::text_values(row.row)?[i]));
            mean_over_seeds(rows.iter().filter_map(measured))
        };
        if let [Some(kl), Some(agreement), Some(nll)] = [0, 1, 2].map(values) {
            self.kl.push(kl);
            self.agreement.push(agreement);
            self.nll.push(nll);
        }
    }

    /// Adds the rows of one generated context, which has a row for each quarter of it that answers are in.
    /// The number of right answers is the mean over seeds, rounded.
    fn push_context(&mut self, rows: &[UnitRow<'_>]) {
        let (mut right, mut asked, mut is_measured) = (0.0, 0, false);
        for quarter in rows.chunk_by(|a, b| a.row.depth == b.row.depth) {
            let answers = |row: &UnitRow| Some((row.row.seed, row.row.correct? as f64));
            let Some(correct) = mean_over_seeds(quarter.iter().filter_map(answers)) else { continue };
            right += correct;
            asked += quarter[0].row.questions;
            is_measured = true;
        }
        if is_measured {
            let scores = self.scores(rows[0].unit.task, rows[0].row.context_tokens);
            scores.correct.push(f64::round(right) as usize);
            scores.questions.push(asked);
        }
    }

    /// Returns the scores of a task in contexts of `tokens` tokens, which are empty at first.
    fn scores(&mut self, task: ScoredTask, tokens: usize) -> &mut TaskScores {
        let at = self.tasks.iter().position(|scores| scores.task == task).unwrap_or_else(|| {
            self.tasks.push(TaskScores { task, tokens, correct: Vec::new(), questions: Vec::new() });
            self.tasks.len() - 1
        });
        &mut self.tasks[at]
    }

    /// Returns the scores of a task, if it was measured.
    pub fn task(&self, task: ScoredTask) -> Option<&TaskScores> {
        self.tasks.iter().find(|scores| scores.task == task)
    }

    /// Returns the mean KL over texts in nats; `None` without texts.
    pub fn mean_kl(&self) -> Option<f64> {
        mean(&self.kl)
    }

    /// Returns the mean agreement over texts, a share; `None` without texts.
    pub fn mean_agreement(&self) -> Option<f64> {
        mean(&self.agreement)
    }

    /// Returns the mean increase of the NLL over texts in nats; `None` without texts.
    pub fn mean_nll(&self) -> Option<f64> {
        mean(&self.nll)
    }

    /// Returns the share of the right answers of the full cache that this cell loses, negative if it has more
    /// right answers. `full` is the quality of the full cache on the same contexts. Returns `None` if one of
    /// them was not measured, or if the full cache has no right answer.
    pub fn loss(&self, task: ScoredTask, full: &Quality) -> Option<f64> {
        let (own, full) = (self.task(task)?, full.task(task)?);
        let comparable = own.questions == full.questions && full.right() > 0;
        comparable.then(|| 1.0 - own.right() as f64 / full.right() as f64)
    }
}

/// Returns the mean of the values; `None` if there are no values.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the mean over seeds of values with their seeds; `None` if there are no values. A seed that was
/// measured several times counts once.
fn mean_over_seeds(values: impl Iterator<Item = (u64, f64)>) -> Option<f64> {
    let mut by_seed: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    values.for_each(|(seed, value)| by_seed.entry(seed).or_default().push(value));
    let means: Vec<f64> = by_seed.into_values().filter_map(|values| constant_mean(&values)).collect();
    constant_mean(&means)
}

/// Returns the mean of values, which is exact if they are equal; `None` if there are no values.
pub(super) fn constant_mean(values: &[f64]) -> Option<f64> {
    match values {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Some(*first),
        values => mean(values),
    }
}

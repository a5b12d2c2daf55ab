//! What a cell costs in quality, text by text.

use bitkv_record::{GridRow, ScoredTask};
use serde::{Deserialize, Serialize};

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
    /// Returns the quality that `rows` of one cell record. They are in the order of their texts.
    pub(crate) fn new(rows: &[&GridRow]) -> Quality {
        let mut quality = Quality::default();
        for row in rows.iter().filter(|row| row.task == ScoredTask::TEXT) {
            let (Some(kl), Some(agreement), Some(nll)) = (row.kl_nats, row.agreement, row.nll_difference)
            else {
                continue;
            };
            quality.kl.push(kl);
            quality.agreement.push(agreement);
            quality.nll.push(nll);
        }
        let mut context = None;
        for row in rows.iter().filter(|row| row.task != ScoredTask::TEXT) {
            let Some(correct) = row.correct else { continue };
            let scores = quality.scores(row.task, row.context_tokens);
            // A generated context has a row for each quarter of it that answers are in.
            if context.replace((row.task, &row.text)) != Some((row.task, &row.text)) {
                scores.correct.push(0);
                scores.questions.push(0);
            }
            if let (Some(right), Some(asked)) = (scores.correct.last_mut(), scores.questions.last_mut()) {
                *right += correct;
                *asked += row.questions;
            }
        }
        quality
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

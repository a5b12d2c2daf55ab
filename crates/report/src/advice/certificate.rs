//! How sure a choice is: its quality on texts that had no part in the choice.

use super::{Limits, MeasuredCell, MeasuredModel, TaskScores};
use bitkv_record::ScoredTask;
use bitkv_stats::{attainable_level, conformal_bound};

/// The level of the bounds.
pub const LEVEL: f64 = 0.95;

/// The quality of a cell on the texts that certify.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The number of texts.
    pub texts: usize,
    /// The mean KL over texts in nats; `None` without texts.
    pub kl: Option<f64>,
    /// The conformal upper bound at [`LEVEL`] for the KL of one more text in nats; `None` if the number of
    /// texts does not attain the level.
    pub kl_bound: Option<f64>,
    /// The largest KL of a text in nats, which is a bound at the attainable level.
    pub largest_kl: Option<f64>,
    /// The highest level at which this number of texts has a bound.
    pub attainable: f64,
    /// Whether the mean KL and the lost answers meet the limits; `None` without a limit on quality, or if the
    /// rows lack what it limits.
    pub meets_limits: Option<bool>,
    /// The answers to retrieval tasks.
    pub tasks: Vec<TaskCertificate>,
}

/// The answers to a task in contexts that had no part in the choice.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskCertificate {
    /// The task.
    pub task: ScoredTask,
    /// The right answers.
    pub correct: usize,
    /// The right answers of the full cache.
    pub full_correct: usize,
    /// The questions.
    pub questions: usize,
    /// The share of the full cache's right answers that are lost; negative if there are more right answers.
    pub loss: f64,
    /// The number of generated contexts.
    pub contexts: usize,
    /// The number of tokens in each of them.
    pub tokens: usize,
}

impl Certificate {
    /// Certifies a cell of `model`. The bound holds if the next text is like the texts of the rows.
    pub fn new(cell: &MeasuredCell, model: &MeasuredModel, limits: &Limits) -> Certificate {
        let quality = &cell.certifying;
        let tasks = task_certificates(cell, model);
        let texts = quality.kl.len();
        Certificate {
            texts,
            kl: quality.mean_kl(),
            kl_bound: conformal_bound(&quality.kl, LEVEL),
            largest_kl: quality.kl.iter().copied().max_by(f64::total_cmp),
            attainable: attainable_level(texts),
            meets_limits: meets(limits, quality.mean_kl(), &tasks),
            tasks,
        }
    }
}

/// Returns the certificates of all tasks that the full cache can do.
fn task_certificates(cell: &MeasuredCell, model: &MeasuredModel) -> Vec<TaskCertificate> {
    let Some(full) = model.reference() else { return Vec::new() };
    let certificate = |scores: &TaskScores| {
        Some(TaskCertificate {
            task: scores.task,
            correct: scores.right(),
            full_correct: full.certifying.task(scores.task)?.right(),
            questions: scores.asked(),
            loss: cell.certifying.loss(scores.task, &full.certifying)?,
            contexts: scores.correct.len(),
            tokens: scores.tokens,
        })
    };
    cell.certifying.tasks.iter().filter_map(certificate).collect()
}

/// Returns whether a mean KL and lost answers meet the limits on quality.
fn meets(limits: &Limits, kl: Option<f64>, tasks: &[TaskCertificate]) -> Option<bool> {
    if !limits.has_quality() {
        return None;
    }
    let mut all = true;
    if let Some(limit) = limits.kl {
        all &= kl? <= limit;
    }
    for limit in &limits.losses {
        all &= tasks.iter().find(|task| task.task == limit.task)?.loss <= limit.share;
    }
    Some(all)
}

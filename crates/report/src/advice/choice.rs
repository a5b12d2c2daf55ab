//! Chooses among the measured cells of a model.

use super::{Limits, MeasuredCell, MeasuredModel, Memory, TaskLoss};
use crate::unique;
use bitkv_record::ScoredTask;

/// The bytes that a cell needs at the user's context length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellBytes {
    /// The bytes of its cache after the prompt.
    pub cache: u64,
    /// The bytes that the cache has besides the prompt while the policy repeats it; 0 if it does not.
    pub repetition: u64,
}

/// A cell and the bytes that it needs at the user's context length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The cell.
    pub cell: &'a MeasuredCell,
    /// The bytes of its cache after the prompt.
    pub cache_bytes: u64,
    /// The bytes that the cache has besides the prompt while the policy repeats it.
    pub repetition_bytes: u64,
}

impl Candidate<'_> {
    /// Returns the mean KL on the texts that choose, in nats. Every cell of a model has texts.
    pub fn kl(&self) -> f64 {
        self.cell.choosing.mean_kl().unwrap_or(f64::INFINITY)
    }

    /// Returns the most bytes that are needed until the cache is compressed.
    pub fn peak(&self, memory: &Memory) -> u64 {
        memory.peak() + self.repetition_bytes
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer<'a> {
    /// The full cache in f16 meets the limits on memory.
    Fits,
    /// This cell is the best one that meets all limits.
    Keep(Candidate<'a>),
    /// No measured cell meets all limits.
    NotMet(NotMet<'a>),
    /// No cell of the rows can be deployed.
    NoRows,
    /// The rows do not say how many answers this task loses: it was not measured, or the full cache has no
    /// right answer.
    NoAnswers(ScoredTask),
}

/// The limit that no measured cell meets, and the cell that comes nearest to it.
#[derive(Debug, Clone, PartialEq)]
pub enum NotMet<'a> {
    /// The smallest cache is too large.
    Memory(Candidate<'a>),
    /// Of the caches that are small enough, this one has the lowest KL.
    Kl(Candidate<'a>),
    /// Of the caches that meet the limits on memory and KL, this one loses the fewest answers to the task:
    /// this share.
    Loss(Candidate<'a>, TaskLoss),
}

/// The answer for a model, with the cells that come next.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice<'a> {
    /// The answer.
    pub answer: Answer<'a>,
    /// The other cells that meet all limits, the best first.
    pub runners_up: Vec<Candidate<'a>>,
    /// The cells that no cell beats in both bytes and KL, from the largest cache to the smallest.
    pub front: Vec<Candidate<'a>>,
    /// The policies that cannot run at the user's context length.
    pub left_out: Vec<&'a str>,
}

impl<'a> Advice<'a> {
    /// Chooses the cell with the lowest KL if memory is limited, and otherwise the smallest cache. The KL and
    /// the lost answers are those on the texts that choose. `bytes` returns the bytes of a cell at the user's
    /// context length; `None` if its policy cannot run there.
    pub fn new(
        model: &'a MeasuredModel,
        memory: &Memory,
        limits: &Limits,
        bytes: impl Fn(&MeasuredCell) -> Option<CellBytes>,
    ) -> Advice<'a> {
        let candidate = |cell: &'a MeasuredCell| {
            let CellBytes { cache, repetition } = bytes(cell)?;
            Some(Candidate { cell, cache_bytes: cache, repetition_bytes: repetition })
        };
        let cannot_run = model.cells.iter().filter(|cell| bytes(cell).is_none());
        let left_out = unique(cannot_run.map(|cell| cell.policy.as_str()));
        let mut all: Vec<Candidate> = model.cells.iter().filter_map(candidate).collect();
        all.sort_by(|a, b| a.kl().total_cmp(&b.kl()).then(a.cache_bytes.cmp(&b.cache_bytes)));
        let front = front(&all);
        let needs_nothing = limits.has_memory() || !limits.has_quality();
        if needs_nothing && limits.allow(memory, memory.full_cache) {
            let runners_up = Vec::new();
            return Advice { answer: Answer::Fits, runners_up, front, left_out };
        }
        match meeting(model, &all, memory, limits) {
            Ok(mut good) => {
                if !limits.has_memory() {
                    good.sort_by_key(|candidate| candidate.cache_bytes);
                }
                let best = good.remove(0);
                Advice { answer: Answer::Keep(best), runners_up: good, front, left_out }
            }
            Err(answer) => Advice { answer, runners_up: Vec::new(), front, left_out },
        }
    }

    /// Returns the cell to deploy; `None` if there is no such cell, or if nothing has to be evicted.
    pub fn kept(&self) -> Option<Candidate<'a>> {
        match self.answer {
            Answer::Keep(candidate) => Some(candidate),
            _ => None,
        }
    }
}

/// Returns the candidates that meet all limits, in the order of `all`, which is not empty then; otherwise the
/// answer that says why no candidate does. The limits are applied one after the other.
fn meeting<'a>(
    model: &MeasuredModel,
    all: &[Candidate<'a>],
    memory: &Memory,
    limits: &Limits,
) -> Result<Vec<Candidate<'a>>, Answer<'a>> {
    let smallest = all.iter().min_by_key(|candidate| candidate.cache_bytes).ok_or(Answer::NoRows)?;
    let mut good = all.to_vec();
    // If the prompt can be read, it must be possible to repeat it too.
    let can_read = limits.allow_peak(memory.peak());
    good.retain(|candidate| {
        let can_repeat = !can_read || limits.allow_peak(candidate.peak(memory));
        limits.allow(memory, candidate.cache_bytes) && can_repeat
    });
    let lowest = *good.first().ok_or(Answer::NotMet(NotMet::Memory(*smallest)))?;
    good.retain(|candidate| limits.kl.is_none_or(|limit| candidate.kl() <= limit));
    if good.is_empty() {
        return Err(Answer::NotMet(NotMet::Kl(lowest)));
    }
    for limit in &limits.losses {
        good = losing_at_most(model, good, *limit)?;
    }
    Ok(good)
}

/// Returns the candidates that lose no larger share of the full cache's right answers than the limit says.
fn losing_at_most<'a>(
    model: &MeasuredModel,
    good: Vec<Candidate<'a>>,
    limit: TaskLoss,
) -> Result<Vec<Candidate<'a>>, Answer<'a>> {
    let full = model.reference().ok_or(Answer::NoAnswers(limit.task))?;
    let loss = |candidate: &Candidate| candidate.cell.choosing.loss(limit.task, &full.choosing);
    let measured = good.iter().filter_map(|candidate| Some((*candidate, loss(candidate)?)));
    let measured: Vec<(Candidate, f64)> = measured.collect();
    let least = measured.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied();
    let (nearest, share) = least.ok_or(Answer::NoAnswers(limit.task))?;
    let meets = measured.into_iter().filter(|(_, share)| *share <= limit.share);
    let good: Vec<Candidate> = meets.map(|(candidate, _)| candidate).collect();
    match good.is_empty() {
        true => Err(Answer::NotMet(NotMet::Loss(nearest, TaskLoss { share, ..limit }))),
        false => Ok(good),
    }
}

/// Returns the candidates that no other beats in both bytes and KL. `all` is sorted by KL and then bytes, so
/// the caches become smaller.
fn front<'a>(all: &[Candidate<'a>]) -> Vec<Candidate<'a>> {
    let mut front: Vec<Candidate> = Vec::new();
    for candidate in all {
        if front.last().is_none_or(|last| candidate.cache_bytes < last.cache_bytes) {
            front.push(*candidate);
        }
    }
    front
}

//! Chooses among the measured cells of a model.

use super::{Limits, MeasuredCell, MeasuredModel, Memory, TaskLoss};
use bitkv_record::{KvFormat, ScoredTask};

/// A cell and the bytes of its cache at the user's context length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The cell.
    pub cell: &'a MeasuredCell,
    /// The bytes of its cache after the prompt.
    pub cache_bytes: u64,
}

impl Candidate<'_> {
    /// Returns the mean KL on the texts that choose, in nats. Every cell of a model has texts.
    pub fn kl(&self) -> f64 {
        self.cell.choosing.mean_kl().unwrap_or(f64::INFINITY)
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
}

impl<'a> Advice<'a> {
    /// Chooses the cell with the lowest KL if memory is limited, and otherwise the smallest cache. The KL and
    /// the lost answers are those on the texts that choose. `cache_bytes` returns the bytes of a cache at the
    /// user's context length from the fraction that is kept and the format.
    pub fn new(
        model: &'a MeasuredModel,
        memory: &Memory,
        limits: &Limits,
        cache_bytes: impl Fn(f64, KvFormat) -> u64,
    ) -> Advice<'a> {
        let candidate =
            |cell: &'a MeasuredCell| Candidate { cell, cache_bytes: cache_bytes(cell.kept, cell.kv) };
        let mut all: Vec<Candidate> = model.cells.iter().map(candidate).collect();
        all.sort_by(|a, b| a.kl().total_cmp(&b.kl()).then(a.cache_bytes.cmp(&b.cache_bytes)));
        let front = front(&all);
        let needs_nothing = limits.has_memory() || !limits.has_quality();
        if needs_nothing && limits.allow(memory, memory.full_cache) {
            let runners_up = Vec::new();
            return Advice { answer: Answer::Fits, runners_up, front };
        }
        match meeting(model, &all, memory, limits) {
            Ok(mut good) => {
                if !limits.has_memory() {
                    good.sort_by_key(|candidate| candidate.cache_bytes);
                }
                let best = good.remove(0);
                Advice { answer: Answer::Keep(best), runners_up: good, front }
            }
            Err(answer) => Advice { answer, runners_up: Vec::new(), front },
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
    good.retain(|candidate| limits.allow(memory, candidate.cache_bytes));
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

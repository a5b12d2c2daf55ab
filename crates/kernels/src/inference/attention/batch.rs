//! All heads of a layer, of one sequence or of many, over the threads.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;

use super::{Floats, Output, Part, Statistics, Wanted, run_at};
use crate::{Level, lanes};

/// Fewest queries of a task of many: a block or two of rows each.
const FEWEST_QUERIES: usize = 96;
/// Most tasks that a head's queries are divided into, because statistics over keys exist once a task.
const MOST_PARTS: usize = 16;
/// Multiply-adds below which another thread costs more than it takes over.
const WORTH_A_THREAD: usize = 1 << 20;

/// One KV head's cache of one sequence, the new tokens last.
#[derive(Clone, Copy, Debug)]
pub struct Cached<'a> {
    /// Keys after RoPE, `[keys, head_dim]`.
    pub keys: Floats<'a>,
    /// Values, `[keys, head_dim]`.
    pub values: Floats<'a>,
    /// Which keys may be seen at all, `[keys]`; `None` means all.
    pub mask: Option<&'a [bool]>,
}

/// New tokens of one sequence.
#[derive(Clone, Debug)]
pub struct Sequence<'a> {
    /// How many there are.
    pub tokens: usize,
    /// `[kv_heads]`; each may hold another number of keys.
    pub heads: Vec<Cached<'a>>,
}

/// What a layer's attention reads.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Queries after RoPE, `[tokens, kv_heads, group, head_dim]`, the tokens of one sequence after another.
    pub queries: &'a [f32],
    /// The sequences in the order of their queries.
    pub sequences: &'a [Sequence<'a>],
    /// Query heads that share a KV head.
    pub group: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
}

/// The queries `tokens` of a sequence's KV head.
struct Task {
    sequence: usize,
    head: usize,
    tokens: Range<usize>,
    /// Token of the batch that the sequence begins with.
    first: usize,
    /// Scores to compute.
    scores: usize,
}

/// Attends: `out` has the shape of the queries. Results are those of [`attend`](super::attend) on every KV head alone,
/// for any number of threads. Returns statistics `[sequences * kv_heads]` of what is `wanted`.
///
/// The tasks of all sequences and heads are in one list, longest first, and each thread takes the next when it is done
/// with one: heads of different lengths keep all threads busy, and little work stays on this one.
///
/// # Panics
/// When a slice does not fit the shapes of the batch.
pub fn attend_batch(batch: &Batch<'_>, out: &mut [f32], wanted: Option<&Wanted>) -> Vec<Statistics> {
    attend_batch_at(lanes::lanes_level(), batch, out, wanted)
}

/// The level must be present, which the callers in this crate see to.
pub(super) fn attend_batch_at(
    level: Level,
    batch: &Batch<'_>,
    out: &mut [f32],
    wanted: Option<&Wanted>,
) -> Vec<Statistics> {
    batch.check(out);
    let tasks = batch.tasks();
    let next = AtomicUsize::new(0);
    let out = Shared(Output::new(out, batch.width()));
    let work = |_: usize| {
        let mut seen = Vec::new();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            // SAFETY: no two tasks have the same tokens and head, and the level is present.
            seen.extend(unsafe { batch.run(level, task, &out, wanted) }.map(|statistics| (task, statistics)));
        }
        seen
    };
    let threads = batch.threads(&tasks);
    let mut seen = match threads {
        0 | 1 => work(0),
        _ => (0..threads).into_par_iter().with_max_len(1).flat_map_iter(work).collect(),
    };
    // Sums over queries are taken in the queries' order, whoever was first.
    seen.sort_by_key(|(task, _)| (task.sequence, task.head, task.tokens.start));
    wanted.map_or_else(Vec::new, |wanted| batch.merge(wanted, &seen))
}

impl Batch<'_> {
    /// Floats of a token's queries.
    fn width(&self) -> usize {
        self.sequences.first().map_or(0, |s| s.heads.len()) * self.group * self.head_dim
    }

    fn check(&self, out: &[f32]) {
        let kv_heads = self.sequences.first().map_or(0, |s| s.heads.len());
        let tokens: usize = self.sequences.iter().map(|s| s.tokens).sum();
        assert!(self.group * self.head_dim > 0, "heads have a width");
        assert_eq!(
            self.queries.len(),
            tokens * self.width(),
            "queries are [tokens, kv_heads, group, head_dim]"
        );
        assert_eq!(out.len(), self.queries.len(), "the output has the shape of the queries");
        for sequence in self.sequences {
            assert_eq!(sequence.heads.len(), kv_heads, "sequences have equally many KV heads");
            for head in &sequence.heads {
                head.check(sequence.tokens, self.head_dim);
            }
        }
    }

    /// Longest first.
    fn tasks(&self) -> Vec<Task> {
        let (mut tasks, mut first) = (Vec::new(), 0);
        for (sequence, of) in self.sequences.iter().enumerate() {
            let step = of.tokens.div_ceil(MOST_PARTS).max(FEWEST_QUERIES);
            for (head, cached) in of.heads.iter().enumerate() {
                let offset = cached.keys.len() / self.head_dim - of.tokens;
                for start in (0..of.tokens).step_by(step) {
                    let tokens = start..of.tokens.min(start + step);
                    let scores = self.group * tokens.clone().map(|token| offset + token + 1).sum::<usize>();
                    tasks.push(Task { sequence, head, tokens, first, scores });
                }
            }
            first += of.tokens;
        }
        tasks.sort_by_key(|task| std::cmp::Reverse(task.scores));
        tasks
    }

    /// Threads that are worth waking, this one included.
    fn threads(&self, tasks: &[Task]) -> usize {
        let work = 2 * self.head_dim * tasks.iter().map(|task| task.scores).sum::<usize>();
        tasks.len().min(rayon::current_num_threads()).min(work / WORTH_A_THREAD)
    }

    /// # Safety
    /// The level must be present, and nobody else may write the task's outputs.
    unsafe fn run(
        &self,
        level: Level,
        task: &Task,
        out: &Shared<'_>,
        wanted: Option<&Wanted>,
    ) -> Option<Statistics> {
        let sequence = &self.sequences[task.sequence];
        let Cached { keys, values, mask } = sequence.heads[task.head];
        let at = (task.first + task.tokens.start) * self.width() + task.head * self.group * self.head_dim;
        let part = Part {
            queries: &self.queries[at..],
            stride: self.width(),
            tokens: task.tokens.len(),
            keys,
            values,
            group: self.group,
            head_dim: self.head_dim,
            offset: keys.len() / self.head_dim - sequence.tokens + task.tokens.start,
            mask,
            scale: self.scale,
        };
        let mut statistics = wanted.map(|wanted| {
            let wanted = wanted.from_query(task.tokens.start);
            Statistics::new(self.group, part.tokens, part.visible(), &wanted)
        });
        // SAFETY: the part's outputs begin where its queries do; the rest is passed on.
        unsafe { run_at(level, &part, out.0.skip(at), statistics.as_mut()) };
        statistics
    }

    /// One for each sequence and head from those of the tasks, which are in order.
    fn merge(&self, wanted: &Wanted, seen: &[(&Task, Statistics)]) -> Vec<Statistics> {
        let mut merged = Vec::new();
        let mut seen = seen.iter().peekable();
        for (i, sequence) in self.sequences.iter().enumerate() {
            for (head, cached) in sequence.heads.iter().enumerate() {
                let keys = cached.keys.len() / self.head_dim;
                let mut whole = Statistics::new(self.group, sequence.tokens, keys, wanted);
                while let Some((task, part)) = seen.next_if(|(t, _)| (t.sequence, t.head) == (i, head)) {
                    whole.merge(task.tokens.start, part);
                }
                merged.push(whole);
            }
        }
        merged
    }
}

impl Cached<'_> {
    fn check(&self, tokens: usize, head_dim: usize) {
        for floats in [self.keys, self.values] {
            if let Floats::Packed(packed) = floats {
                assert_eq!(packed.width, head_dim, "packed rows have the width of a head");
            }
        }
        let keys = self.keys.len() / head_dim;
        assert!(self.keys.len() == keys * head_dim && keys >= tokens, "the new tokens' keys are there");
        assert_eq!(self.values.len(), self.keys.len(), "every key has a value");
        assert!(self.mask.is_none_or(|mask| mask.len() >= keys), "the mask covers the keys");
    }
}

/// An output that threads write their own cells of.
struct Shared<'a>(Output<'a>);

// SAFETY: the only access is `Output::row`, whose callers promise that no cell is in two hands.
unsafe impl Sync for Shared<'_> {}

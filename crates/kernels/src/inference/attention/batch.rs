//! Attention of all heads of a layer, for one or more sequences, on all threads.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;

use super::{Floats, HeadInput, Output, Statistics, Wanted, run_at};
use crate::{Level, lanes};

/// The smallest number of tokens in a task if a sequence is divided. They make one or two blocks of query
/// rows.
const FEWEST_QUERIES: usize = 96;
/// The largest number of tasks into which the queries of a head are divided. Each task holds its own
/// statistics for all keys, so more tasks need more memory.
const MOST_PARTS: usize = 16;
/// The smallest number of multiply-adds for which waking another thread is worth it.
const WORTH_A_THREAD: usize = 1 << 20;

/// The cache of one KV head of one sequence. The keys and values of the new tokens come last.
#[derive(Clone, Copy, Debug)]
pub struct CachedHead<'a> {
    /// Keys after RoPE, `[keys, head_dim]`.
    pub keys: Floats<'a>,
    /// Values, `[keys, head_dim]`.
    pub values: Floats<'a>,
    /// Whether a query may see each key, `[keys]`; `None` means that it may see all.
    pub mask: Option<&'a [bool]>,
}

/// The number of new tokens of one sequence, and the caches of its KV heads, which already hold these tokens.
#[derive(Clone, Debug)]
pub struct CachedSequence<'a> {
    /// Number of new tokens.
    pub tokens: usize,
    /// The cache of each KV head, `[kv_heads]`. The heads may hold different numbers of keys.
    pub heads: Vec<CachedHead<'a>>,
}

/// The input of attention for one layer and one or more sequences.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Queries after RoPE, `[tokens, kv_heads, group, head_dim]`. The tokens of each sequence are contiguous.
    pub queries: &'a [f32],
    /// The sequences in the order of their queries.
    pub sequences: &'a [CachedSequence<'a>],
    /// Number of query heads that share a KV head.
    pub group: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
}

/// A task: the attention of some tokens of one sequence for one KV head.
struct Task {
    /// Index of the sequence.
    sequence: usize,
    /// Index of the KV head.
    head: usize,
    /// Query tokens, counted from the first new token of the sequence.
    tokens: Range<usize>,
    /// Index in the batch of the sequence's first token.
    first: usize,
    /// Number of scores to compute.
    scores: usize,
}

/// Writes the attention output to `out`, which has the shape of the queries. Returns the statistics that
/// `wanted` asks for, `[sequences * kv_heads]`, or an empty list if `wanted` is `None`.
///
/// The outputs equal those of [`attend`](super::attend) on each KV head, for any number of threads.
///
/// The tasks of all sequences and heads are in one list, longest first, and each thread takes the next task
/// when it finishes one. All threads therefore stay busy even if the heads have different lengths.
///
/// # Panics
/// Panics if a slice does not fit the shapes of the batch.
pub fn attend_batch(batch: &Batch<'_>, out: &mut [f32], wanted: Option<&Wanted>) -> Vec<Statistics> {
    attend_batch_at(lanes::lanes_level(), batch, out, wanted)
}

/// Does the same as [`attend_batch`] with the vector width `level`, which the machine must have.
pub(super) fn attend_batch_at(
    level: Level,
    batch: &Batch<'_>,
    out: &mut [f32],
    wanted: Option<&Wanted>,
) -> Vec<Statistics> {
    batch.check(out);
    let tasks = batch.tasks();
    let next = AtomicUsize::new(0);
    let out = SharedOutput(Output::new(out, batch.width()));
    let run_tasks = |_: usize| {
        let mut results = Vec::new();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            // SAFETY: no two tasks have the same tokens and head, and the machine has the level.
            results
                .extend(unsafe { batch.run(level, task, &out, wanted) }.map(|statistics| (task, statistics)));
        }
        results
    };
    let threads = batch.threads(&tasks);
    let mut results = match threads {
        0 | 1 => run_tasks(0),
        _ => (0..threads).into_par_iter().with_max_len(1).flat_map_iter(run_tasks).collect(),
    };
    // Sums over queries are merged in the order of the queries, so they do not depend on the order of
    // completion.
    results.sort_by_key(|(task, _)| (task.sequence, task.head, task.tokens.start));
    wanted.map_or_else(Vec::new, |wanted| batch.merge(wanted, &results))
}

impl Batch<'_> {
    /// Returns the number of floats in the queries of a token.
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
            assert_eq!(sequence.heads.len(), kv_heads, "all sequences have the same number of KV heads");
            for head in &sequence.heads {
                head.check(sequence.tokens, self.head_dim);
            }
        }
    }

    /// Returns the tasks of the batch, longest first.
    fn tasks(&self) -> Vec<Task> {
        let (mut tasks, mut first) = (Vec::new(), 0);
        for (sequence, cached_sequence) in self.sequences.iter().enumerate() {
            let new_tokens = cached_sequence.tokens;
            let step = new_tokens.div_ceil(MOST_PARTS).max(FEWEST_QUERIES);
            for (head, cached) in cached_sequence.heads.iter().enumerate() {
                let offset = cached.keys.len() / self.head_dim - new_tokens;
                for start in (0..new_tokens).step_by(step) {
                    let tokens = start..new_tokens.min(start + step);
                    let scores = self.group * tokens.clone().map(|token| offset + token + 1).sum::<usize>();
                    tasks.push(Task { sequence, head, tokens, first, scores });
                }
            }
            first += new_tokens;
        }
        tasks.sort_by_key(|task| std::cmp::Reverse(task.scores));
        tasks
    }

    /// Returns the number of threads that are worth using, including the calling one.
    fn threads(&self, tasks: &[Task]) -> usize {
        let work = 2 * self.head_dim * tasks.iter().map(|task| task.scores).sum::<usize>();
        tasks.len().min(rayon::current_num_threads()).min(work / WORTH_A_THREAD)
    }

    /// Runs a task. Returns its statistics if any are wanted.
    ///
    /// # Safety
    /// The machine must have the level, and no one else may write the outputs of the task.
    unsafe fn run(
        &self,
        level: Level,
        task: &Task,
        out: &SharedOutput<'_>,
        wanted: Option<&Wanted>,
    ) -> Option<Statistics> {
        let sequence = &self.sequences[task.sequence];
        let CachedHead { keys, values, mask } = sequence.heads[task.head];
        let at = (task.first + task.tokens.start) * self.width() + task.head * self.group * self.head_dim;
        let input = HeadInput {
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
            Statistics::new(self.group, input.tokens, input.visible(), &wanted)
        });
        // SAFETY: outputs and queries start at the same offset; the caller upholds the rest of the contract.
        unsafe { run_at(level, &input, out.0.skip(at), statistics.as_mut()) };
        statistics
    }

    /// Merges the results of the tasks, which are sorted, into one entry for each sequence and head.
    fn merge(&self, wanted: &Wanted, results: &[(&Task, Statistics)]) -> Vec<Statistics> {
        let mut merged = Vec::new();
        let mut results = results.iter().peekable();
        for (i, sequence) in self.sequences.iter().enumerate() {
            for (head, cached) in sequence.heads.iter().enumerate() {
                let keys = cached.keys.len() / self.head_dim;
                let mut whole = Statistics::new(self.group, sequence.tokens, keys, wanted);
                while let Some((task, part)) = results.next_if(|(t, _)| (t.sequence, t.head) == (i, head)) {
                    whole.merge(task.tokens.start, part);
                }
                merged.push(whole);
            }
        }
        merged
    }
}

impl CachedHead<'_> {
    fn check(&self, tokens: usize, head_dim: usize) {
        for floats in [self.keys, self.values] {
            if let Floats::Packed(packed) = floats {
                assert_eq!(packed.width, head_dim, "packed rows have the width of a head");
            }
        }
        let keys = self.keys.len() / head_dim;
        assert!(
            self.keys.len() == keys * head_dim && keys >= tokens,
            "the cache holds the keys of the new tokens"
        );
        assert_eq!(self.values.len(), self.keys.len(), "every key has a value");
        assert!(self.mask.is_none_or(|mask| mask.len() >= keys), "the mask covers the keys");
    }
}

/// An output that several threads write. Each writes different cells.
struct SharedOutput<'a>(Output<'a>);

// SAFETY: the only access is `Output::row`, whose callers promise that no two threads use the same cell.
unsafe impl Sync for SharedOutput<'_> {}

#[cfg(test)]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::super::{batch::attend_batch_at, tests::levels, *};

    const WIDTH: usize = 20;
    const GROUP: usize = 3;

    /// Random sequences whose heads have different lengths.
    struct Ragged {
        queries: Vec<f32>,
        /// For each sequence, the number of new tokens and the keys and values of each KV head.
        sequences: Vec<(usize, Vec<[Vec<f16>; 2]>)>,
    }

    impl Ragged {
        fn random(shapes: &[(usize, Vec<usize>)], seed: u64) -> Ragged {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 40) as f32 / (1u64 << 22) as f32 - 2.0
            };
            let mut halves = |n: usize| (0..n).map(|_| f16::from_f32(next())).collect::<Vec<f16>>();
            let random_sequence = |(tokens, older): &(usize, Vec<usize>)| {
                let mut head = |older: &usize| [0, 1].map(|_| halves((older + tokens) * WIDTH));
                (*tokens, older.iter().map(&mut head).collect::<Vec<_>>())
            };
            let sequences: Vec<_> = shapes.iter().map(random_sequence).collect();
            let tokens: usize = shapes.iter().map(|(tokens, _)| tokens).sum();
            let queries = (0..tokens * shapes[0].1.len() * GROUP * WIDTH).map(|_| next() * 2.0).collect();
            Ragged { queries, sequences }
        }

        fn sequences(&self) -> Vec<CachedSequence<'_>> {
            self.sequences
                .iter()
                .map(|(tokens, heads)| CachedSequence {
                    tokens: *tokens,
                    heads: heads
                        .iter()
                        .map(|[k, v]| CachedHead { keys: Floats::F16(k), values: Floats::F16(v), mask: None })
                        .collect(),
                })
                .collect()
        }

        /// Computes every head of every sequence separately.
        fn head_by_head(&self, level: Level, wanted: &Wanted) -> (Vec<f32>, Vec<Statistics>) {
            let (mut out, mut seen, mut first) = (vec![0.0; self.queries.len()], Vec::new(), 0);
            for CachedSequence { tokens, heads } in self.sequences() {
                let (stride, span) = (heads.len() * GROUP * WIDTH, GROUP * WIDTH);
                for (head, cached) in heads.iter().enumerate() {
                    let rows = || (first..first + tokens).map(|t| t * stride + head * span);
                    let queries: Vec<f32> =
                        rows().flat_map(|at| self.queries[at..][..span].to_vec()).collect();
                    let keys = cached.keys.len() / WIDTH;
                    let input = Input {
                        queries: &queries,
                        keys: cached.keys,
                        values: cached.values,
                        group: GROUP,
                        head_dim: WIDTH,
                        offset: keys - tokens,
                        mask: None,
                        scale: 0.3,
                    };
                    let mut head_out = vec![0.0; queries.len()];
                    let mut statistics = Statistics::new(GROUP, tokens, keys, wanted);
                    attend_at(level, &input, &mut head_out, Some(&mut statistics));
                    for (at, row) in rows().zip(head_out.chunks_exact(span)) {
                        out[at..][..span].copy_from_slice(row);
                    }
                    seen.push(statistics);
                }
                first += tokens;
            }
            (out, seen)
        }

        /// Computes all heads as a batch.
        fn as_batch(&self, level: Level, threads: usize, wanted: &Wanted) -> (Vec<f32>, Vec<Statistics>) {
            let sequences = self.sequences();
            let batch = Batch {
                queries: &self.queries,
                sequences: &sequences,
                group: GROUP,
                head_dim: WIDTH,
                scale: 0.3,
            };
            let mut out = vec![9.0; self.queries.len()];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
            let seen = pool.install(|| attend_batch_at(level, &batch, &mut out, Some(wanted)));
            (out, seen)
        }
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10)
    }

    /// Compares a batch with its heads one by one. Outputs, entropies and rows have equal bits; sums over
    /// queries may differ slightly because they are added task by task.
    fn check(ragged: &Ragged, windows: &[usize]) {
        let wanted = Wanted {
            entropy: true,
            accumulated: true,
            largest: true,
            windows: windows.to_vec(),
            rows: windows.to_vec(),
        };
        for level in levels() {
            let (out, expected) = ragged.head_by_head(level, &wanted);
            let serial = ragged.as_batch(level, 1, &wanted);
            assert_eq!(serial.0, out, "{level:?}");
            for (got, alone) in serial.1.iter().zip(&expected) {
                assert_eq!(
                    (&got.entropy, &got.largest, &got.rows),
                    (&alone.entropy, &alone.largest, &alone.rows)
                );
                assert!(close(&got.accumulated, &alone.accumulated), "{level:?}");
                assert!(got.windows.iter().zip(&alone.windows).all(|(a, b)| close(&a.1, &b.1)), "{level:?}");
            }
            assert_eq!(serial.1.len(), expected.len());
            for threads in [2, 3] {
                assert_eq!(ragged.as_batch(level, threads, &wanted), serial, "{level:?}, {threads} threads");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn a_batch_equals_its_heads_computed_one_by_one(
            shapes in prop::collection::vec((1usize..12, prop::collection::vec(0usize..200, 3)), 1..5), seed: u64,
        ) {
            check(&Ragged::random(&shapes, seed), &[0, 1]);
        }
    }

    /// Each sequence has more queries than fit a task, and there is enough work for several threads.
    #[test]
    fn long_sequences_are_divided_into_tasks() {
        check(&Ragged::random(&[(230, vec![0, 150, 3]), (97, vec![40, 0, 300])], 5), &[60, 96]);
    }

    #[test]
    fn an_empty_batch_has_no_statistics() {
        let batch = Batch { queries: &[], sequences: &[], group: 4, head_dim: 8, scale: 1.0 };
        assert!(attend_batch(&batch, &mut [], Some(&Wanted::default())).is_empty());
    }
}

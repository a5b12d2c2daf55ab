use half::f16;
use proptest::prelude::*;

use super::{batch::attend_batch_at, tests::levels, *};

const WIDTH: usize = 20;
const GROUP: usize = 3;

/// Sequences of some new tokens over heads of several lengths.
struct Ragged {
    queries: Vec<f32>,
    /// New tokens, then for each KV head keys and values.
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
        let of_heads = |(tokens, older): &(usize, Vec<usize>)| {
            let mut head = |older: &usize| [0, 1].map(|_| halves((older + tokens) * WIDTH));
            (*tokens, older.iter().map(&mut head).collect::<Vec<_>>())
        };
        let sequences: Vec<_> = shapes.iter().map(of_heads).collect();
        let tokens: usize = shapes.iter().map(|(tokens, _)| tokens).sum();
        let queries = (0..tokens * shapes[0].1.len() * GROUP * WIDTH).map(|_| next() * 2.0).collect();
        Ragged { queries, sequences }
    }

    fn sequences(&self) -> Vec<Sequence<'_>> {
        self.sequences
            .iter()
            .map(|(tokens, heads)| Sequence {
                tokens: *tokens,
                heads: heads
                    .iter()
                    .map(|[k, v]| Cached { keys: Floats::F16(k), values: Floats::F16(v), mask: None })
                    .collect(),
            })
            .collect()
    }

    /// Every head of every sequence by itself.
    fn alone(&self, level: Level, wanted: &Wanted) -> (Vec<f32>, Vec<Statistics>) {
        let (mut out, mut seen, mut first) = (vec![0.0; self.queries.len()], Vec::new(), 0);
        for Sequence { tokens, heads } in self.sequences() {
            let (stride, span) = (heads.len() * GROUP * WIDTH, GROUP * WIDTH);
            for (head, cached) in heads.iter().enumerate() {
                let rows = || (first..first + tokens).map(|t| t * stride + head * span);
                let queries: Vec<f32> = rows().flat_map(|at| self.queries[at..][..span].to_vec()).collect();
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
                let mut of_head = vec![0.0; queries.len()];
                let mut statistics = Statistics::new(GROUP, tokens, keys, wanted);
                attend_at(level, &input, &mut of_head, Some(&mut statistics));
                for (at, row) in rows().zip(of_head.chunks_exact(span)) {
                    out[at..][..span].copy_from_slice(row);
                }
                seen.push(statistics);
            }
            first += tokens;
        }
        (out, seen)
    }

    fn together(&self, level: Level, threads: usize, wanted: &Wanted) -> (Vec<f32>, Vec<Statistics>) {
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

/// Outputs, entropies and rows to the bit; sums over queries are taken task by task.
fn check(ragged: &Ragged, windows: &[usize]) {
    let wanted = Wanted {
        entropy: true,
        accumulated: true,
        largest: true,
        windows: windows.to_vec(),
        rows: windows.to_vec(),
    };
    for level in levels() {
        let (out, seen) = ragged.alone(level, &wanted);
        let one = ragged.together(level, 1, &wanted);
        assert_eq!(one.0, out, "{level:?}");
        for (got, alone) in one.1.iter().zip(&seen) {
            assert_eq!(
                (&got.entropy, &got.largest, &got.rows),
                (&alone.entropy, &alone.largest, &alone.rows)
            );
            assert!(close(&got.accumulated, &alone.accumulated), "{level:?}");
            assert!(got.windows.iter().zip(&alone.windows).all(|(a, b)| close(&a.1, &b.1)), "{level:?}");
        }
        assert_eq!(one.1.len(), seen.len());
        for threads in [2, 3] {
            assert_eq!(ragged.together(level, threads, &wanted), one, "{level:?}, {threads} threads");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_batch_is_its_heads_alone(
        shapes in prop::collection::vec((1usize..12, prop::collection::vec(0usize..200, 3)), 1..5), seed: u64,
    ) {
        check(&Ragged::random(&shapes, seed), &[0, 1]);
    }
}

/// More queries than a task takes, enough work for several threads.
#[test]
fn long_sequences_are_divided() {
    check(&Ragged::random(&[(230, vec![0, 150, 3]), (97, vec![40, 0, 300])], 5), &[60, 96]);
}

#[test]
fn nothing_gives_nothing() {
    let batch = Batch { queries: &[], sequences: &[], group: 4, head_dim: 8, scale: 1.0 };
    assert!(attend_batch(&batch, &mut [], Some(&Wanted::default())).is_empty());
}

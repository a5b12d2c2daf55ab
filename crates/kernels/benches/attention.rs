//! Attention with the shapes of BitNet-b1.58-2B-4T.
//!
//! Prefill of one KV head is measured in operations per second, which compares with the peak rate of fused
//! multiply-adds. Decoding of a layer is measured in bytes of the cache per second, which compares with the
//! peak rate of reading memory. `BITKV_ISA` chooses the instruction set.

use std::hint::black_box;

use bitkv_kernels::{
    attention::{Batch, CachedHead, CachedSequence, Floats, Statistics, Wanted, attend_batch},
    isa,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;

/// Number of query heads that share a KV head.
const GROUP: usize = 4;
/// Width of a head.
const WIDTH: usize = 128;
const KV_HEADS: usize = 5;

fn halves(count: usize) -> Vec<f16> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        f16::from_f32((state >> 33) as f32 / (1u64 << 30) as f32 - 1.0)
    };
    (0..count).map(|_| next()).collect()
}

fn queries(count: usize) -> Vec<f32> {
    halves(count).iter().map(|h| 3.0 * h.to_f32()).collect()
}

fn attend(
    queries: &[f32],
    sequences: &[CachedSequence<'_>],
    out: &mut [f32],
    wanted: Option<&Wanted>,
) -> Vec<Statistics> {
    let scale = 1.0 / (WIDTH as f32).sqrt();
    attend_batch(&Batch { queries, sequences, group: GROUP, head_dim: WIDTH, scale }, out, wanted)
}

/// Prefills one KV head from an empty cache.
fn prefill(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("attention-prefill-{}", isa()));
    group.sample_size(10);
    for tokens in [512, 1024, 4096] {
        let (keys, values) = (halves(tokens * WIDTH), halves(tokens * WIDTH));
        let cached = CachedHead { keys: Floats::F16(&keys), values: Floats::F16(&values), mask: None };
        let (queries, sequences) =
            (queries(tokens * GROUP * WIDTH), [CachedSequence { tokens, heads: vec![cached] }]);
        let mut out = vec![0.0; queries.len()];
        // There are two products, each with a multiplication and an addition for every channel of a visible
        // key.
        group.throughput(Throughput::Elements((4 * WIDTH * GROUP * tokens * (tokens + 1) / 2) as u64));
        let entropy = Wanted { entropy: true, ..Wanted::default() };
        let all = Wanted { accumulated: true, windows: vec![tokens - 32], ..entropy.clone() };
        for (name, wanted) in [("plain", None), ("entropy", Some(&entropy)), ("sums", Some(&all))] {
            group.bench_function(BenchmarkId::new(name, tokens), |b| {
                b.iter(|| attend(black_box(&queries), &sequences, &mut out, wanted))
            });
        }
    }
    group.finish();
}

/// Decodes one token of a layer with a full cache, with a fifth of its entries, and with a fifth that is
/// spread unevenly over the heads.
fn decode(criterion: &mut Criterion) {
    const DEPTH: usize = 4096;
    let mut group = criterion.benchmark_group(format!("attention-decode-{}", isa()));
    for (name, kept) in [
        ("full", [DEPTH; KV_HEADS]),
        ("a-fifth", [DEPTH / 5; KV_HEADS]),
        ("ragged-fifth", [64, 256, 512, 1024, 2240]),
    ] {
        for sequences in [1, 8] {
            let buffer = |kept: usize| (halves(kept * WIDTH), halves(kept * WIDTH));
            let caches: Vec<Vec<_>> = (0..sequences).map(|_| kept.map(buffer).into()).collect();
            let cached = |k, v| CachedHead { keys: Floats::F16(k), values: Floats::F16(v), mask: None };
            let batch: Vec<_> = caches
                .iter()
                .map(|heads| CachedSequence {
                    tokens: 1,
                    heads: heads.iter().map(|(k, v)| cached(k, v)).collect(),
                })
                .collect();
            let queries = queries(sequences * KV_HEADS * GROUP * WIDTH);
            let mut out = vec![0.0; queries.len()];
            let bytes = sequences * kept.iter().sum::<usize>() * 2 * WIDTH * size_of::<f16>();
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new(name, sequences), |b| {
                b.iter(|| attend(black_box(&queries), &batch, &mut out, None))
            });
        }
    }
    group.finish();
}

criterion_group!(benches, prefill, decode);
criterion_main!(benches);

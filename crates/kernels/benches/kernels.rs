//! Attention with and without statistics.

use std::hint::black_box;

use bitkv_kernels::attention::{Floats, Input, Statistics, Wanted, attend};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;

fn numbers(count: usize) -> impl Iterator<Item = u32> {
    let mut state = 1u64;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    })
}

fn attention(criterion: &mut Criterion) {
    /// One KV head of 2B-4T.
    const GROUP: usize = 4;
    const WIDTH: usize = 128;
    const KEYS: usize = 1024;
    let halves =
        |n| numbers(n).map(|n| f16::from_f32(n as f32 / (1u64 << 30) as f32 - 1.0)).collect::<Vec<_>>();
    let (keys, values) = (halves(KEYS * WIDTH), halves(KEYS * WIDTH));
    let wanted = Wanted { entropy: true, accumulated: true, windows: vec![KEYS - 32], ..Wanted::default() };
    let mut group = criterion.benchmark_group("attention-1024-keys");
    group.sample_size(10);
    for tokens in [1, KEYS] {
        let queries: Vec<f32> = halves(tokens * GROUP * WIDTH).iter().map(|h| h.to_f32()).collect();
        let mut out = vec![0.0; queries.len()];
        let input = Input {
            queries: &queries,
            keys: Floats::F16(&keys),
            values: Floats::F16(&values),
            group: GROUP,
            head_dim: WIDTH,
            offset: KEYS - tokens,
            mask: None,
            scale: 1.0 / (WIDTH as f32).sqrt(),
        };
        group.throughput(Throughput::Elements((tokens * GROUP) as u64));
        group.bench_function(BenchmarkId::new("plain", tokens), |b| {
            b.iter(|| attend(black_box(&input), &mut out, None))
        });
        group.bench_function(BenchmarkId::new("statistics", tokens), |b| {
            b.iter(|| {
                let mut statistics = Statistics::new(GROUP, tokens, KEYS, &wanted);
                attend(black_box(&input), &mut out, Some(&mut statistics));
                statistics
            });
        });
    }
    group.finish();
}

criterion_group!(benches, attention);
criterion_main!(benches);

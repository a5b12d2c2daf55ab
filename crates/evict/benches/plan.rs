//! Measures the time to plan a cache with the shape of BitNet-b1.58-2B-4T and its full context of 4096
//! tokens.

use bitkv_evict::{Budget, Need, Observation, Policy, Shape};
use bitkv_stats::Rng;
use criterion::{Criterion, criterion_group, criterion_main};

// `head_dim` is an eighth of the model's, to fit a small machine.
const SHAPE: Shape = Shape { layers: 30, query_heads: 20, kv_heads: 5, tokens: 4096, head_dim: 16 };

const POLICIES: [&str; 7] = [
    "uniform+recency",
    "uniform+window-attention",
    "entropy+accumulated-attention{pool='max'}",
    "entropy+key-norm",
    "uniform+random",
    "entropy-proportional",
    "entropy-global",
];

fn noise(rng: &mut Rng, rows: usize, columns: usize) -> Vec<Vec<f32>> {
    (0..rows).map(|_| (0..columns).map(|_| rng.unit() as f32).collect()).collect()
}

fn plan(c: &mut Criterion) {
    let mut rng = Rng::new(1);
    let keys = noise(&mut rng, SHAPE.all_kv_heads(), SHAPE.tokens * SHAPE.head_dim);
    let attention = noise(&mut rng, SHAPE.all_query_heads(), SHAPE.tokens);
    let entropy: Vec<f64> = (0..SHAPE.all_query_heads()).map(|_| 4.0 * rng.unit()).collect();
    let observation = Observation::new(SHAPE)
        .with_rows(Need::Keys, &keys)
        .with_rows(Need::Accumulated, &attention)
        .with_rows(Need::Window(1), &attention)
        .with_rows(Need::Window(32), &attention)
        .with_numbers(Need::Entropy, &entropy);
    let budget = Budget::fraction(0.2).expect("a valid fraction");
    let mut group = c.benchmark_group("plan");
    for spec in POLICIES {
        let policy = Policy::parse(spec).expect("a valid policy");
        group.bench_function(spec, |b| {
            b.iter(|| policy.plan(&observation, budget).expect("everything is observed"))
        });
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);

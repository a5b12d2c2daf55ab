//! The operations between the matrix products of a layer of BitNet-b1.58-2B-4T, fused and step by step.

use std::hint::black_box;

use bitkv_kernels::{
    elementwise::{Gate, Norm, add, gate, rotate},
    ternary::Quantized,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const HIDDEN: usize = 2560;
const INNER: usize = 6912;
const HEAD: usize = 128;

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.37).sin()).collect()
}

fn elementwise(criterion: &mut Criterion) {
    let weight = numbers(INNER);
    let mut group = criterion.benchmark_group("elementwise");
    for tokens in [1, 512] {
        let (x, up) = (numbers(tokens * HIDDEN), numbers(tokens * INNER));
        let (mut y, mut quantised) = (vec![0.0; tokens * INNER], Quantized::default());
        let norm = Norm { weight: &weight[..HIDDEN], eps: 1e-5 };
        let inner = Norm { weight: &weight, eps: 1e-5 };
        group.throughput(Throughput::Elements((tokens * HIDDEN) as u64));
        group.bench_function(BenchmarkId::new("norm-quantise", tokens), |b| {
            b.iter(|| norm.quantise(black_box(&x), &mut quantised));
        });
        group.bench_function(BenchmarkId::new("norm-then-quantise", tokens), |b| {
            b.iter(|| {
                norm.apply(black_box(&x), &mut y[..x.len()]);
                quantised.fill(&y[..x.len()], HIDDEN);
            });
        });
        group.bench_function(BenchmarkId::new("residual", tokens), |b| {
            b.iter(|| add(&mut y[..x.len()], black_box(&x)));
        });
        let (cos, sin) = (vec![0.6; HEAD / 2], vec![0.8; HEAD / 2]);
        group.bench_function(BenchmarkId::new("rotate", tokens), |b| {
            b.iter(|| rotate(black_box(&mut y[..tokens * HIDDEN]), &cos, &sin));
        });
        group.throughput(Throughput::Elements((tokens * INNER) as u64));
        for (name, activation) in [("relu2", Gate::ReluSquared), ("silu", Gate::Silu)] {
            group.bench_function(BenchmarkId::new(format!("{name}-norm-quantise"), tokens), |b| {
                b.iter(|| {
                    y.copy_from_slice(&up);
                    quantised.fill_gated(activation, &mut y, black_box(&up), INNER, Some(inner));
                });
            });
            group.bench_function(BenchmarkId::new(format!("{name}-then-norm-then-quantise"), tokens), |b| {
                let mut normed = vec![0.0; up.len()];
                b.iter(|| {
                    y.copy_from_slice(&up);
                    gate(activation, &mut y, black_box(&up));
                    inner.apply(&y, &mut normed);
                    quantised.fill(&normed, INNER);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, elementwise);
criterion_main!(benches);

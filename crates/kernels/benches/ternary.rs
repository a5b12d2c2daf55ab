//! Ternary products with every instruction set of this machine.
//!
//! Prefill is measured in operations per second. Decoding is measured in packed bytes per second, with
//! weights that do not fit a cache.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bitkv_kernels::{
    Isa,
    ternary::{Product, Quantized, Ternary, linear_with},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Name, rows and columns of the linear layers of BitNet-b1.58-2B-4T and of a small layer.
const SHAPES: [(&str, usize, usize); 4] =
    [("2b-qo", 2560, 2560), ("2b-up", 6912, 2560), ("2b-down", 2560, 6912), ("small", 704, 256)];
/// Bytes of weights that decoding reads one after another: more than fit the last-level cache.
const STREAMED: usize = 512 << 20;

fn numbers(count: usize) -> impl Iterator<Item = u32> {
    let mut state = 1u64;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    })
}

fn weights(rows: usize, cols: usize) -> Ternary {
    let weights: Vec<i8> = numbers(rows * cols).map(|n| (n % 3) as i8 - 1).collect();
    Ternary::pack(rows, cols, &weights)
}

fn activations(tokens: usize, cols: usize) -> Quantized {
    let x: Vec<f32> = numbers(tokens * cols).map(|n| n as f32 / (1u64 << 30) as f32 - 1.0).collect();
    Quantized::new(&x, cols)
}

fn prefill(criterion: &mut Criterion) {
    for (name, rows, cols) in SHAPES {
        let weights = weights(rows, cols);
        let mut group = criterion.benchmark_group(format!("ternary-{name}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2));
        for tokens in [8, 128, 512] {
            let (x, mut out) = (activations(tokens, cols), vec![0.0; tokens * rows]);
            // There is one multiplication and one addition for each weight and token.
            group.throughput(Throughput::Elements((2 * tokens * rows * cols) as u64));
            for isa in Isa::available().iter().filter(|isa| **isa != Isa::Scalar || tokens == 8) {
                group.bench_function(BenchmarkId::new(isa.name(), tokens), |b| {
                    b.iter(|| {
                        let mut product = [Product { weights: &weights, scale: 1.0, out: &mut out }];
                        linear_with(*isa, black_box(&x), &mut product);
                    });
                });
            }
        }
        group.finish();
    }
}

fn decode(criterion: &mut Criterion) {
    let (rows, cols) = (6912, 2560);
    let matrix = weights(rows, cols);
    let matrices: Vec<Ternary> = vec![matrix; STREAMED / (rows * cols / 4)];
    let (x, mut out) = (activations(1, cols), vec![0.0; rows]);
    let mut group = criterion.benchmark_group("ternary-decode");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(matrices[0].bytes() as u64));
    for isa in Isa::available().iter().filter(|isa| **isa != Isa::Scalar) {
        group.bench_function(isa.name(), |b| {
            let mut next = matrices.iter().cycle();
            b.iter_custom(|iterations| {
                let started = Instant::now();
                for weights in next.by_ref().take(iterations as usize) {
                    linear_with(*isa, &x, &mut [Product { weights, scale: 1.0, out: &mut out }]);
                }
                started.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, prefill, decode);
criterion_main!(benches);

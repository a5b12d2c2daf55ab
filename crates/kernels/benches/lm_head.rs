//! The LM head of BitNet-b1.58-2B-4T, for a part of its vocabulary and with every instruction set of this
//! machine.
//!
//! A product with one token is measured in bytes of weights per second, and a product with more tokens in
//! multiply-adds per second.

use std::hint::black_box;

use bitkv_kernels::{
    Isa,
    dense::{Dense, Int8, matmul_with},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::{bf16, f16};

const COLS: usize = 2560;
/// Number of rows. Their weights do not fit a second-level cache.
const ROWS: usize = 6144;

/// Returns uniform numbers in [-1, 1).
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Measures the int8 LM head for one token: the product, in bytes per second, and the shortlist of rows whose
/// products may be the largest.
fn int8_head(criterion: &mut Criterion) {
    let (weights, x) = (numbers(ROWS * COLS), numbers(COLS));
    let write = |row: usize, out: &mut [f32]| out.copy_from_slice(&weights[row * COLS..][..COLS]);
    let int8 = Int8::quantise(ROWS, COLS, write).expect("there is enough memory");
    let mut group = criterion.benchmark_group("head-int8");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(int8.bytes() as u64));
    for isa in Isa::available() {
        group.bench_function(BenchmarkId::new(isa.name(), 1), |b| {
            b.iter(|| int8.multiply_with(*isa, black_box(&x)));
        });
    }
    group.bench_function("shortlist", |b| b.iter(|| int8.shortlist(black_box(&x), 1, &[])));
    group.finish();
}

fn dense_head(criterion: &mut Criterion) {
    let weights = numbers(ROWS * COLS);
    let halves: Vec<f16> = weights.iter().map(|w| f16::from_f32(*w)).collect();
    let brains: Vec<bf16> = weights.iter().map(|w| bf16::from_f32(*w)).collect();
    let types = [
        ("bf16", Dense::Bf16(&brains), 2),
        ("f16", Dense::F16(&halves), 2),
        ("f32", Dense::F32(&weights), 4),
    ];
    for (name, weights, bytes) in types {
        let mut group = criterion.benchmark_group(format!("head-{name}"));
        group.sample_size(10);
        for tokens in [1, 3, 16, 128] {
            let x = numbers(tokens * COLS);
            group.throughput(match tokens {
                1 => Throughput::Bytes((ROWS * COLS * bytes) as u64),
                _ => Throughput::Elements((ROWS * COLS * tokens) as u64),
            });
            // Plain loops take seconds for many tokens.
            for isa in Isa::available().iter().filter(|isa| **isa != Isa::Scalar || tokens == 1) {
                group.bench_function(BenchmarkId::new(isa.name(), tokens), |b| {
                    b.iter(|| matmul_with(*isa, black_box(&x), COLS, weights));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, dense_head, int8_head);
criterion_main!(benches);

//! Measures prefill with and without probes, and decoding with several kinds of caches, on a model with
//! random weights from a fixed seed.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use bitkv_bitnet::{Architecture, Config, KvCache, Model, Probes, Quantisation};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const TOKENS: usize = 512;

fn model() -> Model {
    let config = Config {
        vocab_size: 4096,
        hidden_size: 256,
        intermediate_size: 704,
        num_hidden_layers: 6,
        num_attention_heads: 8,
        num_key_value_heads: 2,
        head_dim: 32,
        max_position_embeddings: 2048,
        ..common::config(Architecture::BitNet)
    };
    common::load_masters(&config, &common::masters(&config, 1))
}

fn forward(criterion: &mut Criterion) {
    let model = model();
    let tokens = common::Random(2).tokens(TOKENS, model.config().vocab_size);
    let all = Probes { entropy: true, accumulated: true, windows: vec![32], ..Probes::default() };

    let mut group = criterion.benchmark_group("prefill-512");
    group.throughput(Throughput::Elements(TOKENS as u64)).sample_size(20);
    for (name, probes) in [("plain", None), ("probes", Some(&all))] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || model.new_cache(),
                |mut cache| {
                    black_box(model.forward(&tokens, &mut cache, probes).expect("the tokens are valid"))
                },
                BatchSize::LargeInput,
            );
        });
    }
    let hidden = model.forward(&tokens, &mut model.new_cache(), None).expect("the tokens are valid").hidden;
    group.bench_function("logits", |b| b.iter(|| black_box(model.logits(&hidden).expect("the width fits"))));
    group.finish();

    let mut full = model.new_cache();
    model.forward(&tokens, &mut full, None).expect("the tokens are valid");
    let mut quarter = full.clone();
    quarter.keep(&|_, _| (0..TOKENS as u32).step_by(4).collect()).expect("the positions are there");
    let mut group = criterion.benchmark_group("decode-after-512");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    let quantised = |quantisation| {
        let mut cache = full.clone();
        cache.quantise(quantisation).expect("the options are valid");
        cache
    };
    let (int8, int4) = (quantised(Quantisation::Int8), quantised(Quantisation::Int4));
    let kivi = quantised(Quantisation::kivi(2));
    let caches = [
        ("full-cache", &full),
        ("quarter-cache", &quarter),
        ("int8-cache", &int8),
        ("int4-cache", &int4),
        ("kivi2-cache", &kivi),
    ];
    for (name, cache) in caches {
        group.bench_function(name, |b| {
            b.iter_batched(
                || cache.clone(),
                |mut cache| black_box(model.decode(7, &mut cache).expect("the token is valid")),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);

//! A pass that runs its tokens in blocks is bit-identical to a pass that runs them all at once.

mod common;

use bitkv_bitnet::{
    Architecture, Cache, KvCache, MaskedCache, Model, ProbeOutput, Probes, Quantisation, Sequence,
};
use common::{BOTH, Random};

/// More tokens than two blocks hold.
const TOKENS: usize = 1100;

fn model(architecture: Architecture, seed: u64) -> Model {
    let mut config = common::config(architecture);
    config.max_position_embeddings = 4 * TOKENS;
    let masters = common::masters(&config, seed);
    common::load_masters(&config, &masters)
}

/// Returns the hidden states and entropies of a pass that cannot run in blocks, because it records its steps.
fn run_at_once(model: &Model, tokens: &[u32], cache: &mut dyn KvCache) -> (Vec<Vec<f32>>, ProbeOutput) {
    let probes = Probes { steps: true, entropy: true, ..Probes::default() };
    let output = model.forward(tokens, cache, Some(&probes)).unwrap();
    (output.hidden.to_vec2().unwrap(), output.probed.unwrap())
}

fn assert_same_caches(model: &Model, a: &dyn KvCache, b: &dyn KvCache, what: &str) {
    assert_eq!(a.tokens_seen(), b.tokens_seen(), "{what}");
    let config = model.config();
    for layer in 0..config.num_hidden_layers {
        for head in 0..config.num_key_value_heads {
            assert_eq!(a.view(layer, head).positions, b.view(layer, head).positions, "{what}");
            assert_eq!(a.rotary_position(layer, head), b.rotary_position(layer, head), "{what}");
            assert_eq!(a.keys_f32(layer, head), b.keys_f32(layer, head), "{what}");
            assert_eq!(a.values_f32(layer, head), b.values_f32(layer, head), "{what}");
        }
    }
}

/// Evicts so that every head keeps different tokens, and a different number of them.
fn evict_ragged(cache: &mut dyn KvCache) {
    let seen = cache.tokens_seen() as u32;
    let kept =
        |layer: usize, head: usize| (0..seen).filter(move |p| p % (2 + layer as u32) >= head as u32 % 2);
    cache.keep(&|layer, head| kept(layer, head).collect()).unwrap();
}

#[test]
fn a_pass_in_blocks_is_bit_identical_on_every_cache() {
    let kivi = Quantisation::Kivi { bits: 2, group: 4, residual: 12 };
    for (seed, architecture) in BOTH.into_iter().enumerate() {
        let model = model(architecture, seed as u64);
        let mut random = Random(seed as u64);
        let (before, tokens) = (random.tokens(70, 61), random.tokens(TOKENS, 61));
        for quantisation in [Quantisation::None, kivi] {
            for (what, masked, rerotated) in
                [("ragged", false, false), ("masked", true, false), ("rerotated", false, true)]
            {
                let empty = || -> Box<dyn KvCache> {
                    match masked {
                        true => Box::new(MaskedCache::new(model.new_cache().shape())),
                        false => Box::new(model.new_cache()),
                    }
                };
                let (mut a, mut b, mut c) = (empty(), empty(), empty());
                for cache in [&mut a, &mut b, &mut c] {
                    model.forward(&before, &mut **cache, None).unwrap();
                    evict_ragged(&mut **cache);
                    if rerotated {
                        model.rerotate(&mut **cache).unwrap();
                    }
                    cache.quantise(quantisation).unwrap();
                }
                let what = format!("{quantisation} {what}");
                let (expected, steps) = run_at_once(&model, &tokens, &mut *a);
                let entropy = Probes { entropy: true, ..Probes::default() };
                let output = model.forward(&tokens, &mut *b, Some(&entropy)).unwrap();
                assert_eq!(output.hidden.to_vec2::<f32>().unwrap(), expected, "{what}");
                assert_eq!(output.probed.unwrap().entropy, steps.entropy, "{what}");
                assert_same_caches(&model, &*a, &*b, &what);
                let last = output.hidden.narrow(0, TOKENS - 1, 1).unwrap();
                let last: Vec<Vec<f32>> = model.logits(&last).unwrap().to_vec2().unwrap();
                assert_eq!(model.prefill(&tokens, &mut *c, None).unwrap().0, last[0], "{what}");
                assert_same_caches(&model, &*a, &*c, &what);
            }
        }
    }
}

#[test]
fn a_batch_longer_than_a_block_equals_each_sequence_alone() {
    let model = model(Architecture::BitNet, 5);
    let lengths = [300, 1, 700, 211, 3];
    let texts: Vec<Vec<u32>> = (1..).zip(lengths).map(|(seed, n)| Random(seed).tokens(n, 61)).collect();
    let new_cache = || {
        let mut cache = model.new_cache();
        model.forward(&[7, 8, 9, 10, 11, 12], &mut cache, None).unwrap();
        evict_ragged(&mut cache);
        cache
    };
    let mut caches: Vec<Cache> = texts.iter().map(|_| new_cache()).collect();
    let mut sequences: Vec<Sequence<'_>> =
        texts.iter().zip(&mut caches).map(|(tokens, cache)| Sequence { tokens, cache }).collect();
    let together: Vec<Vec<f32>> = model.forward_batch(&mut sequences).unwrap().to_vec2().unwrap();
    let mut rows = together.into_iter();
    for (text, cache) in texts.iter().zip(&caches) {
        let mut alone = new_cache();
        let (expected, _) = run_at_once(&model, text, &mut alone);
        assert!(rows.by_ref().take(text.len()).eq(expected), "{} tokens", text.len());
        assert_same_caches(&model, cache, &alone, "batch");
    }
    assert_eq!(rows.count(), 0);
}

#[test]
fn a_long_prompt_reserves_no_spare_room() {
    let model = model(Architecture::BitNet, 6);
    let mut cache = model.new_cache();
    model.prefill(&Random(1).tokens(TOKENS, 61), &mut cache, None).unwrap();
    let positions = 3 * 2 * TOKENS * size_of::<u32>();
    assert_eq!(cache.allocated_bytes(), cache.bytes() + positions);
}

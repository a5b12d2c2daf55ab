//! Tests of quantised caches: their bytes and content, and that a pass in blocks and an eviction do not
//! change what a token sees.

mod common;

use bitkv_bitnet::{Cache, CacheShape, Error, Floats, KvCache, MaskedCache, Model, Quantisation};
use common::{BOTH, Random};

/// KIVI with groups that do not divide the width or the number of tokens.
const KIVI: Quantisation = Quantisation::Kivi { bits: 2, group: 5, residual: 7 };
const ALL: [Quantisation; 5] =
    [Quantisation::Int8, Quantisation::Int4, KIVI, Quantisation::kivi(4), Quantisation::kivi(2)];

fn logits(model: &Model, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = model.forward(tokens, cache, None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

fn heads(shape: CacheShape) -> impl Iterator<Item = (usize, usize)> {
    (0..shape.layers).flat_map(move |layer| (0..shape.kv_heads).map(move |head| (layer, head)))
}

/// Returns a cache of wide heads filled with random values, without a model.
fn filled(tokens: usize, head_dim: usize) -> Cache {
    let mut cache = Cache::new(CacheShape { layers: 2, kv_heads: 3, head_dim });
    let mut random = Random(7);
    for layer in 0..2 {
        let mut numbers = || (0..tokens * 3 * head_dim).map(|_| random.uniform()).collect::<Vec<_>>();
        cache.append(layer, &numbers(), &numbers());
    }
    cache.advance(tokens);
    cache
}

#[test]
fn bytes_count_codes_scales_and_residual() {
    // The bytes were computed by hand for the keys and values of one KV head of 300 tokens and width 128.
    let expected = [
        (Quantisation::None, 2 * 300 * 128 * 2),
        (Quantisation::Int8, 2 * 300 * (128 + 4)),
        (Quantisation::Int4, 2 * 300 * (64 + 4 * 4)),
        // 160 tokens are codes and 140 are f16. Keys have 128 * 5 groups, values 160 * 4.
        (Quantisation::kivi(2), 2 * (160 * 32 + 140 * 256) + (128 * 5 + 160 * 4) * 4),
        (Quantisation::kivi(4), 2 * (160 * 64 + 140 * 256) + (128 * 5 + 160 * 4) * 4),
    ];
    for (quantisation, bytes) in expected {
        let mut cache = filled(300, 128);
        cache.quantise(quantisation).unwrap();
        assert_eq!(cache.quantisation(), quantisation);
        assert_eq!(cache.bytes(), 6 * bytes, "{quantisation}");
        assert_eq!(quantisation.bytes(300, 128), bytes, "{quantisation}");
        let positions = 6 * 300 * 4;
        assert_eq!(cache.allocated_bytes(), 6 * bytes + positions, "{quantisation} has no spare room");
        cache.keep(&|layer, _| (layer as u32..40).collect()).unwrap();
        let expected = 3 * (quantisation.bytes(40, 128) + quantisation.bytes(39, 128));
        assert_eq!(cache.bytes(), expected, "{quantisation} after an eviction");
    }
}

#[test]
fn values_read_back_are_close() {
    for (quantisation, tolerance) in ALL.into_iter().zip([0.005, 0.07, 0.4, 0.07, 0.4]) {
        let mut cache = filled(300, 48);
        let before = cache.clone();
        cache.quantise(quantisation).unwrap();
        let (mut largest, mut changed) = (0.0f32, 0);
        for (layer, head) in heads(cache.shape()) {
            assert!(matches!(cache.view(layer, head).keys, Floats::Packed(_)));
            let pairs = [
                (cache.keys_f32(layer, head), before.keys_f32(layer, head)),
                (cache.values_f32(layer, head), before.values_f32(layer, head)),
            ];
            for (got, exact) in pairs {
                assert_eq!(got.len(), exact.len());
                let errors = got.iter().zip(&exact).map(|(a, b)| (a - b).abs());
                errors.for_each(|e| (largest, changed) = (largest.max(e), changed + usize::from(e > 0.0)));
            }
        }
        assert!(largest <= tolerance && changed > 1000, "{quantisation}: {largest}, {changed} changed");
        cache.quantise(Quantisation::None).unwrap();
        assert_eq!(cache.bytes(), before.bytes());
    }
}

/// A block of tokens gives the same cache as the same tokens one by one. A float cache that is quantised
/// later has the same codes.
#[test]
fn tokens_are_quantised_independently() {
    for (architecture, quantisation) in BOTH.into_iter().flat_map(|a| ALL[..2].iter().map(move |q| (a, *q))) {
        let model = common::model(architecture, 1);
        let tokens = Random(2).tokens(90, 61);
        let new = || {
            let mut cache = model.new_cache();
            cache.quantise(quantisation).unwrap();
            cache
        };
        let mut block = new();
        let whole = logits(&model, &tokens, &mut block);
        let mut single = new();
        let ones: Vec<_> = tokens.iter().flat_map(|token| logits(&model, &[*token], &mut single)).collect();
        assert_eq!(ones, whole, "{architecture:?} {quantisation}");
        for (layer, head) in heads(block.shape()) {
            assert_eq!(block.keys_f32(layer, head), single.keys_f32(layer, head));
        }
        // Layer 0 does not depend on quantised keys, so its keys equal those of an f16 cache that is
        // quantised later.
        let mut later = model.new_cache();
        assert_ne!(logits(&model, &tokens, &mut later), whole);
        later.quantise(quantisation).unwrap();
        assert_eq!(later.keys_f32(0, 1), block.keys_f32(0, 1));
        assert_eq!(later.values_f32(0, 0), block.values_f32(0, 0));
    }
}

/// After each call the newest tokens are f16: at least 7, and up to 4 more that do not fill a group of 5.
#[test]
fn kivi_quantises_after_each_call() {
    let model = common::model(BOTH[0], 3);
    let mut random = Random(5);
    let (mut cache, mut plain) = (model.new_cache(), model.new_cache());
    cache.quantise(KIVI).unwrap();
    let tokens = random.tokens(33, 61);
    assert_eq!(
        logits(&model, &tokens, &mut cache),
        logits(&model, &tokens, &mut plain),
        "a pass sees its own tokens in f16"
    );
    let newest = |cache: &Cache| match cache.view(1, 1).keys {
        Floats::Packed(packed) => (packed.coded_rows(), packed.newest.len() / 6),
        _ => panic!("the cache is quantised"),
    };
    assert_eq!(newest(&cache), (25, 8));
    for expected in [(25, 9), (25, 10), (25, 11), (30, 7), (30, 8)] {
        logits(&model, &random.tokens(1, 61), &mut cache);
        assert_eq!(newest(&cache), expected);
    }
    assert_eq!(cache.keys_f32(0, 0)[30 * 6..33 * 6], plain.keys_f32(0, 0)[30 * 6..]);
    assert_ne!(cache.keys_f32(0, 0)[..30 * 6], plain.keys_f32(0, 0)[..30 * 6]);
    cache.keep(&|_, _| (0..38).collect()).unwrap();
    assert_eq!(newest(&cache), (30, 8), "keeping all tokens changes nothing");
}

#[test]
fn a_cache_can_change_its_quantisation() {
    let model = common::model(BOTH[0], 3);
    let mut random = Random(5);
    let tokens = random.tokens(70, 61);
    let (mut compact, mut masked) =
        (model.new_cache(), MaskedCache::new(CacheShape::from_config(model.config())));
    logits(&model, &tokens, &mut compact);
    logits(&model, &tokens, &mut masked);
    for quantisation in [Quantisation::Int8, KIVI, Quantisation::None, Quantisation::Int4, Quantisation::None]
    {
        compact.quantise(quantisation).unwrap();
        masked.quantise(quantisation).unwrap();
        let part = random.tokens(12, 61);
        assert_eq!(logits(&model, &part, &mut compact), logits(&model, &part, &mut masked), "{quantisation}");
    }
}

#[test]
fn options_out_of_range_change_nothing() {
    let mut cache = filled(20, 8);
    let bytes = cache.bytes();
    for (bits, group, named) in [(3, 32, "`bits` is 3"), (16, 32, "`bits` is 16"), (2, 0, "`group` is 0")] {
        let error = cache.quantise(Quantisation::Kivi { bits, group, residual: 128 }).unwrap_err();
        assert!(matches!(error, Error::Option { .. }) && error.to_string().contains(named), "{error}");
        assert_eq!((cache.bytes(), cache.quantisation()), (bytes, Quantisation::None));
    }
    assert_eq!(Quantisation::kivi(2).to_string(), "kivi(bits=2,group=32,residual=128)");
}

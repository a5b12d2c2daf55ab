//! Prefill equals decoding, and the ragged cache equals the masked one, bit for bit.

mod common;

use bitkv_bitnet::{Cache, CachePrecision, CacheShape, Error, KvCache, MaskedCache, Model, Probes};
use candle_core::Tensor;
use common::{BOTH, Random};

const TOKENS: usize = 150;

fn logits(model: &Model, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = model.forward(tokens, cache, None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

#[test]
fn decoding_is_bit_identical_to_prefill() {
    for architecture in BOTH {
        let model = common::model(architecture, 1);
        let tokens = Random(2).tokens(TOKENS, 61);
        let whole = logits(&model, &tokens, &mut model.new_cache());
        let mut cache = model.new_cache();
        for (i, token) in tokens.iter().enumerate() {
            assert_eq!(logits(&model, &[*token], &mut cache)[0], whole[i], "{architecture:?} token {i}");
        }
        for split in [1, 40, 133] {
            let mut cache = model.new_cache();
            let mut parts = logits(&model, &tokens[..split], &mut cache);
            parts.extend(logits(&model, &tokens[split..], &mut cache));
            assert_eq!(parts, whole, "{architecture:?} split at {split}");
        }
    }
}

#[test]
fn logits_are_finite_and_differ() {
    for architecture in BOTH {
        let model = common::model(architecture, 1);
        let rows = logits(&model, &Random(2).tokens(20, 61), &mut model.new_cache());
        assert!(rows.iter().flatten().all(|l| l.is_finite()));
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

/// Plans to keep a random share of the tokens of each head; some heads keep nothing.
fn random_plan(
    shape: CacheShape,
    held: impl Fn(usize, usize) -> Vec<u32>,
    random: &mut Random,
) -> Vec<Vec<u32>> {
    let heads = (0..shape.layers).flat_map(|l| (0..shape.kv_heads).map(move |h| (l, h)));
    heads
        .map(|(layer, head)| {
            let share = random.below(11);
            held(layer, head).into_iter().filter(|_| random.below(10) < share).collect()
        })
        .collect()
}

fn visible(cache: &dyn KvCache, layer: usize, head: usize) -> Vec<u32> {
    let view = cache.view(layer, head);
    let seen = |i: usize| view.mask.is_none_or(|mask| mask[i]);
    (0..view.positions.len()).filter(|i| seen(*i)).map(|i| view.positions[i]).collect()
}

#[test]
fn the_ragged_cache_equals_the_masked_one() {
    let cases = (0..6).flat_map(|seed| BOTH.map(|a| (a, seed)));
    let cases = cases.flat_map(|(a, seed)| [CachePrecision::F16, CachePrecision::F32].map(|p| (a, seed, p)));
    for (architecture, seed, precision) in cases {
        let model = common::model(architecture, seed);
        let mut random = Random(seed + 100);
        let tokens = random.tokens(TOKENS, 61);
        let mut ragged = model.new_cache_with_precision(precision);
        let mut masked = MaskedCache::with_precision(ragged.shape(), precision);
        assert_eq!(logits(&model, &tokens[..90], &mut ragged), logits(&model, &tokens[..90], &mut masked));
        let mut position = 90;
        // Passes of several tokens and of single tokens, with an eviction before each. Half of the cases also
        // rerotate the keys.
        for count in [17, 1, 1, 1, 30, 1] {
            let plan = random_plan(ragged.shape(), |l, h| visible(&ragged, l, h), &mut random);
            let heads = ragged.shape().kv_heads;
            for cache in [&mut ragged as &mut dyn KvCache, &mut masked] {
                cache.keep(&|l, h| plan[l * heads + h].clone()).unwrap();
                if seed % 2 == 1 {
                    model.rerotate(cache).unwrap();
                }
            }
            let part = &tokens[position..position + count];
            let (a, b) = (logits(&model, part, &mut ragged), logits(&model, part, &mut masked));
            assert_eq!(a, b, "{architecture:?} seed {seed} after {position}");
            for (layer, head) in (0..3).flat_map(|l| (0..heads).map(move |h| (l, h))) {
                assert_eq!(visible(&ragged, layer, head), visible(&masked, layer, head));
                assert_eq!(ragged.rotary_position(layer, head), masked.rotary_position(layer, head));
            }
            position += count;
        }
        assert_eq!((ragged.tokens_seen(), masked.tokens_seen()), (position, position));
        assert!(
            ragged.bytes()
                < position * 2 * precision.bytes() * 6 * ragged.shape().layers * ragged.shape().kv_heads
        );
    }
}

#[test]
fn keeping_everything_changes_nothing_and_evicting_does() {
    let model = common::model(BOTH[0], 3);
    let tokens = Random(4).tokens(60, 61);
    let mut full = model.new_cache();
    logits(&model, &tokens[..50], &mut full);
    let mut kept = full.clone();
    kept.keep(&|_, _| (0..50).collect()).unwrap();
    let mut evicted = full.clone();
    evicted.keep(&|_, _| (25..50).collect()).unwrap();
    let reference = logits(&model, &tokens[50..], &mut full);
    assert_eq!(logits(&model, &tokens[50..], &mut kept), reference);
    assert_ne!(logits(&model, &tokens[50..], &mut evicted), reference);
}

#[test]
fn probes_change_no_logit() {
    let model = common::model(BOTH[1], 3);
    let tokens = Random(4).tokens(40, 61);
    let all = Probes {
        entropy: true,
        accumulated: true,
        windows: vec![8],
        window_rows: vec![8],
        window_queries: vec![8],
        keys: true,
        values: true,
        positions: true,
        hidden: true,
        steps: true,
        qkv: true,
        query_moments: vec![4],
        residual_similarity: true,
        attention_output: true,
    };
    let probed = model.forward(&tokens, &mut model.new_cache(), Some(&all)).unwrap();
    let plain = model.forward(&tokens, &mut model.new_cache(), None).unwrap();
    let rows = |t: &Tensor| t.to_vec2::<f32>().unwrap();
    assert_eq!(rows(&probed.hidden), rows(&plain.hidden));
    assert!(plain.probed.is_none());
}

#[test]
fn failed_calls_leave_the_cache_unchanged() {
    let model = common::model(BOTH[0], 5);
    let mut cache = model.new_cache();
    model.forward(&[1, 2, 3], &mut cache, None).unwrap();
    let error_of = |tokens: &[u32], cache: &mut Cache, probes: Option<&Probes>| {
        let error = model.forward(tokens, cache, probes).unwrap_err();
        assert_eq!((cache.tokens_seen(), cache.len(0, 0), cache.len(2, 1)), (3, 3, 3));
        error
    };
    assert!(matches!(error_of(&[], &mut cache, None), Error::NoTokens));
    let outside = error_of(&[1, 61], &mut cache, None);
    assert!(matches!(outside, Error::TokenOutOfVocabulary { id: 61, index: 1, vocab_size: 61 }), "{outside}");
    let long = error_of(&[0; 298], &mut cache, None).to_string();
    assert!(long.contains("position 300") && long.contains("300 positions"), "{long}");
    let empty_window = Probes { windows: vec![4, 0], ..Probes::default() };
    assert!(matches!(error_of(&[1], &mut cache, Some(&empty_window)), Error::EmptyWindow(0)));
    let mut foreign = common::model(BOTH[1], 5).new_cache();
    let error = model.forward(&[1], &mut foreign, None).unwrap_err().to_string();
    assert!(error.contains("6 KV heads") && error.contains("2 KV heads"), "{error}");
    model.forward(&[0; 297], &mut cache, None).unwrap();
}

//! Tests of rerotation: keys equal keys that were rotated to the new positions directly, and a stream may
//! have more tokens than the model has positions.

mod common;

use bitkv_bitnet::{Cache, CachePrecision, CacheShape, Error, KvCache, MaskedCache, Model};
use common::{BOTH, Random};

fn logits(model: &Model, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = model.forward(tokens, cache, None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

/// Returns a plan that keeps a random share of the tokens of each head.
fn ragged_plan(cache: &dyn KvCache, random: &mut Random) -> Vec<Vec<u32>> {
    let shape = cache.shape();
    let heads = (0..shape.layers).flat_map(|l| (0..shape.kv_heads).map(move |h| (l, h)));
    let plan = heads.map(|(layer, head)| {
        let view = cache.view(layer, head);
        let seen = |i: &usize| view.mask.is_none_or(|mask| mask[*i]);
        let share = random.below(11);
        let held = (0..view.positions.len()).filter(seen).map(|i| view.positions[i]);
        held.filter(|_| random.below(10) < share).collect()
    });
    plan.collect()
}

fn keep(cache: &mut dyn KvCache, plan: &[Vec<u32>]) {
    let heads = cache.shape().kv_heads;
    cache.keep(&|layer, head| plan[layer * heads + head].clone()).unwrap();
}

/// Returns a key `[head_dim]` rotated in f64 from `from` to `to`, by the angles that the model rounds to f32.
fn rotated(theta: f32, key: &[f32], from: usize, to: usize) -> Vec<f64> {
    let half = key.len() / 2;
    let angle = |j: usize| {
        let frequency = 1.0 / theta.powf((2 * j) as f32 / key.len() as f32);
        f64::from(to as f32 * frequency) - f64::from(from as f32 * frequency)
    };
    let entry = |d: usize| {
        let (sin, cos) = angle(d % half).sin_cos();
        let other = if d < half { -f64::from(key[d + half]) } else { f64::from(key[d - half]) };
        f64::from(key[d]) * cos + other * sin
    };
    (0..key.len()).map(entry).collect()
}

#[test]
fn rerotated_keys_equal_keys_rotated_at_once() {
    let cases = [(CachePrecision::F32, 1e-5), (CachePrecision::F16, 1e-3)];
    for (architecture, (precision, tolerance)) in BOTH.into_iter().flat_map(|a| cases.map(|c| (a, c))) {
        let model = common::model(architecture, 1);
        let theta = model.config().rope_theta as f32;
        let mut random = Random(5);
        let mut cache = model.new_cache_with_precision(precision);
        logits(&model, &random.tokens(150, 61), &mut cache);
        let before = cache.clone();
        let plan = ragged_plan(&cache, &mut random);
        keep(&mut cache, &plan);
        model.rerotate(&mut cache).unwrap();
        assert_eq!(cache.tokens_seen(), 150);
        let heads = cache.shape().kv_heads;
        for (i, kept) in plan.iter().enumerate() {
            let (layer, head) = (i / heads, i % heads);
            assert_eq!(cache.view(layer, head).positions, kept, "original positions stay");
            assert_eq!(cache.rotary_position(layer, head), kept.len());
            let (old, new) = (before.keys_f32(layer, head), cache.keys_f32(layer, head));
            for (to, from) in kept.iter().map(|p| *p as usize).enumerate() {
                let exact = rotated(theta, &old[from * 6..][..6], from, to);
                for (got, exact) in new[to * 6..][..6].iter().zip(exact) {
                    assert!(
                        (f64::from(*got) - exact).abs() < tolerance * (1.0 + exact.abs()),
                        "{architecture:?} {precision:?} head {i}: {from} to {to}: {got} for {exact}"
                    );
                }
            }
            let values = before.values_f32(layer, head);
            let kept_values: Vec<f32> =
                kept.iter().flat_map(|p| &values[*p as usize * 6..][..6]).copied().collect();
            assert_eq!(cache.values_f32(layer, head), kept_values);
        }
    }
}

/// The keys of the first layer depend only on their tokens. So a run of only those tokens that a head keeps
/// rotates the same keys to the same positions directly.
#[test]
fn repeated_evictions_and_rerotations_equal_a_single_run() {
    for (architecture, seed) in BOTH.into_iter().flat_map(|a| (0..4).map(move |seed| (a, seed))) {
        let model = common::model(architecture, 2);
        let mut random = Random(seed);
        let (mut cache, mut text) = (model.new_cache_with_precision(CachePrecision::F32), Vec::new());
        let heads = cache.shape().kv_heads;
        for round in 0..9 {
            let tokens = random.tokens(25, 61);
            logits(&model, &tokens, &mut cache);
            text.extend(tokens);
            let mut plan = ragged_plan(&cache, &mut random);
            // One head keeps its oldest tokens. They need no rotation now, but later tokens do.
            plan[0] = cache.view(0, 0).positions[..20].to_vec();
            keep(&mut cache, &plan);
            // In some rounds nothing is rerotated, so two evictions come before the next rerotation.
            if round % 3 == 1 {
                continue;
            }
            model.rerotate(&mut cache).unwrap();
            for (head, kept) in plan[..heads].iter().enumerate().filter(|(_, kept)| !kept.is_empty()) {
                let held: Vec<u32> = kept.iter().map(|p| text[*p as usize]).collect();
                let mut direct = model.new_cache_with_precision(CachePrecision::F32);
                logits(&model, &held, &mut direct);
                let (rerotated, direct) = (cache.keys_f32(0, head), direct.keys_f32(0, head));
                assert_eq!(rerotated.len(), direct.len());
                let close = rerotated.iter().zip(&direct).all(|(a, b)| (a - b).abs() < 2e-5);
                assert!(close, "{architecture:?} seed {seed} round {round} head {head}");
            }
        }
        assert_eq!((cache.tokens_seen(), cache.rotary_position(0, 0)), (225, 20));
    }
}

/// Returns a new cache that holds the keys and values of `from`, as if there had been no other tokens.
fn refilled(from: &Cache, precision: CachePrecision) -> Cache {
    let CacheShape { layers, kv_heads, head_dim } = from.shape();
    let mut cache = Cache::with_precision(from.shape(), precision);
    let tokens = from.len(0, 0);
    let rows = |heads: Vec<Vec<f32>>| -> Vec<f32> {
        let token_rows =
            |token: usize| heads.iter().flat_map(move |head| &head[token * head_dim..][..head_dim]);
        (0..tokens).flat_map(token_rows).copied().collect()
    };
    for layer in 0..layers {
        let keys = rows((0..kv_heads).map(|head| from.keys_f32(layer, head)).collect());
        let values = rows((0..kv_heads).map(|head| from.values_f32(layer, head)).collect());
        cache.append(layer, &keys, &values);
    }
    cache.advance(tokens);
    cache
}

#[test]
fn logits_equal_those_of_a_cache_filled_at_the_new_positions() {
    for (architecture, precision) in
        BOTH.into_iter().flat_map(|a| [CachePrecision::F16, CachePrecision::F32].map(|p| (a, p)))
    {
        let model = common::model(architecture, 3);
        let mut random = Random(10);
        let tokens = random.tokens(200, 61);
        let mut cache = model.new_cache_with_precision(precision);
        logits(&model, &tokens[..150], &mut cache);
        let plans: Vec<Vec<u32>> = (0..3 * cache.shape().kv_heads)
            .map(|_| {
                let mut kept: Vec<u32> = (0..150).collect();
                while kept.len() > 40 {
                    kept.remove(random.below(kept.len()));
                }
                kept
            })
            .collect();
        keep(&mut cache, &plans);
        let mut unrotated = cache.clone();
        model.rerotate(&mut cache).unwrap();
        let mut direct = refilled(&cache, precision);
        assert_eq!((direct.rotary_position(1, 1), direct.tokens_seen(), cache.tokens_seen()), (40, 40, 150));
        for part in [&tokens[150..151], &tokens[151..190], &tokens[190..]] {
            assert_eq!(
                logits(&model, part, &mut cache),
                logits(&model, part, &mut direct),
                "{architecture:?}"
            );
        }
        assert_ne!(
            logits(&model, &tokens[150..], &mut unrotated),
            logits(&model, &tokens[150..], &mut refilled(&cache, precision))
        );
    }
}

#[test]
fn a_batch_with_a_rerotated_cache_equals_each_sequence_alone() {
    let model = common::model(BOTH[0], 6);
    let mut random = Random(3);
    let mut caches: Vec<Cache> = (0..3).map(|_| model.new_cache()).collect();
    for cache in &mut caches {
        logits(&model, &random.tokens(50, 61), cache);
    }
    let plan = ragged_plan(&caches[1], &mut random);
    keep(&mut caches[1], &plan);
    model.rerotate(&mut caches[1]).unwrap();
    let tokens = random.tokens(6, 61);
    let mut alone = Vec::new();
    for (cache, tokens) in caches.clone().iter_mut().zip([&tokens[..3], &tokens[3..4], &tokens[4..]]) {
        alone.extend(model.forward(tokens, cache, None).unwrap().hidden.to_vec2::<f32>().unwrap());
    }
    let parts = [&tokens[..3], &tokens[3..4], &tokens[4..]];
    let mut sequences: Vec<_> = caches
        .iter_mut()
        .zip(parts)
        .map(|(cache, tokens)| bitkv_bitnet::Sequence { tokens, cache })
        .collect();
    assert_eq!(model.forward_batch(&mut sequences).unwrap().to_vec2::<f32>().unwrap(), alone);
}

#[test]
fn rerotating_a_full_cache_changes_nothing() {
    let model = common::model(BOTH[1], 4);
    let tokens = Random(2).tokens(40, 61);
    let mut cache = model.new_cache();
    logits(&model, &tokens[..30], &mut cache);
    let mut rerotated = cache.clone();
    model.rerotate(&mut rerotated).unwrap();
    assert_eq!(rerotated.keys_f32(2, 3), cache.keys_f32(2, 3));
    assert_eq!(logits(&model, &tokens[30..], &mut rerotated), logits(&model, &tokens[30..], &mut cache));
}

/// The model has 300 positions, and 700 tokens run with a sliding window.
#[test]
fn a_stream_may_be_longer_than_the_positions() {
    for architecture in BOTH {
        let model = common::model(architecture, 5);
        let mut random = Random(8);
        let (mut cache, mut masked) =
            (model.new_cache(), MaskedCache::new(CacheShape::from_config(model.config())));
        for step in 0..70 {
            let tokens = random.tokens(10, 61);
            let rows = logits(&model, &tokens, &mut cache);
            assert_eq!(rows, logits(&model, &tokens, &mut masked), "{architecture:?} step {step}");
            let end = cache.tokens_seen() as u32;
            let kept: Vec<u32> =
                cache.view(0, 0).positions.iter().copied().filter(|p| *p < 4 || p + 30 >= end).collect();
            for cache in [&mut cache as &mut dyn KvCache, &mut masked] {
                cache.keep(&|_, _| kept.clone()).unwrap();
                model.rerotate(cache).unwrap();
            }
        }
        assert_eq!((cache.tokens_seen(), cache.len(0, 0), cache.furthest_rotary_position()), (700, 34, 34));
        // A cache that was not rerotated ends at the last position of the model.
        let mut plain = model.new_cache();
        logits(&model, &random.tokens(300, 61), &mut plain);
        plain.keep(&|_, _| vec![0, 299]).unwrap();
        let error = model.forward(&[1], &mut plain, None).unwrap_err();
        assert!(matches!(error, Error::ContextTooLong { last: 300, limit: 300 }), "{error}");
        model.rerotate(&mut plain).unwrap();
        logits(&model, &random.tokens(298, 61), &mut plain);
        assert!(model.forward(&[1], &mut plain, None).is_err());
    }
}

#[test]
fn a_cache_of_another_shape_is_an_error() {
    let mut cache = common::model(BOTH[1], 5).new_cache();
    let error = common::model(BOTH[0], 5).rerotate(&mut cache).unwrap_err().to_string();
    assert!(error.contains("6 KV heads") && error.contains("2 KV heads"), "{error}");
}

/// A cache that keeps keys before RoPE holds the tokens of a first layer as a run of only those tokens would,
/// and so predicts the same: the right logits come from a run of the kept tokens alone. Only models with one
/// layer have such a run, because the keys of later layers depend on evicted tokens.
#[test]
fn streaming_with_positions_in_the_cache_equals_a_run_of_the_kept_tokens() {
    for (architecture, seed) in BOTH.into_iter().flat_map(|a| (0..3).map(move |seed| (a, seed))) {
        let config = bitkv_bitnet::Config { num_hidden_layers: 1, ..common::config(architecture) };
        let model = common::load_masters(&config, &common::masters(&config, seed));
        let mut random = Random(seed);
        let mut cache = model.new_cache_with_precision(CachePrecision::F32).with_positions_in_cache();
        let mut text = Vec::new();
        // The model has 300 positions, and 1500 tokens run.
        for step in 0..1500 {
            let token = random.tokens(1, 61);
            text.extend(&token);
            let got = logits(&model, &token, &mut cache);
            let held = cache.view(0, 0).positions.to_vec();
            if step % 97 == 0 || step == 1499 {
                let kept: Vec<u32> = held.iter().map(|p| text[*p as usize]).collect();
                let mut fresh = model.new_cache_with_precision(CachePrecision::F32);
                let direct = logits(&model, &kept, &mut fresh).pop().unwrap();
                assert_eq!(got[0], direct, "{architecture:?} seed {seed} step {step}");
            }
            if held.len() == 48 {
                let kept: Vec<u32> = held.iter().copied().take(4).chain(held[20..].iter().copied()).collect();
                cache.keep(&|_, _| kept.clone()).unwrap();
            }
        }
        assert_eq!((cache.tokens_seen(), cache.furthest_rotary_position() < 48), (1500, true));
    }
}

/// In f16 and in codes, each key is rounded once, however often its position changes.
#[test]
fn keys_with_positions_in_the_cache_are_rounded_once() {
    let model = common::model(BOTH[0], 4);
    let mut random = Random(3);
    let tokens = random.tokens(40, 61);
    for quantisation in
        [bitkv_bitnet::Quantisation::None, bitkv_bitnet::Quantisation::Int8, bitkv_bitnet::Quantisation::Int4]
    {
        let mut cache = model.new_cache().with_positions_in_cache();
        cache.quantise(quantisation).unwrap();
        logits(&model, &tokens, &mut cache);
        let first = cache.keys_f32(1, 1)[..5 * 6].to_vec();
        let width = cache.bytes() / 40;
        for _ in 0..60 {
            logits(&model, &random.tokens(8, 61), &mut cache);
            let positions = cache.view(0, 0).positions.to_vec();
            // The tokens 2, 3 and 4 move by one at the first eviction and then stay.
            let kept: Vec<u32> =
                positions.iter().copied().filter(|p| *p == 0 || (2..5).contains(p) || *p >= 40).collect();
            let kept: Vec<u32> = kept[..4].iter().copied().chain(kept[kept.len() - 8..].to_vec()).collect();
            cache.keep(&|_, _| kept.clone()).unwrap();
            model.rerotate(&mut cache).unwrap();
            assert_eq!((cache.rotary_position(2, 0), cache.bytes()), (12, 12 * width));
        }
        assert_eq!(cache.keys_f32(1, 1)[..6], first[..6]);
        assert_eq!(cache.keys_f32(1, 1)[6..4 * 6], first[2 * 6..]);
    }
}

/// Tokens that are forgotten and read again give the same cache and the same logits.
#[test]
fn forgotten_tokens_can_be_read_again() {
    let model = common::model(BOTH[0], 4);
    let tokens = Random(3).tokens(40, 61);
    let plain = model.new_cache();
    for mut cache in [plain.clone(), plain.with_positions_in_cache()] {
        logits(&model, &tokens[..30], &mut cache);
        cache.keep(&|_, _| (0..4).chain(20..30).collect()).unwrap();
        let mut alone = cache.clone();
        let expected = logits(&model, &tokens[30..], &mut alone);
        for token in &tokens[30..] {
            logits(&model, &[*token], &mut cache);
        }
        cache.forget_newest(10);
        assert_eq!((cache.tokens_seen(), cache.len(1, 1)), (30, 14));
        assert_eq!(logits(&model, &tokens[30..], &mut cache), expected);
        assert_eq!(cache.keys_f32(2, 1), alone.keys_f32(2, 1));
    }
}

//! A ragged cache, which frees memory, and a full cache with a mask give bit-identical results after any
//! sequence of operations.

mod common;

use bitkv_bitnet::{Cache, CachePrecision, CacheShape, KvCache, MaskedCache, Model, Probes, Quantisation};
use common::{BOTH, Random};
use proptest::prelude::*;

fn logits(model: &Model, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = model.forward(tokens, cache, None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

fn heads(shape: CacheShape) -> impl Iterator<Item = (usize, usize)> {
    (0..shape.layers).flat_map(move |layer| (0..shape.kv_heads).map(move |head| (layer, head)))
}

/// Evicts, decodes, prefills and rerotates in a random order, and checks that a ragged cache and a masked
/// cache of floats stay bit-identical.
fn check_ragged_equals_masked(quantisation: Quantisation, architecture: usize, seed: u64, rerotate: bool) {
    let model = common::model(BOTH[architecture], seed % 4);
    let mut random = Random(seed);
    let precision = if seed.is_multiple_of(2) { CachePrecision::F16 } else { CachePrecision::F32 };
    let mut ragged = model.new_cache_with_precision(precision);
    let mut masked = MaskedCache::with_precision(ragged.shape(), precision);
    let tokens = random.tokens(60, 61);
    assert_eq!(logits(&model, &tokens, &mut ragged), logits(&model, &tokens, &mut masked));
    let quantise_round = random.below(3);
    for round in 0..6 {
        let plan: Vec<Vec<u32>> = heads(ragged.shape())
            .map(|(layer, head)| {
                let share = 3 + random.below(9);
                let held = ragged.view(layer, head).positions.to_vec();
                held.into_iter().filter(|_| random.below(10) < share).collect()
            })
            .collect();
        let kv_heads = ragged.shape().kv_heads;
        for cache in [&mut ragged as &mut dyn KvCache, &mut masked] {
            cache.keep(&|layer, head| plan[layer * kv_heads + head].clone()).unwrap();
            if rerotate && round % 2 == 1 {
                model.rerotate(cache).unwrap();
            }
            if round == quantise_round {
                cache.quantise(quantisation).unwrap();
            }
        }
        for count in [1, 1, 1 + random.below(20)] {
            let tokens = random.tokens(count, 61);
            let (a, b) = (logits(&model, &tokens, &mut ragged), logits(&model, &tokens, &mut masked));
            assert_eq!(a, b, "{quantisation} round {round}");
        }
    }
    assert_same_observations(&model, &mut ragged, &mut masked, &random.tokens(9, 61));
    let floats = if quantisation == Quantisation::None { precision.bytes() / 2 } else { 1 };
    let bytes = |(layer, head)| quantisation.bytes(ragged.len(layer, head), 6) * floats;
    assert_eq!(ragged.bytes(), heads(ragged.shape()).map(bytes).sum::<usize>());
}

/// The probes observe the same on a ragged cache as on a masked cache, apart from the masked tokens.
fn assert_same_observations(model: &Model, ragged: &mut Cache, masked: &mut MaskedCache, tokens: &[u32]) {
    let probes = Probes {
        entropy: true,
        accumulated: true,
        windows: vec![4],
        window_rows: vec![4],
        keys: true,
        values: true,
        positions: true,
        attention_output: true,
        ..Probes::default()
    };
    let observe =
        |cache: &mut dyn KvCache| model.forward(tokens, cache, Some(&probes)).unwrap().probed.unwrap();
    let (a, b) = (observe(ragged), observe(masked));
    assert_eq!((a.entropy, a.attention_output), (b.entropy, b.attention_output));
    let (shape, group) = (ragged.shape(), model.config().num_attention_heads / ragged.shape().kv_heads);
    for (i, (layer, head)) in heads(shape).enumerate() {
        let mask = masked.view(layer, head).mask.unwrap();
        let unmasked = |rows: &[f32], width: usize| -> Vec<f32> {
            let tokens = rows.chunks(width).enumerate().filter(|(i, _)| mask[i % mask.len()]);
            tokens.flat_map(|(_, row)| row).copied().collect()
        };
        assert_eq!(a.positions[i], ragged.view(layer, head).positions);
        let visible = b.positions[i].iter().zip(mask).filter(|(_, on)| **on).map(|(p, _)| *p);
        assert_eq!(a.positions[i], visible.collect::<Vec<u32>>());
        assert_eq!((&a.keys[i], &a.values[i]), (&unmasked(&b.keys[i], 6), &unmasked(&b.values[i], 6)));
        for query_head in i * group..(i + 1) * group {
            assert_eq!(a.accumulated[query_head], unmasked(&b.accumulated[query_head], 1));
            assert_eq!(a.windows[&4][query_head], unmasked(&b.windows[&4][query_head], 1));
            assert_eq!(a.window_rows[&4][query_head], unmasked(&b.window_rows[&4][query_head], 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ragged_equals_masked_with_floats(architecture in 0usize..2, seed: u64, rerotate: bool) {
        check_ragged_equals_masked(Quantisation::None, architecture, seed, rerotate);
    }

    #[test]
    fn ragged_equals_masked_with_int8(architecture in 0usize..2, seed: u64, rerotate: bool) {
        check_ragged_equals_masked(Quantisation::Int8, architecture, seed, rerotate);
    }

    #[test]
    fn ragged_equals_masked_with_int4(architecture in 0usize..2, seed: u64, rerotate: bool) {
        check_ragged_equals_masked(Quantisation::Int4, architecture, seed, rerotate);
    }

    #[test]
    fn ragged_equals_masked_with_kivi(
        architecture in 0usize..2, seed: u64, rerotate: bool, power in 1u32..4, group in 1usize..12, residual in 0usize..20,
    ) {
        let quantisation = Quantisation::Kivi { bits: 1 << power, group, residual };
        check_ragged_equals_masked(quantisation, architecture, seed, rerotate);
    }
}

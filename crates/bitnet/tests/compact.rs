//! A ragged cache that frees memory and a full one with a mask agree to the bit, whatever is done to them.

mod common;

use bitkv_bitnet::{Cache, CacheShape, KvCache, MaskedCache, Model, Precision, Probes, Quantisation};
use common::{BOTH, Random};
use proptest::prelude::*;

fn logits(model: &Model, tokens: &[u32], cache: &mut dyn KvCache) -> Vec<Vec<f32>> {
    let hidden = model.forward(tokens, cache, None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

fn heads(shape: CacheShape) -> impl Iterator<Item = (usize, usize)> {
    (0..shape.layers).flat_map(move |layer| (0..shape.kv_heads).map(move |head| (layer, head)))
}

/// Cuts, single tokens, longer parts and rotations in any order: codes and a masked cache of floats agree to the bit.
fn compact_is_masked(quantisation: Quantisation, architecture: usize, seed: u64, turn: bool) {
    let model = common::model(BOTH[architecture], seed % 4);
    let mut random = Random(seed);
    let precision = if seed.is_multiple_of(2) { Precision::F16 } else { Precision::F32 };
    let mut compact = model.new_cache_of(precision);
    let mut masked = MaskedCache::with_precision(compact.shape(), precision);
    let tokens = random.tokens(60, 61);
    assert_eq!(logits(&model, &tokens, &mut compact), logits(&model, &tokens, &mut masked));
    let when = random.below(3);
    for round in 0..6 {
        let cut: Vec<Vec<u32>> = heads(compact.shape())
            .map(|(layer, head)| {
                let share = 3 + random.below(9);
                let held = compact.view(layer, head).positions.to_vec();
                held.into_iter().filter(|_| random.below(10) < share).collect()
            })
            .collect();
        let kv_heads = compact.shape().kv_heads;
        for cache in [&mut compact as &mut dyn KvCache, &mut masked] {
            cache.keep(&|layer, head| cut[layer * kv_heads + head].clone()).unwrap();
            if turn && round % 2 == 1 {
                model.rerotate(cache).unwrap();
            }
            if round == when {
                cache.quantise(quantisation).unwrap();
            }
        }
        for count in [1, 1, 1 + random.below(20)] {
            let tokens = random.tokens(count, 61);
            let (a, b) = (logits(&model, &tokens, &mut compact), logits(&model, &tokens, &mut masked));
            assert_eq!(a, b, "{quantisation} round {round}");
        }
    }
    same_observations(&model, &mut compact, &mut masked, &random.tokens(9, 61));
    let floats = if quantisation == Quantisation::None { precision.bytes() / 2 } else { 1 };
    let bytes = |(layer, head)| quantisation.bytes(compact.len(layer, head), 6) * floats;
    assert_eq!(compact.bytes(), heads(compact.shape()).map(bytes).sum::<usize>());
}

/// What a ragged cache shows of its tokens is what a masked one shows of those that may be seen.
fn same_observations(model: &Model, compact: &mut Cache, masked: &mut MaskedCache, tokens: &[u32]) {
    let observe = Probes {
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
    let look =
        |cache: &mut dyn KvCache| model.forward(tokens, cache, Some(&observe)).unwrap().observed.unwrap();
    let (a, b) = (look(compact), look(masked));
    assert_eq!((a.entropy, a.attention_output), (b.entropy, b.attention_output));
    let (shape, group) = (compact.shape(), model.config().num_attention_heads / compact.shape().kv_heads);
    for (i, (layer, head)) in heads(shape).enumerate() {
        let mask = masked.view(layer, head).mask.unwrap();
        let seen = |rows: &[f32], width: usize| -> Vec<f32> {
            let tokens = rows.chunks(width).enumerate().filter(|(at, _)| mask[at % mask.len()]);
            tokens.flat_map(|(_, row)| row).copied().collect()
        };
        assert_eq!(a.positions[i], compact.view(layer, head).positions);
        let visible = b.positions[i].iter().zip(mask).filter(|(_, on)| **on).map(|(p, _)| *p);
        assert_eq!(a.positions[i], visible.collect::<Vec<u32>>());
        assert_eq!((&a.keys[i], &a.values[i]), (&seen(&b.keys[i], 6), &seen(&b.values[i], 6)));
        for query_head in i * group..(i + 1) * group {
            assert_eq!(a.accumulated[query_head], seen(&b.accumulated[query_head], 1));
            assert_eq!(a.windows[&4][query_head], seen(&b.windows[&4][query_head], 1));
            assert_eq!(a.window_rows[&4][query_head], seen(&b.window_rows[&4][query_head], 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn compact_is_masked_with_floats(architecture in 0usize..2, seed: u64, turn: bool) {
        compact_is_masked(Quantisation::None, architecture, seed, turn);
    }

    #[test]
    fn compact_is_masked_with_int8(architecture in 0usize..2, seed: u64, turn: bool) {
        compact_is_masked(Quantisation::Int8, architecture, seed, turn);
    }

    #[test]
    fn compact_is_masked_with_int4(architecture in 0usize..2, seed: u64, turn: bool) {
        compact_is_masked(Quantisation::Int4, architecture, seed, turn);
    }

    #[test]
    fn compact_is_masked_with_kivi(
        architecture in 0usize..2, seed: u64, turn: bool, power in 1u32..4, group in 1usize..12, residual in 0usize..20,
    ) {
        let quantisation = Quantisation::Kivi { bits: 1 << power, group, residual };
        compact_is_masked(quantisation, architecture, seed, turn);
    }
}

//! Probes against attention recomputed from the cache, and their bookkeeping over calls and evictions.

mod common;

use bitkv_bitnet::{KvCache, Observe};
use common::{BOTH, Random};

fn all(windows: &[usize]) -> Observe {
    Observe {
        entropy: true,
        accumulated: true,
        windows: windows.to_vec(),
        keys: true,
        hidden: true,
        ..Observe::default()
    }
}

#[test]
fn shapes_and_sums() {
    for architecture in BOTH {
        let model = common::model(architecture, 1);
        let config = model.config();
        let (layers, heads, kv_heads) = (3, config.num_attention_heads, config.num_key_value_heads);
        let mut cache = model.new_cache();
        let output = model.forward(&Random(2).tokens(140, 61), &mut cache, Some(&all(&[1, 8, 500]))).unwrap();
        let observed = output.observed.unwrap();
        assert_eq!(
            (observed.entropy.len(), observed.entropy[0].len(), observed.entropy[2][heads - 1].len()),
            (layers, heads, 140)
        );
        for (query, bits) in observed.entropy.iter().flatten().flat_map(|row| row.iter().enumerate()) {
            assert!((0.0..=((query + 1) as f32).log2() + 1e-4).contains(bits), "query {query}: {bits} bits");
        }
        let sum = |row: &Vec<f32>| row.iter().map(|p| f64::from(*p)).sum::<f64>();
        assert_eq!(observed.accumulated.len(), layers * heads);
        assert!(observed.accumulated.iter().all(|row| row.len() == 140 && (sum(row) - 140.0).abs() < 1e-3));
        assert_eq!(observed.windows.keys().copied().collect::<Vec<_>>(), [1, 8, 500]);
        for rows in observed.windows.values() {
            assert!(rows.len() == layers * heads && rows.iter().all(|row| (sum(row) - 1.0).abs() < 1e-5));
        }
        // A window of more queries than there are is all of them.
        for (window, total) in observed.windows[&500].iter().zip(&observed.accumulated) {
            assert!(window.iter().zip(total).all(|(w, t)| (w - t / 140.0).abs() < 1e-6));
        }
        assert_eq!(observed.keys.len(), layers * kv_heads);
        assert_eq!(observed.keys[kv_heads], cache.keys_f32(1, 0));
        assert_eq!(observed.hidden.len(), layers + 1);
        assert!(observed.hidden.iter().all(|h| h.len() == 140 * 36));
    }
}

#[test]
fn probes_of_decoding_are_those_of_prefill() {
    for architecture in BOTH {
        let model = common::model(architecture, 7);
        let tokens = Random(8).tokens(139, 61);
        let mut cache = model.new_cache();
        let whole = model.forward(&tokens, &mut cache, Some(&all(&[5]))).unwrap().observed.unwrap();
        let mut cache = model.new_cache();
        let mut sums = vec![vec![0.0f64; 139]; whole.accumulated.len()];
        for (i, token) in tokens.iter().enumerate() {
            let one = model.forward(&[*token], &mut cache, Some(&all(&[1]))).unwrap().observed.unwrap();
            for (layer, heads) in one.entropy.iter().enumerate() {
                heads.iter().enumerate().for_each(|(h, row)| assert_eq!(row[0], whole.entropy[layer][h][i]));
            }
            for (sums, row) in sums.iter_mut().zip(&one.accumulated) {
                sums.iter_mut().zip(row).for_each(|(s, p)| *s += f64::from(*p));
            }
            if i == 138 {
                let last = model
                    .forward(&tokens, &mut model.new_cache(), Some(&all(&[1])))
                    .unwrap()
                    .observed
                    .unwrap();
                assert_eq!(one.windows[&1], last.windows[&1]);
            }
        }
        for (sums, row) in sums.iter().zip(&whole.accumulated) {
            assert!(sums.iter().zip(row).all(|(s, p)| (s - f64::from(*p)).abs() < 1e-5));
        }
    }
}

#[test]
fn rows_follow_the_ragged_lengths() {
    let model = common::model(BOTH[0], 3);
    let mut cache = model.new_cache();
    model.forward(&Random(1).tokens(50, 61), &mut cache, None).unwrap();
    cache.keep(&|layer, head| (0..(10 * (layer + 1) + head) as u32).collect()).unwrap();
    let observed = model.forward(&[1, 2], &mut cache, Some(&all(&[2]))).unwrap().observed.unwrap();
    for (i, row) in observed.accumulated.iter().enumerate() {
        let (layer, kv_head) = (i / 6, i % 6 / 3);
        assert_eq!((row.len(), cache.len(layer, kv_head)), (10 * (layer + 1) + kv_head + 2, row.len()));
        assert_eq!(cache.view(layer, kv_head).positions[row.len() - 2..], [50, 51]);
    }
}

/// Recomputed in f64 from the keys in the cache: with a window of one, the last query's probabilities.
#[test]
fn entropy_is_that_of_the_window_of_one() {
    let model = common::model(BOTH[0], 9);
    let observed = model
        .forward(&Random(3).tokens(77, 61), &mut model.new_cache(), Some(&all(&[1])))
        .unwrap()
        .observed
        .unwrap();
    for (i, row) in observed.windows[&1].iter().enumerate() {
        let bits: f64 = row.iter().map(|p| f64::from(*p)).filter(|p| *p > 1e-10).map(|p| -p * p.log2()).sum();
        let got = f64::from(observed.entropy[i / 6][i % 6][76]);
        assert!((got - bits).abs() < 1e-5, "head {i}: {got} for {bits}");
    }
}

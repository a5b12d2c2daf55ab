//! Compares probes with attention that the tests compute from the cache, over several calls and evictions.

mod common;

use bitkv_bitnet::{CachePrecision, KvCache, Probes, Step};
use common::{BOTH, Random};

fn probes_with_windows(windows: &[usize]) -> Probes {
    Probes {
        entropy: true,
        accumulated: true,
        windows: windows.to_vec(),
        window_rows: windows.to_vec(),
        keys: true,
        values: true,
        positions: true,
        hidden: true,
        ..Probes::default()
    }
}

#[test]
fn probe_outputs_have_the_documented_shapes_and_sums() {
    for architecture in BOTH {
        let model = common::model(architecture, 1);
        let config = model.config();
        let (layers, heads, kv_heads) = (3, config.num_attention_heads, config.num_key_value_heads);
        let mut cache = model.new_cache();
        let output = model
            .forward(&Random(2).tokens(140, 61), &mut cache, Some(&probes_with_windows(&[1, 8, 500])))
            .unwrap();
        let probed = output.probed.unwrap();
        assert_eq!(
            (probed.entropy.len(), probed.entropy[0].len(), probed.entropy[2][heads - 1].len()),
            (layers, heads, 140)
        );
        for (query, bits) in probed.entropy.iter().flatten().flat_map(|row| row.iter().enumerate()) {
            assert!((0.0..=((query + 1) as f32).log2() + 1e-4).contains(bits), "query {query}: {bits} bits");
        }
        let sum = |row: &Vec<f32>| row.iter().map(|p| f64::from(*p)).sum::<f64>();
        assert_eq!(probed.accumulated.len(), layers * heads);
        assert!(probed.accumulated.iter().all(|row| row.len() == 140 && (sum(row) - 140.0).abs() < 1e-3));
        assert_eq!(probed.windows.keys().copied().collect::<Vec<_>>(), [1, 8, 500]);
        for rows in probed.windows.values() {
            assert!(rows.len() == layers * heads && rows.iter().all(|row| (sum(row) - 1.0).abs() < 1e-5));
        }
        // A window longer than the call covers all its queries.
        for (window, total) in probed.windows[&500].iter().zip(&probed.accumulated) {
            assert!(window.iter().zip(total).all(|(w, t)| (w - t / 140.0).abs() < 1e-6));
        }
        assert_eq!(probed.keys.len(), layers * kv_heads);
        assert_eq!(probed.keys[kv_heads], cache.keys_f32(1, 0));
        assert_eq!(probed.hidden.len(), layers + 1);
        assert!(probed.hidden.iter().all(|h| h.len() == 140 * 36));
    }
}

#[test]
fn probes_of_decoding_equal_those_of_prefill() {
    for architecture in BOTH {
        let model = common::model(architecture, 7);
        let tokens = Random(8).tokens(139, 61);
        let mut cache = model.new_cache();
        let whole =
            model.forward(&tokens, &mut cache, Some(&probes_with_windows(&[5]))).unwrap().probed.unwrap();
        let mut cache = model.new_cache();
        let mut sums = vec![vec![0.0f64; 139]; whole.accumulated.len()];
        for (i, token) in tokens.iter().enumerate() {
            let one = model
                .forward(&[*token], &mut cache, Some(&probes_with_windows(&[1])))
                .unwrap()
                .probed
                .unwrap();
            for (layer, heads) in one.entropy.iter().enumerate() {
                heads.iter().enumerate().for_each(|(h, row)| assert_eq!(row[0], whole.entropy[layer][h][i]));
            }
            for (sums, row) in sums.iter_mut().zip(&one.accumulated) {
                sums.iter_mut().zip(row).for_each(|(s, p)| *s += f64::from(*p));
            }
            if i == 138 {
                let last = model
                    .forward(&tokens, &mut model.new_cache(), Some(&probes_with_windows(&[1])))
                    .unwrap()
                    .probed
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
fn rows_have_the_lengths_of_their_ragged_heads() {
    let model = common::model(BOTH[0], 3);
    let mut cache = model.new_cache();
    model.forward(&Random(1).tokens(50, 61), &mut cache, None).unwrap();
    cache.keep(&|layer, head| (0..(10 * (layer + 1) + head) as u32).collect()).unwrap();
    let probed =
        model.forward(&[1, 2], &mut cache, Some(&probes_with_windows(&[2]))).unwrap().probed.unwrap();
    for (i, row) in probed.accumulated.iter().enumerate() {
        let (layer, kv_head) = (i / 6, i % 6 / 3);
        assert_eq!((row.len(), cache.len(layer, kv_head)), (10 * (layer + 1) + kv_head + 2, row.len()));
        assert_eq!(cache.view(layer, kv_head).positions[row.len() - 2..], [50, 51]);
        let (window, rows) = (&probed.windows[&2][i], &probed.window_rows[&2][i]);
        assert_eq!((window.len(), rows.len()), (row.len(), 2 * row.len()));
        let mean = |k: usize| (rows[k] + rows[row.len() + k]) / 2.0;
        assert!(
            (0..row.len())
                .all(|k| (window[k] - mean(k)).abs() < 1e-6 && (window[k] - row[k] / 2.0).abs() < 1e-6)
        );
        assert_eq!(rows[row.len() - 1], 0.0, "the first of two queries does not see the second's key");
    }
    for (i, positions) in probed.positions.iter().enumerate() {
        let (layer, kv_head) = (i / 2, i % 2);
        assert_eq!(positions, cache.view(layer, kv_head).positions);
        assert_eq!(probed.keys[i], cache.keys_f32(layer, kv_head));
        assert_eq!(probed.values[i], cache.values_f32(layer, kv_head));
        assert_eq!(probed.values[i].len(), positions.len() * 6);
    }
}

/// Recomputes the entropy in f64 from the last query's probabilities, which a window of one holds.
#[test]
fn entropy_equals_that_of_a_window_of_one() {
    let model = common::model(BOTH[0], 9);
    let probed = model
        .forward(&Random(3).tokens(77, 61), &mut model.new_cache(), Some(&probes_with_windows(&[1])))
        .unwrap()
        .probed
        .unwrap();
    for (i, row) in probed.windows[&1].iter().enumerate() {
        let bits: f64 = row.iter().map(|p| f64::from(*p)).filter(|p| *p > 1e-10).map(|p| -p * p.log2()).sum();
        let got = f64::from(probed.entropy[i / 6][i % 6][76]);
        assert!((got - bits).abs() < 1e-5, "head {i}: {got} for {bits}");
    }
}

#[test]
fn rows_of_a_window_equal_single_queries() {
    let model = common::model(BOTH[0], 4);
    let tokens = Random(6).tokens(200, 61);
    let mut cache = model.new_cache();
    model.forward(&tokens[..60], &mut cache, None).unwrap();
    // This window spans the border of two tasks of 96 queries.
    let whole = model
        .forward(&tokens[60..], &mut cache.clone(), Some(&probes_with_windows(&[60, 500])))
        .unwrap()
        .probed
        .unwrap();
    let ones: Vec<_> = tokens[60..]
        .iter()
        .map(|token| {
            model.forward(&[*token], &mut cache, Some(&probes_with_windows(&[1]))).unwrap().probed.unwrap()
        })
        .collect();
    for (window, first) in [(60, 80), (500, 0)] {
        for (head, rows) in whole.window_rows[&window].iter().enumerate() {
            assert_eq!(rows.len(), (140 - first) * 200);
            for (row, one) in rows.chunks(200).zip(&ones[first..]) {
                let alone = &one.window_rows[&1][head];
                assert_eq!(&row[..alone.len()], alone, "head {head}");
                assert!(row[alone.len()..].iter().all(|p| *p == 0.0));
            }
        }
    }
}

/// The rows of attention times the values, computed in f64, equal the input of the sub-norm.
#[test]
fn attention_output_equals_rows_times_values() {
    for architecture in BOTH {
        let model = common::model(architecture, 5);
        let (heads, kv_heads) = (model.config().num_attention_heads, model.config().num_key_value_heads);
        let probes = Probes { attention_output: true, ..probes_with_windows(&[40]) };
        let mut cache = model.new_cache_with_precision(CachePrecision::F32);
        let probed =
            model.forward(&Random(3).tokens(40, 61), &mut cache, Some(&probes)).unwrap().probed.unwrap();
        assert_eq!((probed.attention_output.len(), probed.attention_output[0].len()), (3, 40 * heads * 6));
        for (i, rows) in probed.window_rows[&40].iter().enumerate() {
            let (layer, head) = (i / heads, i % heads);
            let values = &probed.values[layer * kv_heads + head / (heads / kv_heads)];
            for (query, d) in (0..40).flat_map(|query| (0..6).map(move |d| (query, d))) {
                let weighted =
                    (0..40).map(|k| f64::from(rows[query * 40 + k]) * f64::from(values[k * 6 + d]));
                let got = f64::from(probed.attention_output[layer][(query * heads + head) * 6 + d]);
                assert!(
                    (got - weighted.sum::<f64>()).abs() < 1e-5,
                    "{architecture:?} head {i} query {query}"
                );
            }
        }
    }
}

/// The cosine follows from three norms, as an angle follows from the sides of a triangle: the norms of the
/// stream before attention, of what attention adds, and of the stream after it.
#[test]
fn residual_similarity_follows_from_norms() {
    let model = common::model(BOTH[1], 8);
    let probes = Probes { steps: true, residual_similarity: true, ..Probes::default() };
    let tokens = Random(5).tokens(33, 61);
    let probed = model.forward(&tokens, &mut model.new_cache(), Some(&probes)).unwrap().probed.unwrap();
    assert_eq!(probed.residual_similarity.len(), 3);
    for layer in 0..3 {
        let norms = |step: Step, layer: Option<usize>| {
            &probed.steps.iter().find(|s| (s.step, s.layer) == (step, layer)).unwrap().norms
        };
        let before = match layer {
            0 => norms(Step::Embedding, None),
            _ => norms(Step::Output, Some(layer - 1)),
        };
        let (added, after) = (norms(Step::O, Some(layer)), norms(Step::AttentionResidual, Some(layer)));
        let cosine = |t: usize| {
            (before[t].powi(2) + after[t].powi(2) - added[t].powi(2)) / (2.0 * before[t] * after[t])
        };
        let mean = (0..33).map(cosine).sum::<f64>() / 33.0;
        assert!((probed.residual_similarity[layer] - mean).abs() < 1e-5, "layer {layer}");
        assert!(mean < 0.9999, "attention changes the direction of the stream");
    }
}

/// The queries of a window are the last ones that the probe `qkv` records, head by head.
#[test]
fn window_queries_are_the_last_queries_after_rope() {
    for architecture in BOTH {
        let model = common::model(architecture, 2);
        let (heads, tokens) = (model.config().num_attention_heads, Random(7).tokens(30, 61));
        let probes = Probes { qkv: true, window_queries: vec![1, 4, 500], ..Probes::default() };
        let probed = model.forward(&tokens, &mut model.new_cache(), Some(&probes)).unwrap().probed.unwrap();
        for (window, first) in [(1, 29), (4, 26), (500, 0)] {
            assert_eq!(probed.window_queries[&window].len(), 3 * heads);
            for (i, row) in probed.window_queries[&window].iter().enumerate() {
                let query = |token: usize| &probed.queries[i / heads][(token * heads + i % heads) * 6..][..6];
                let expected: Vec<f32> = (first..30).flat_map(query).copied().collect();
                assert_eq!(*row, expected, "{architecture:?} window {window}, head {i}");
            }
        }
    }
}

/// The observed moments equal those of the queries after RoPE, rotated back by the test.
#[test]
fn query_moments_are_taken_before_rope() {
    for architecture in BOTH {
        let model = common::model(architecture, 2);
        let (heads, theta) = (model.config().num_attention_heads, model.config().rope_theta);
        let tokens = Random(7).tokens(70, 61);
        let mut cache = model.new_cache();
        model.forward(&tokens[..20], &mut cache, None).unwrap();
        let probes = Probes { qkv: true, query_moments: vec![0, 24, 500], ..Probes::default() };
        let probed = model.forward(&tokens[20..], &mut cache, Some(&probes)).unwrap().probed.unwrap();
        assert_eq!(
            probed.query_moments[&0], probed.query_moments[&500],
            "if no query is left, all queries count"
        );
        let unrotated = |layer: usize, head: usize, token: usize| -> Vec<f64> {
            let row = &probed.queries[layer][(token * heads + head) * 6..][..6];
            let angle = |d: usize| (token + 20) as f64 / theta.powf((2 * (d % 3)) as f64 / 6.0);
            let turned = |d: usize| if d < 3 { f64::from(row[d + 3]) } else { -f64::from(row[d - 3]) };
            (0..6).map(|d| f64::from(row[d]) * angle(d).cos() + turned(d) * angle(d).sin()).collect()
        };
        for (skipped, first) in [(0, 0), (24, 4)] {
            for (i, moments) in probed.query_moments[&skipped].iter().enumerate() {
                let rows: Vec<_> = (first..50).map(|t| unrotated(i / heads, i % heads, t)).collect();
                let mean = |entry: &dyn Fn(&[f64]) -> f64| {
                    rows.iter().map(|r| entry(r)).sum::<f64>() / rows.len() as f64
                };
                let means: Vec<f64> = (0..6).map(|d| mean(&|r| r[d])).collect();
                let close =
                    |got: f32, exact: f64| (f64::from(got) - exact).abs() < 1e-5 * (1.0 + exact.abs());
                assert!((0..6).all(|d| close(moments.mean[d], means[d])), "{architecture:?} mean of {i}");
                for (a, b) in (0..6).flat_map(|a| (0..6).map(move |b| (a, b))) {
                    let exact = mean(&|r| (r[a] - means[a]) * (r[b] - means[b]));
                    assert!(close(moments.covariance[a * 6 + b], exact), "{architecture:?} {i} [{a}, {b}]");
                }
            }
        }
    }
}

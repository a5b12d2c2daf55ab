//! Compares the preset `r-kv` with the formulas of R-KV's code, which `testdata/r_kv.py` evaluated in torch.

use std::collections::BTreeMap;

use bitkv_evict::{Budget, Need, Observation, Policy, Shape};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    kv_heads: usize,
    group: usize,
    tokens: usize,
    head_dim: usize,
    /// The last eight queries of each query head, `[query_heads][8 * head_dim]`.
    window_queries: Vec<Vec<f32>>,
    keys: Vec<Vec<f32>>,
    /// The positions that each KV head keeps, by the number of tokens kept.
    kept: BTreeMap<usize, Vec<Vec<u32>>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../testdata/r_kv.json")).unwrap()
}

/// Returns the attention of the window's queries to all keys, `[query_heads][8 * tokens]`. No key is masked,
/// because only the tokens before the window are read.
fn window_rows(golden: &Golden) -> Vec<Vec<f32>> {
    let dim = golden.head_dim;
    let row = |query: &[f32], keys: &[f32]| -> Vec<f32> {
        let product = |key: &[f32]| query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>();
        let powers = keys.chunks_exact(dim).map(|key| (product(key) / (dim as f32).sqrt()).exp());
        let powers: Vec<f32> = powers.collect();
        let sum: f32 = powers.iter().sum();
        powers.into_iter().map(|p| p / sum).collect()
    };
    let of_head = |(head, queries): (usize, &Vec<f32>)| {
        queries.chunks_exact(dim).flat_map(|query| row(query, &golden.keys[head / golden.group])).collect()
    };
    golden.window_queries.iter().enumerate().map(of_head).collect()
}

fn kept(policy: &str, seen: &Observation<'_>, tokens: usize) -> Vec<Vec<u32>> {
    let plan = Policy::parse(policy).unwrap().plan(seen, Budget::tokens(tokens).unwrap()).unwrap();
    (0..seen.shape.kv_heads).map(|head| plan.kept(0, head).to_vec()).collect()
}

#[test]
fn the_preset_keeps_what_the_authors_code_keeps() {
    let golden = golden();
    let Golden { kv_heads, tokens, head_dim, .. } = golden;
    let shape = Shape { layers: 1, query_heads: kv_heads * golden.group, kv_heads, tokens, head_dim };
    let rows = window_rows(&golden);
    let seen = Observation::new(shape)
        .with_rows(Need::Keys, &golden.keys)
        .with_rows(Need::WindowRows(8), &rows)
        .with_rows(Need::WindowQueries(8), &golden.window_queries);
    let mut others = 0;
    for (count, expected) in golden.kept {
        assert_eq!(kept("r-kv", &seen, count), expected, "{count} tokens");
        let probabilities = "uniform+r-kv{lambda=0.07,sinks=0,recent=0}";
        others += usize::from(kept(probabilities, &seen, count) != expected);
    }
    assert!(others > 0, "the maximum of probabilities keeps the same at every budget");
}

#[test]
fn both_maxima_are_the_same_for_one_query_head_per_group() {
    let golden = Golden { group: 1, ..golden() };
    let queries: Vec<Vec<f32>> = golden.window_queries.iter().step_by(3).cloned().collect();
    let golden = Golden { window_queries: queries, ..golden };
    let Golden { kv_heads, tokens, head_dim, .. } = golden;
    let rows = window_rows(&golden);
    let seen = Observation::new(Shape { layers: 1, query_heads: kv_heads, kv_heads, tokens, head_dim })
        .with_rows(Need::Keys, &golden.keys)
        .with_rows(Need::WindowRows(8), &rows)
        .with_rows(Need::WindowQueries(8), &golden.window_queries);
    for count in [12, 20, 30, 45] {
        let by = |group: &str| kept(&format!("uniform+r-kv{{group='{group}'}}"), &seen, count);
        assert_eq!(by("products"), by("probabilities"), "{count} tokens");
    }
}

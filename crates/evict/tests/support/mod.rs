//! Observations drawn by proptest, and the policies that every test goes through.

use std::collections::BTreeMap;

use bitkv_evict::{Observation, Policy, Shape, allocators, scorers};
use proptest::prelude::*;

/// What an [`Observation`] borrows from.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) shape: Shape,
    pub(crate) keys: Vec<Vec<f32>>,
    pub(crate) accumulated: Vec<Vec<f32>>,
    pub(crate) windows: BTreeMap<usize, Vec<Vec<f32>>>,
    pub(crate) future: Vec<Vec<f32>>,
    pub(crate) entropy: Vec<f64>,
}

fn rows(rows: &[Vec<f32>]) -> Vec<&[f32]> {
    rows.iter().map(Vec::as_slice).collect()
}

impl Observed {
    pub(crate) fn view(&self) -> Observation<'_> {
        Observation {
            shape: self.shape,
            keys: rows(&self.keys),
            accumulated: rows(&self.accumulated),
            windows: self.windows.iter().map(|(w, r)| (*w, rows(r))).collect(),
            future: rows(&self.future),
            entropy: &self.entropy,
        }
    }
}

/// Every window that a listed policy reads with the options given here.
const WINDOWS: [usize; 3] = [1, 4, 32];

/// Small caches with everything observed; zeros, and so ties, are common.
pub(crate) fn observed() -> impl Strategy<Value = Observed> {
    (1usize..4, 1usize..4, 1usize..4, 1usize..40).prop_flat_map(|(layers, kv_heads, group, tokens)| {
        let shape = Shape { layers, query_heads: kv_heads * group, kv_heads, tokens, head_dim: 4 };
        let attention = move || {
            let value = prop_oneof![Just(0.0f32), 0.0..1.0f32];
            prop::collection::vec(prop::collection::vec(value, tokens), shape.all_query_heads())
        };
        let keys =
            prop::collection::vec(prop::collection::vec(-3.0..3.0f32, tokens * 4), shape.all_kv_heads());
        let entropy = prop::collection::vec(prop_oneof![Just(0.0), 0.0..5.0f64], shape.all_query_heads());
        let windows = WINDOWS.map(|_| attention());
        (keys, attention(), windows, attention(), entropy).prop_map(
            move |(keys, accumulated, windows, future, entropy)| {
                let windows = WINDOWS.into_iter().zip(windows).collect();
                Observed { shape, keys, accumulated, windows, future, entropy }
            },
        )
    })
}

/// Every allocator joined to every scorer, as listed and with another guard and pooling.
pub(crate) fn composed() -> Vec<Policy> {
    let mut specs = vec!["entropy{group='mean'}+window-attention{window=4,kernel=1}".to_owned()];
    for allocator in allocators::ALL {
        for scorer in scorers::ALL {
            specs.push(format!("{}+{}", allocator.name, scorer.name));
            specs.push(format!("{}+{}{{sinks=2,recent=3,pool='max'}}", allocator.name, scorer.name));
            specs.push(format!("{}+{}{{sinks=0,recent=0,pool='sum'}}", allocator.name, scorer.name));
        }
    }
    specs.iter().map(|spec| Policy::parse(spec).unwrap()).collect()
}

/// The reference and the published rules.
pub(crate) fn rules() -> Vec<Policy> {
    let rules = ["full", "entropy-proportional", "entropy-global", "entropy-inverted"];
    rules.iter().map(|rule| Policy::parse(rule).unwrap()).collect()
}

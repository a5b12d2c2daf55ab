//! Observations drawn by proptest, and the policies that every test goes through.

use std::collections::{BTreeMap, BTreeSet};

use bitkv_evict::{Error, Kind, Need, Needs, Observation, Policy, Shape, allocators, registry, scorers};
use proptest::prelude::*;

/// What an [`Observation`] borrows from.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) shape: Shape,
    /// None where every head holds every token.
    pub(crate) positions: Vec<Vec<u32>>,
    pub(crate) rows: BTreeMap<Need, Vec<Vec<f32>>>,
    pub(crate) numbers: BTreeMap<Need, Vec<f64>>,
}

impl Observed {
    pub(crate) fn view(&self) -> Observation<'_> {
        let mut seen = Observation::of(self.shape);
        seen.positions = self.positions.iter().map(Vec::as_slice).collect();
        seen.rope_theta = Some(10_000.0);
        for (&need, rows) in &self.rows {
            seen = seen.with_rows(need, rows);
        }
        for (&need, numbers) in &self.numbers {
            seen = seen.with_numbers(need, numbers);
        }
        seen
    }

    pub(crate) fn held(&self, kv_head: usize) -> usize {
        self.positions.get(kv_head).map_or(self.shape.tokens, Vec::len)
    }
}

/// Everything that a listed policy reads with the options given here.
pub(crate) fn all_needs() -> Needs {
    composed().iter().chain(&rules()).fold(Needs::default(), |needs, policy| needs.union(policy.needs()))
}

/// Small caches with everything observed; zeros, and so ties, are common.
pub(crate) fn observed() -> impl Strategy<Value = Observed> {
    shapes().prop_flat_map(|shape| filled(shape, vec![]))
}

/// Caches that were cut before: every head holds some tokens of its own.
pub(crate) fn ragged() -> impl Strategy<Value = Observed> {
    let held = |shape: Shape| {
        let set = prop::collection::btree_set(0..shape.tokens as u32, 1..=shape.tokens);
        (Just(shape), prop::collection::vec(set, shape.all_kv_heads()))
    };
    shapes().prop_flat_map(held).prop_flat_map(|(shape, sets)| {
        filled(shape, sets.into_iter().map(|set: BTreeSet<u32>| set.into_iter().collect()).collect())
    })
}

const HEAD_DIM: usize = 4;

fn shapes() -> impl Strategy<Value = Shape> {
    (1usize..4, 1usize..4, 1usize..4, 1usize..40).prop_map(|(layers, kv_heads, group, tokens)| Shape {
        layers,
        query_heads: kv_heads * group,
        kv_heads,
        tokens,
        head_dim: HEAD_DIM,
    })
}

fn filled(shape: Shape, positions: Vec<Vec<u32>>) -> impl Strategy<Value = Observed> {
    // Every number is cut from one long row of chance.
    let numbers = prop_oneof![1 => Just(0.0f32), 6 => 0.0..1.0f32];
    prop::collection::vec(numbers, 4096).prop_map(move |chance| {
        let mut drawn = chance.iter().cycle().copied();
        let mut observed =
            Observed { shape, positions: positions.clone(), rows: BTreeMap::new(), numbers: BTreeMap::new() };
        for need in all_needs().iter() {
            let mut draw = |count: usize| drawn.by_ref().take(count).collect::<Vec<f32>>();
            if let Some(count) = numbers_of(need, shape) {
                observed.numbers.insert(need, draw(count).into_iter().map(|x| f64::from(x) * 5.0).collect());
                continue;
            }
            let heads = if is_of_kv_heads(need) { shape.all_kv_heads() } else { shape.all_query_heads() };
            let group = if is_of_kv_heads(need) { 1 } else { shape.group() };
            let rows = (0..heads).map(|i| row(need, observed.held(i / group), shape, &mut draw)).collect();
            observed.rows.insert(need, rows);
        }
        observed
    })
}

fn numbers_of(need: Need, shape: Shape) -> Option<usize> {
    match need {
        Need::Entropy | Need::HeadScores => Some(shape.all_query_heads()),
        Need::HeadPattern => Some(shape.all_kv_heads()),
        Need::ResidualSimilarity => Some(shape.layers),
        _ => None,
    }
}

fn is_of_kv_heads(need: Need) -> bool {
    matches!(need, Need::Keys | Need::Values | Need::Reconstruction)
}

fn row(need: Need, held: usize, shape: Shape, draw: &mut impl FnMut(usize) -> Vec<f32>) -> Vec<f32> {
    match need {
        Need::Keys | Need::Values => draw(held * HEAD_DIM).into_iter().map(|x| 6.0 * x - 3.0).collect(),
        // As many queries as a context of so many tokens has.
        Need::WindowRows(window) => draw(held * window.min(shape.tokens)),
        Need::QueryMoments(_) => draw(HEAD_DIM + HEAD_DIM * HEAD_DIM),
        _ => draw(held),
    }
}

/// Every allocator joined to every scorer, as listed and with another guard and pooling.
pub(crate) fn composed() -> Vec<Policy> {
    let mut specs = vec!["entropy{group='mean'}+window-attention{window=4,kernel=1}".to_owned()];
    for allocator in allocators::ALL {
        for scorer in scorers::ALL {
            for options in OPTIONS {
                specs.push(format!("{}+{}{options}", allocator.name, scorer.name));
            }
        }
    }
    let parse = |spec: &String| match Policy::parse(spec) {
        Err(Error::Meaningless { .. }) => None,
        // Some scorers have a pooling of their own.
        Err(Error::UnknownOption { option, .. }) if option == "pool" => Some(
            Policy::parse(&spec.split(",pool").next().map(|start| format!("{start}}}")).unwrap()).unwrap(),
        ),
        policy => Some(policy.unwrap()),
    };
    specs.iter().filter_map(parse).collect()
}

const OPTIONS: [&str; 3] = ["", "{sinks=2,recent=3,pool='max'}", "{sinks=0,recent=0,pool='sum'}"];

/// The reference and the published rules.
pub(crate) fn rules() -> Vec<Policy> {
    let rules = registry().into_iter().filter(|listing| listing.kind == Kind::Rule);
    rules.map(|rule| Policy::parse(rule.name).unwrap()).collect()
}

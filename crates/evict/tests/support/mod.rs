//! Random observations, and the policies that every test uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use bitkv_evict::{Error, Need, Needs, Observation, Policy, PolicyKind, Registry, Shape};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

/// The data that an [`Observation`] borrows.
#[derive(Clone, Debug)]
pub(crate) struct OwnedObservation {
    pub(crate) shape: Shape,
    /// The positions that each KV head holds; empty if every head holds every token.
    pub(crate) positions: Vec<Vec<u32>>,
    pub(crate) rows: BTreeMap<Need, Vec<Vec<f32>>>,
    pub(crate) numbers: BTreeMap<Need, Vec<f64>>,
}

impl OwnedObservation {
    pub(crate) fn view(&self) -> Observation<'_> {
        let mut observation = Observation::new(self.shape);
        observation.positions = self.positions.iter().map(Vec::as_slice).collect();
        observation.rope_theta = Some(10_000.0);
        for (&need, rows) in &self.rows {
            observation = observation.with_rows(need, rows);
        }
        for (&need, numbers) in &self.numbers {
            observation = observation.with_numbers(need, numbers);
        }
        observation
    }

    pub(crate) fn held(&self, kv_head: usize) -> usize {
        self.positions.get(kv_head).map_or(self.shape.tokens, Vec::len)
    }
}

/// Returns everything that the policies of [`composed`] and [`rules`] read.
pub(crate) fn all_needs() -> Needs {
    composed().iter().chain(rules()).fold(Needs::default(), |needs, policy| needs.union(policy.needs()))
}

/// Returns small caches in which everything is observed. Zeros, and so ties, are common.
pub(crate) fn observed() -> impl Strategy<Value = OwnedObservation> {
    shapes().prop_flat_map(|shape| filled(shape, vec![]))
}

/// Returns `count` such caches, always the same.
pub(crate) fn drawn(count: usize) -> Vec<OwnedObservation> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| observed().new_tree(&mut runner).unwrap().current()).collect()
}

/// Returns caches that were compressed before: every head holds different tokens.
pub(crate) fn ragged() -> impl Strategy<Value = OwnedObservation> {
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

fn filled(shape: Shape, positions: Vec<Vec<u32>>) -> impl Strategy<Value = OwnedObservation> {
    // Every number is taken from one long row of random numbers.
    let numbers = prop_oneof![1 => Just(0.0f32), 6 => 0.0..1.0f32];
    prop::collection::vec(numbers, 4096).prop_map(move |random| {
        let mut drawn = random.iter().cycle().copied();
        let mut observed = OwnedObservation {
            shape,
            positions: positions.clone(),
            rows: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for need in all_needs().iter() {
            let mut draw = |count: usize| drawn.by_ref().take(count).collect::<Vec<f32>>();
            if let Some(count) = numbers_of(need, shape) {
                observed.numbers.insert(need, draw(count).into_iter().map(|x| f64::from(x) * 5.0).collect());
                continue;
            }
            let heads =
                if has_rows_of_kv_heads(need) { shape.all_kv_heads() } else { shape.all_query_heads() };
            let group = if has_rows_of_kv_heads(need) { 1 } else { shape.group() };
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

fn has_rows_of_kv_heads(need: Need) -> bool {
    matches!(need, Need::Keys | Need::Values | Need::Reconstruction)
}

fn row(need: Need, held: usize, shape: Shape, draw: &mut impl FnMut(usize) -> Vec<f32>) -> Vec<f32> {
    match need {
        Need::Keys | Need::Values => draw(held * HEAD_DIM).into_iter().map(|x| 6.0 * x - 3.0).collect(),
        // A context has no more queries than tokens.
        Need::WindowRows(window) => draw(held * window.min(shape.tokens)),
        Need::WindowQueries(window) => draw(HEAD_DIM * window.min(shape.tokens)),
        Need::QueryMoments(_) => draw(HEAD_DIM + HEAD_DIM * HEAD_DIM),
        _ => draw(held),
    }
}

/// Returns every allocator joined to every scorer, as listed; each allocator with one scorer, and each scorer
/// with one allocator, with other guards and pooling; and every other choice that options offer.
pub(crate) fn composed() -> &'static [Policy] {
    static COMPOSED: LazyLock<Vec<Policy>> = LazyLock::new(|| {
        let (all_allocators, all_scorers) = (names(PolicyKind::Allocator), names(PolicyKind::Scorer));
        let pairs = all_allocators.iter().flat_map(|a| all_scorers.iter().map(move |s| (a, s)));
        let plain = pairs.map(|(allocator, scorer)| format!("{allocator}+{scorer}"));
        let guarded = OPTIONS.iter().flat_map(|options| {
            let allocators = all_allocators.iter().map(move |a| format!("{a}+key-norm{options}"));
            allocators.chain(all_scorers.iter().map(move |s| format!("uniform+{s}{options}")))
        });
        let others = OTHERS.iter().map(|&spec| spec.to_owned());
        plain.chain(guarded).chain(others).filter_map(|spec| valid_policy(&spec)).collect()
    });
    &COMPOSED
}

/// Returns the policy, or `None` if the pair is invalid.
fn valid_policy(spec: &str) -> Option<Policy> {
    match Policy::parse(spec) {
        Err(Error::Meaningless { .. }) => None,
        // Some scorers do not have the option `pool`.
        Err(Error::UnknownOption { option, .. }) if option == "pool" => {
            valid_policy(&format!("{}}}", spec.split(",pool").next().unwrap()))
        }
        policy => Some(policy.unwrap()),
    }
}

const OPTIONS: [&str; 2] = ["{sinks=2,recent=3,pool='max'}", "{sinks=0,recent=0,pool='sum'}"];

/// Other options. Small windows and partitions leave something outside them in small caches.
const OTHERS: [&str; 27] = [
    "entropy{group='mean'}+window-attention{window=4,kernel=1}",
    "uniform+window-attention{window=4,kernel=3,smooth='max'}",
    "uniform+accumulated-attention{normalised=true}",
    "pyramid{window=1}+accumulated-attention{recent-part=0.5,sinks=0,recent=0}",
    "uniform{whole-layers=1}+key-norm",
    "adaptive{floor='linear',safeguard=0.5}+window-attention{window=4,pool='max'}",
    "adaptive{safeguard=0}+kvzip{sinks=0,recent=0}",
    "global{safeguard=0.5}+lag{lag=3,skip=1,cross-scoring=true}",
    "uniform+lag{lag=3,skip=1}",
    "uniform+expected-attention{future=3,skip=0,epsilon=0.01}",
    "global+expected-attention{value-norm=false,covariance=false,skip=2}",
    "uniform+critical{base='kvzip',norm='plain',first-stage=0.25}",
    "uniform+critical{base='tova',first-stage=0}",
    "uniform+critical{base='accumulated-attention{normalised=true}',first-stage=1}",
    "adaptive+critical{base='expected-attention{skip=0}',sinks=0,recent=0}",
    "global+critical{base='cake-attention{window=4}'}",
    "global+critical{base='window-attention{window=4,kernel=1}',epsilon=0}",
    "global+defensive{window=4,kernel=3,norm='plain',mass=0.5}",
    "adaptive+defensive{window=2,kernel=1,sinks=0,recent=0}",
    "uniform+r-kv{window=4,kernel=3,spared=2,threshold=0}",
    "uniform+r-kv{group='products',window=4,kernel=3}",
    "adaptive+cake-attention{window=4,kernel=1,gamma=0}",
    "cake{window=4,tau2=0.6}+cake-attention{window=4}",
    "duo{by='measured',sinks=5,recent=3,window=4}+recency",
    "duo{sinks=6,recent=1}+random{seed=2}",
    "pyramid{window=1,beta=2}+oracle",
    "zig-zag{window=4,least=0}+tova",
];

/// Returns the reference and the published rules.
pub(crate) fn rules() -> &'static [Policy] {
    static RULES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
        names(PolicyKind::Rule).into_iter().map(|name| Policy::parse(name).unwrap()).collect()
    });
    &RULES
}

/// Returns the names of the methods of one kind, in the order of the standard registry.
pub(crate) fn names(kind: PolicyKind) -> Vec<&'static str> {
    let listed = Registry::standard().listings().into_iter().filter(|listing| listing.kind == kind);
    listed.map(|listing| listing.name).collect()
}

//! Methods with known faults: the conformance checks find these faults, and no others.

use std::sync::atomic::{AtomicU32, Ordering};

use bitkv_evict::{
    Allocator, Budget, Division, Guard, Head, Memo, Method, Need, Observation, Plan, Reason, Registry, Rule,
    Scorer,
    allocators::{Adaptive, Uniform},
    conformance::{self, Expectation, Failure},
    method,
};

/// Declares a scorer without options.
macro_rules! scorer {
    ($type:ident, $name:literal, [$($need:expr)?], $score:expr $(, $more:item)*) => {
        method! {
            /// A scorer of these tests.
            pub struct $type {}
            needs(self) [$($need)?];
            $name from "these tests", "Has a fault."
        }

        impl Scorer for $type {
            $($more)*

            fn score(&self, head: &Head<'_>, out: &mut [f32]) {
                let score: fn(&Head<'_>, &mut [f32]) = $score;
                score(head, out);
            }
        }
    };
}

/// Scores each row by its nearness to the middle of the text; `places` has the place of each row.
fn nearness(places: impl Iterator<Item = usize>, tokens: usize, out: &mut [f32]) {
    out.iter_mut()
        .zip(places)
        .for_each(|(score, place)| *score = -(place as f32 - tokens as f32 / 2.0).abs());
}

scorer!(
    ByPosition,
    "by-position",
    [],
    |head, out| nearness(head.positions().iter().map(|&p| p as usize), head.tokens_seen(), out),
    fn incomparable(&self) -> Option<&'static str> {
        Some("the middle is the same in every head")
    }
);
scorer!(
    ByRow,
    "by-row",
    [],
    |head, out| nearness(0..out.len(), head.tokens_seen(), out),
    fn incomparable(&self) -> Option<&'static str> {
        Some("the middle is the same in every head")
    }
);
scorer!(
    ByRowMeant,
    "by-row-meant",
    [],
    |head, out| nearness(0..out.len(), head.tokens_seen(), out),
    fn incomparable(&self) -> Option<&'static str> {
        Some("the middle is the same in every head")
    },
    fn regroups(&self) -> bool {
        true
    }
);
scorer!(Alike, "alike", [], |head, out| {
    nearness(head.positions().iter().map(|&p| p as usize), head.tokens_seen(), out)
});
scorer!(Undeclared, "undeclared", [], |head, out| out.copy_from_slice(&head.pooled(Need::Accumulated)));
scorer!(NotFinite, "not-finite", [Need::Accumulated], |head, out| {
    let row = head.pooled(Need::Accumulated);
    out.iter_mut().zip(row.iter()).for_each(|(score, a)| *score = a / if *a < 0.01 { 0.0 } else { 1.0 });
});
scorer!(Unpooled, "unpooled", [Need::Accumulated], |head, out| {
    out.copy_from_slice(head.group(Need::Accumulated)[0]);
});
scorer!(Unwritten, "unwritten", [Need::Accumulated], |head, out| {
    out[1..].copy_from_slice(&head.pooled(Need::Accumulated)[1..]);
});
static CALLS: AtomicU32 = AtomicU32::new(0);
scorer!(Fickle, "fickle", [Need::Accumulated], |head, out| {
    out.copy_from_slice(&head.pooled(Need::Accumulated));
    out[0] += CALLS.fetch_add(1, Ordering::Relaxed) as f32;
});
scorer!(Panicking, "panicking", [Need::Accumulated], |head, out| {
    out.copy_from_slice(&head.pooled(Need::Accumulated));
    assert!(out.len() > 1, "a cache has more than one token");
});

method! {
    /// Divides by the best score of a head, and does not declare it.
    pub struct Secret {}
    "secret" from "these tests", "Has a fault."
}

impl Allocator for Secret {
    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let best = |scores: &Vec<f32>| scores.iter().copied().fold(0.0, f32::max);
        division.scores.iter().map(|scores| f64::from(best(scores).min(1.0))).collect()
    }
}

method! {
    /// Divides by entropies that it does not declare, has no weight for the last head, and returns a guard
    /// that does not fit.
    pub struct Careless {}
    "careless" from "these tests", "Has a fault."
}

impl Allocator for Careless {
    fn fit(&self, guard: Guard, _: usize) -> Guard {
        guard
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let entropies = division.observation.numbers(Need::Entropy);
        let weight = |head| entropies.get(head).copied().unwrap_or(1.0);
        (1..division.scores.len()).map(weight).collect()
    }
}

method! {
    /// Keeps one token more than it is asked for, and declares that it conserves its budget.
    pub struct Generous {}
    "generous" from "these tests", "Has a fault."
}

impl Rule for Generous {
    fn conserves(&self) -> bool {
        true
    }

    fn plan(&self, observation: &Observation<'_>, budget: Budget, _: &Memo) -> Result<Plan, Reason> {
        let (shape, count) = (observation.shape, budget.per_head(observation.shape));
        let kept = (0..(count + 1).min(shape.tokens) as u32).collect();
        Ok(Plan::from_kv_heads(shape, budget.total(shape), vec![kept; shape.all_kv_heads()]))
    }
}

method! {
    /// Reads entropies that it does not declare, always keeps as many tokens as in its first plan, and keeps
    /// no token of some heads.
    pub struct Sloppy {}
    "sloppy" from "these tests", "Has a fault."
}

impl Rule for Sloppy {
    fn plan(&self, observation: &Observation<'_>, budget: Budget, memo: &Memo) -> Result<Plan, Reason> {
        let first_count = memo.get::<std::cell::OnceCell<usize>>();
        let wide = observation.numbers(Need::Entropy).first().is_some_and(|&bits| bits > 2.5);
        let count = *first_count.get_or_init(|| budget.per_head(observation.shape) - usize::from(wide));
        let kept = |head| if head == 0 { vec![] } else { (0..count as u32).collect() };
        let kept = (0..observation.shape.all_kv_heads()).map(kept).collect();
        Ok(Plan::from_kv_heads(observation.shape, budget.total(observation.shape), kept))
    }
}

fn expectations(failures: &[Failure]) -> Vec<Expectation> {
    failures.iter().map(|failure| failure.expectation).collect()
}

/// Returns the expectations that a scorer does not meet, in order.
fn failed_expectations<S: Method + Scorer>() -> Vec<Expectation> {
    expectations(&conformance::check_scorer(S::default()).unwrap())
}

#[test]
fn every_fault_of_a_scorer_is_found_and_nothing_else() {
    assert_eq!(failed_expectations::<ByPosition>(), []);
    assert_eq!(failed_expectations::<ByRowMeant>(), []);
    assert_eq!(failed_expectations::<ByRow>(), [Expectation::Positions]);
    assert_eq!(failed_expectations::<Alike>(), [Expectation::Comparable]);
    assert_eq!(failed_expectations::<NotFinite>(), [Expectation::Finite]);
    assert_eq!(failed_expectations::<Unpooled>(), [Expectation::DeclaredPooling]);
    assert_eq!(failed_expectations::<Unwritten>(), [Expectation::Written]);
    assert_eq!(failed_expectations::<Panicking>(), [Expectation::NoPanic]);
    // If nothing is the same twice, or a declared observation is missing, other checks fail too.
    assert_eq!(failed_expectations::<Fickle>()[0], Expectation::Deterministic);
    assert_eq!(failed_expectations::<Undeclared>()[0], Expectation::DeclaredNeeds);
}

#[test]
fn every_fault_of_an_allocator_is_found() {
    let found = expectations(&conformance::check_allocator(Secret::default()).unwrap());
    assert_eq!(found, [Expectation::DeclaredComparison]);
    let found = expectations(&conformance::check_allocator(Careless::default()).unwrap());
    assert_eq!(found, [Expectation::Guard, Expectation::Finite, Expectation::DeclaredNeeds]);
    assert_eq!(conformance::check_allocator(Adaptive::default()).unwrap(), []);
}

#[test]
fn every_fault_of_a_rule_is_found() {
    let registry = Registry::empty().with_rule::<Generous>().unwrap().with_rule::<Sloppy>().unwrap();
    let failures = conformance::check(&registry);
    let failed_by = |name: &str| {
        let failures: Vec<Failure> =
            failures.iter().filter(|failure| failure.policy == name).cloned().collect();
        expectations(&failures)
    };
    assert_eq!(failed_by("generous"), [Expectation::Budget]);
    assert_eq!(
        failed_by("sloppy"),
        [Expectation::HeldPositions, Expectation::Independent, Expectation::DeclaredNeeds]
    );
}

#[test]
fn a_failure_names_the_pair_that_it_is_about() {
    let registry = Registry::empty().with_allocator::<Adaptive>().unwrap();
    let registry = registry.with_allocator::<Uniform>().unwrap().with_scorer::<Alike>().unwrap();
    let messages: Vec<String> = conformance::check(&registry).iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "`adaptive+alike`: heads can compete only by scores that differ between heads, but all heads of a layer \
             get the same scores; implement `incomparable`"
        ]
    );
}

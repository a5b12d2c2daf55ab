//! Properties that must hold for every allocator joined to every scorer, and for every rule. The registry
//! drives these tests, so a new method is tested as soon as it is listed.

mod support;

use bitkv_evict::{
    Budget, Error, Needs, Observation, Plan, Planner, Policy, PolicyKind, Registry, conformance,
};
use proptest::prelude::*;
use support::{OwnedObservation, composed, drawn, names, observed, ragged, rules};

fn ascending_and_cached(plan: &Plan) -> bool {
    let shape = plan.shape();
    (0..shape.layers).all(|layer| {
        let kv = (0..shape.kv_heads).map(|head| plan.kept(layer, head));
        let query = (0..shape.query_heads).map(|head| plan.query_kept(layer, head));
        kv.chain(query).all(|kept| {
            !kept.is_empty()
                && kept.is_sorted_by(|a, b| a < b)
                && kept.iter().all(|&p| (p as usize) < shape.tokens)
        })
    })
}

/// Returns the guard of a policy that `support` lists, from its specification.
fn guard_of(policy: &Policy) -> (usize, usize) {
    match policy.spec().split('+').next_back().unwrap() {
        spec if spec.contains("sinks=2") => (2, 3),
        spec if spec.contains("sinks=0") => (0, 0),
        _ => (4, 8),
    }
}

fn guard_is_kept(plan: &Plan, (sinks, recent): (usize, usize)) -> bool {
    let shape = plan.shape();
    (0..shape.layers).all(|layer| {
        (0..shape.kv_heads).all(|head| {
            let kept = plan.kept(layer, head);
            let sinks = sinks.min(kept.len());
            let recent = recent.min(kept.len() - sinks);
            let mut guarded = (0..sinks).chain(shape.tokens - recent..shape.tokens);
            guarded.all(|p| kept.contains(&(p as u32)))
        })
    })
}

/// Returns the observation with NaN in place of everything that is not needed.
fn poisoned(observation: &OwnedObservation, needs: &Needs) -> OwnedObservation {
    let mut poisoned = observation.clone();
    for (_, rows) in poisoned.rows.iter_mut().filter(|(need, _)| !needs.contains(**need)) {
        rows.iter_mut().flatten().for_each(|v| *v = f32::NAN);
    }
    for (_, numbers) in poisoned.numbers.iter_mut().filter(|(need, _)| !needs.contains(**need)) {
        numbers.fill(f64::NAN);
    }
    poisoned
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_composed_policy_spends_the_budget_exactly_and_keeps_the_guard(
        observation in observed(),
        part in 0.001..=1.0f64,
    ) {
        let budget = Budget::fraction(part).unwrap();
        let shape = observation.shape;
        let asked = ((shape.tokens as f64 * part).floor() as usize).max(1) * shape.all_kv_heads();
        for policy in composed() {
            let plan = policy.plan(&observation.view(), budget).unwrap();
            prop_assert_eq!((plan.total(), plan.asked()), (asked, asked), "{}", policy);
            prop_assert!(ascending_and_cached(&plan), "{}", policy);
            prop_assert!(guard_is_kept(&plan, guard_of(policy)), "{}", policy);
            prop_assert_eq!(&plan, &policy.plan(&observation.view(), budget).unwrap(), "{}", policy);
            prop_assert!(policy.conserves());
        }
    }

    #[test]
    fn a_compressed_cache_can_be_compressed_again(observation in ragged(), tokens in 1usize..40) {
        let budget = Budget::tokens(tokens).unwrap();
        let heads = observation.shape.all_kv_heads();
        let held: usize = (0..heads).map(|head| observation.held(head)).sum();
        let view = observation.view();
        let planner = Planner::new(&view);
        for policy in composed() {
            let plan = planner.plan(policy, budget).unwrap();
            prop_assert_eq!(plan.total(), held.min(tokens.min(observation.shape.tokens) * heads), "{}", policy);
            prop_assert!(ascending_and_cached(&plan), "{}", policy);
            for head in 0..heads {
                let kept = plan.kept(head / observation.shape.kv_heads, head % observation.shape.kv_heads);
                prop_assert!(kept.iter().all(|p| observation.positions[head].contains(p)), "{}", policy);
            }
            prop_assert_eq!(plan, policy.plan(&view, budget).unwrap(), "{}", policy);
        }
        for policy in rules() {
            let planned = planner.plan(policy, budget);
            let refused = matches!(planned, Err(Error::Ragged { .. }));
            prop_assert!(refused || view.is_whole(), "{}", policy);
        }
    }

    #[test]
    fn one_planner_makes_the_same_plans_as_many(observation in observed(), part in 0.01..=1.0f64) {
        let (view, budget) = (observation.view(), Budget::fraction(part).unwrap());
        let planner = Planner::new(&view);
        for policy in composed().iter().chain(rules()) {
            prop_assert_eq!(planner.plan(policy, budget).ok(), policy.plan(&view, budget).ok(), "{}", policy);
        }
    }

    #[test]
    fn a_full_budget_keeps_everything(observation in observed()) {
        let everything = Plan::everything(observation.shape);
        for policy in composed() {
            prop_assert_eq!(&policy.plan(&observation.view(), Budget::FULL).unwrap(), &everything, "{}", policy);
        }
        let full = Policy::parse("full").unwrap();
        let tenth = Budget::fraction(0.1).unwrap();
        prop_assert_eq!(full.plan(&observation.view(), tenth).unwrap(), everything);
    }

    #[test]
    fn a_rule_stores_what_its_query_heads_keep(observation in observed(), part in 0.001..=1.0f64) {
        let budget = Budget::fraction(part).unwrap();
        for policy in rules() {
            let plan = policy.plan(&observation.view(), budget).unwrap();
            prop_assert!(ascending_and_cached(&plan), "{}", policy);
            prop_assert_eq!(&plan, &policy.plan(&observation.view(), budget).unwrap());
            let group = observation.shape.group();
            for layer in 0..observation.shape.layers {
                for head in 0..observation.shape.query_heads {
                    let stored = plan.kept(layer, head / group);
                    prop_assert!(plan.query_kept(layer, head).iter().all(|p| stored.contains(p)));
                }
            }
        }
    }

    #[test]
    fn a_policy_reads_only_what_it_declares(observation in observed(), part in 0.01..=1.0f64) {
        let budget = Budget::fraction(part).unwrap();
        for policy in composed().iter().chain(rules()) {
            let needs = policy.needs();
            let plan = policy.plan(&observation.view(), budget).unwrap();
            let without = policy.plan(&observation.view().only(&needs), budget).unwrap();
            prop_assert_eq!(&without, &plan, "{}", policy);
            let poisoned = policy.plan(&poisoned(&observation, &needs).view(), budget).unwrap();
            prop_assert_eq!(&poisoned, &plan, "{}", policy);
        }
    }

    #[test]
    fn a_policy_refuses_what_it_reads_if_it_is_not_finite(
        observation in observed(),
        at: prop::sample::Index,
        bad in prop::sample::select(vec![f32::NAN, f32::INFINITY]),
    ) {
        let mut broken = observation.clone();
        for rows in broken.rows.values_mut() {
            let row = at.index(rows.len());
            let index = at.index(rows[row].len());
            rows[row][index] = bad;
        }
        for numbers in broken.numbers.values_mut() {
            let index = at.index(numbers.len());
            numbers[index] = f64::from(bad);
        }
        for policy in composed().iter().chain(rules()) {
            let planned = policy.plan(&broken.view(), Budget::fraction(0.5).unwrap());
            prop_assert_eq!(planned.is_err(), !policy.needs().is_empty(), "{}", policy);
        }
    }
}

/// A method whose plans never differ from the plainest method is that method under another name.
#[test]
fn every_method_differs_from_the_plainest_on_some_cache() {
    let observation = drawn(48);
    let differs = |spec: &str, plain: &str| {
        let (policy, plain) = (Policy::parse(spec).unwrap(), Policy::parse(plain).unwrap());
        observation.iter().any(|observation| {
            let plan =
                |policy: &Policy| policy.plan(&observation.view(), Budget::fraction(0.4).unwrap()).unwrap();
            plan(&policy) != plan(&plain)
        })
    };
    for scorer in names(PolicyKind::Scorer).into_iter().filter(|&name| name != "recency") {
        // Windows and partitions of the default sizes are longer than these caches.
        let small = match scorer {
            "window-attention" | "cake-attention" | "defensive" | "r-kv" => "window=4,",
            "critical" => "base='window-attention{window=4,kernel=1}',",
            "lag" => "lag=3,",
            _ => "",
        };
        let spec = format!("uniform+{scorer}{{{small}sinks=0,recent=0}}");
        assert!(differs(&spec, "uniform+recency{sinks=0,recent=0}"), "{spec}");
    }
    for allocator in names(PolicyKind::Allocator).into_iter().filter(|&name| name != "uniform") {
        let small = match allocator {
            "pyramid" | "head-scores" => "{window=1}",
            "cake" => "{window=4}",
            "duo" => "{sinks=1,recent=1}",
            _ => "",
        };
        let spec = format!("{allocator}{small}+kvzip");
        assert!(differs(&spec, "uniform+kvzip"), "{spec}");
    }
}

#[test]
fn the_random_scorer_depends_on_its_seed_and_on_the_head() {
    let shape = bitkv_evict::Shape { layers: 2, query_heads: 2, kv_heads: 2, tokens: 64, head_dim: 0 };
    let plan = |seed: u32| {
        let policy = Policy::parse(&format!("uniform+random{{seed={seed}}}")).unwrap();
        policy.plan(&Observation::new(shape), Budget::fraction(0.5).unwrap()).unwrap()
    };
    let (one, two) = (plan(1), plan(2));
    assert_ne!(one, two);
    for (a, b) in [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 0))] {
        assert_ne!(one.kept(a.0, a.1), one.kept(b.0, b.1));
    }
    // If neighbouring seeds shared a stream, their heads would swap places.
    assert_ne!(one.kept(0, 1), two.kept(0, 0));
}

#[test]
fn every_method_and_every_pair_passes_the_public_checks() {
    let failures = conformance::check(&Registry::standard());
    let messages: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(messages.is_empty(), "{}", messages.join("\n"));
}

//! Properties of every press for random observations.

use std::collections::BTreeMap;

use bitkv_evict::{Budget, Need, Needs, Observation, Planner, Policy, Registry, Shape, conformance};
use bitkv_kvpress::undecided;
use proptest::prelude::*;

use crate::support::{listings, read};

const DIM: usize = 4;

/// Returns every press, with windows and other sizes small enough for the random caches of these tests.
fn presses() -> Vec<Policy> {
    let small = [("window_size", 3), ("kernel_size", 3), ("lag_size", 3), ("block_size", 4)];
    let small = small.into_iter().chain([("chunk_length", 4), ("n_sink", 2), ("num_sinks", 2)]);
    let small: Vec<(&str, i64)> = small.chain([("beta", 2), ("n_future_positions", 5)]).collect();
    let press = |options: Vec<(String, String)>, name: &str| {
        let has_option = |option: &str| options.iter().any(|(name, _)| name == option);
        let given =
            small.iter().filter(|(option, _)| has_option(option)).map(|(o, value)| format!("{o}={value}"));
        let given: Vec<String> = given.collect();
        read(&format!("{name}{{{}}}", given.join(","))).unwrap()
    };
    listings().into_iter().map(|listing| press(listing.options, listing.name)).collect()
}

/// Returns whether a need has one row per KV head. If not, it has one row per query head.
fn has_kv_head_rows(need: Need) -> bool {
    matches!(need, Need::Keys | Need::Values)
}

/// A random observation with its rows.
#[derive(Clone, Debug)]
struct RandomObservation {
    shape: Shape,
    rows: BTreeMap<Need, Vec<Vec<f32>>>,
}

impl RandomObservation {
    fn view(&self) -> Observation<'_> {
        let mut seen = Observation::new(self.shape);
        seen.rope_theta = Some(10_000.0);
        self.rows.iter().fold(seen, |seen, (&need, rows)| seen.with_rows(need, rows))
    }
}

/// Observations of caches of 4 to 39 tokens. Equal values are common; no key or value is all zeros.
fn observations() -> impl Strategy<Value = RandomObservation> {
    let shapes =
        (1usize..4, 1usize..4, 1usize..4, 4usize..40).prop_map(|(layers, kv_heads, group, tokens)| Shape {
            layers,
            query_heads: kv_heads * group,
            kv_heads,
            tokens,
            head_dim: DIM,
        });
    let values = prop::collection::vec(prop_oneof![1 => Just(0.25f32), 6 => 0.01..1.0f32], 4096);
    (shapes, values).prop_map(|(shape, values)| {
        let needs = presses().iter().fold(Needs::default(), |needs, press| needs.union(press.needs()));
        let mut drawn = values.iter().cycle().copied();
        let mut rows_of = |need: Need| {
            let heads = if has_kv_head_rows(need) { shape.all_kv_heads() } else { shape.all_query_heads() };
            let length = match need {
                Need::Keys | Need::Values => shape.tokens * DIM,
                Need::QueryMoments(_) => DIM + DIM * DIM,
                _ => shape.tokens,
            };
            (need, (0..heads).map(|_| drawn.by_ref().take(length).collect()).collect())
        };
        RandomObservation { shape, rows: needs.iter().map(&mut rows_of).collect() }
    })
}

fn kept(policy: &Policy, seen: &Observation<'_>, budget: Budget) -> Vec<Vec<u32>> {
    policy.plan(seen, budget).unwrap().kept_by_head().map(<[u32]>::to_vec).collect()
}

/// Returns over what a press spreads its budget, as a phrase.
fn spread(policy: &Policy) -> &'static str {
    let name = policy.spec().split('{').next().unwrap_or_default();
    match name.strip_prefix("kvpress:").unwrap_or_default() {
        "pyramidkv" | "chunkkv" => "otherwise",
        name if name.contains("adakv") => "over the heads of a layer",
        _ => "evenly",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    // A planner scores a layer once for all budgets and for all presses that have the same scores.
    #[test]
    fn a_shared_planner_makes_the_same_plans(seen in observations(), parts in prop::collection::vec(0.05..1.0f64, 2..4)) {
        let view = seen.view();
        let planner = Planner::new(&view);
        for press in presses() {
            for &part in &parts {
                let budget = Budget::fraction(part).unwrap();
                prop_assert_eq!(planner.plan(&press, budget).ok(), press.plan(&view, budget).ok(), "{}", press);
            }
        }
    }

    #[test]
    fn a_press_spends_its_budget(observed in observations(), ratio in 0.05..0.95f64) {
        let (seen, shape) = (observed.view(), observed.shape);
        let n = ((shape.tokens as f64 * (1.0 - ratio)) as usize).max(1);
        for policy in presses() {
            let kept = kept(&policy, &seen, Budget::ratio(ratio).unwrap());
            for set in &kept {
                prop_assert!(set.is_sorted_by(|a, b| a < b), "{policy}: {set:?}");
                prop_assert!(set.last().is_none_or(|&last| (last as usize) < shape.tokens), "{policy}");
            }
            for layer in kept.chunks(shape.kv_heads) {
                let counts: Vec<usize> = layer.iter().map(Vec::len).collect();
                match spread(&policy) {
                    "evenly" => prop_assert_eq!(&counts, &vec![n; shape.kv_heads], "{}", policy),
                    "otherwise" => prop_assert!(counts.iter().all(|&c| c == counts[0] && c > 0), "{}", policy),
                    _ => {
                        prop_assert_eq!(counts.iter().sum::<usize>(), n * shape.kv_heads, "{}", policy);
                        prop_assert!(counts.iter().all(|&c| c > 0), "{}", policy);
                    }
                }
            }
        }
    }

    #[test]
    fn a_press_that_conserves_keeps_what_is_asked(observed in observations(), count in 1usize..200) {
        let seen = observed.view();
        for budget in [Budget::tokens(count).unwrap(), Budget::entries(count).unwrap()] {
            for policy in presses() {
                let plan = policy.plan(&seen, budget).unwrap();
                let even = budget.per_head(observed.shape) * observed.shape.all_kv_heads();
                prop_assert_eq!(plan.asked(), even, "{}", policy);
                prop_assert_eq!(policy.conserves(), spread(&policy) != "otherwise", "{}", policy);
                prop_assert!(!policy.conserves() || plan.total() == even, "{}", policy);
            }
        }
    }

    #[test]
    fn a_press_reads_only_what_it_declares(observed in observations(), ratio in 0.05..0.95f64) {
        let (seen, budget) = (observed.view(), Budget::ratio(ratio).unwrap());
        for policy in presses() {
            let declared = seen.clone().only(&policy.needs());
            prop_assert_eq!(kept(&policy, &seen, budget), kept(&policy, &declared, budget), "{}", policy);
        }
    }

    #[test]
    fn a_wider_tolerance_adds_undecided_positions_and_a_full_budget_has_none(observed in observations(), ratio in 0.05..0.95f64) {
        let seen = observed.view();
        for policy in presses() {
            let wide = undecided(&policy, &seen, Budget::ratio(ratio).unwrap(), 0.1).unwrap();
            let narrow = undecided(&policy, &seen, Budget::ratio(ratio).unwrap(), 1e-6).unwrap();
            prop_assert_eq!(wide.len(), observed.shape.all_kv_heads());
            for (wide, narrow) in wide.iter().zip(&narrow) {
                // With a wider tolerance CriticalAdaKV may decide more positions. All other presses only add
                // some.
                prop_assert!(policy.spec().contains("critical_adakv") || narrow.iter().all(|p| wide.contains(p)));
            }
            let full = undecided(&policy, &seen, Budget::FULL, 0.1).unwrap();
            prop_assert!(full.iter().all(Vec::is_empty), "{}", policy);
            let everything: Vec<u32> = (0..observed.shape.tokens as u32).collect();
            prop_assert!(kept(&policy, &seen, Budget::FULL).iter().all(|set| *set == everything), "{}", policy);
        }
    }
}

#[test]
fn every_press_passes_the_public_checks() {
    let registry = bitkv_kvpress::presses(Registry::empty()).unwrap();
    let failures = conformance::check(&registry);
    let messages: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(messages.is_empty(), "{}", messages.join("\n"));
}

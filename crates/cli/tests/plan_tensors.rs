//! `bitkv plan --tensors`: plans for the queries, keys and values of any model, compared with those of
//! kvpress.

mod support;

use std::{collections::BTreeMap, path::PathBuf, thread};

use bitkv_evict::Budget;
use bitkv_kvpress::undecided;
use bitkv_lab::{observation::Calibration, tensors::Tensors};
use bitkv_record::PlanExport;
use serde_json::Value;
use support::{Place, count, list};

/// The change of a score that another order of summation may cause, relative to the lowest kept score.
const TIE: f32 = 1e-6;

/// The plans of one fixture by press, ratio, layer and KV head, as `crates/kvpress/testdata/README.md`
/// describes.
type Presses = BTreeMap<String, BTreeMap<String, Vec<Vec<String>>>>;

fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kvpress/testdata").join(file)
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn plan(file: &str, policy: &str, budget: &[&str]) -> Value {
    let tensors = fixture(file);
    Place::new().json(&[&["plan", "--tensors", text(&tensors), "--policy", policy], budget].concat())
}

/// Returns the kept positions of every KV head, layer by layer.
fn kept(plan: &Value) -> Vec<Vec<u32>> {
    let heads = list(&plan["layers"]).iter().flat_map(|layer| list(&layer["heads"]));
    heads.map(|head| list(&head["kept"]).iter().map(|at| count(at) as u32).collect()).collect()
}

/// Returns the positions of a bitmap: position `p` is bit `p % 4` of hexadecimal digit `p / 4`.
fn positions(bitmap: &str) -> Vec<u32> {
    let digits = (0..).zip(bitmap.chars().map(|digit| digit.to_digit(16).unwrap()));
    digits
        .flat_map(|(at, digit)| (0..4).filter(move |bit| digit >> bit & 1 == 1).map(move |b| 4 * at + b))
        .collect()
}

#[test]
fn every_press_keeps_what_kvpress_keeps() {
    let plans: BTreeMap<String, Presses> =
        serde_json::from_slice(&std::fs::read(fixture("plans.json")).unwrap()).unwrap();
    assert_eq!(plans.len(), 5);
    let compared: usize = thread::scope(|scope| {
        let threads: Vec<_> =
            plans.iter().map(|(stem, presses)| scope.spawn(|| compare(stem, presses))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(compared >= 5 * 30 * 5, "{compared}");
}

/// Compares the plans of one fixture, which may differ only in positions with equal scores, and returns their
/// number.
fn compare(stem: &str, presses: &Presses) -> usize {
    let mut compared = 0;
    for (press, ratios) in presses {
        for (ratio, layers) in ratios {
            let policy = format!("kvpress:{press}");
            let ours = kept(&plan(&format!("{stem}.safetensors"), &policy, &["--ratio", ratio]));
            let theirs: Vec<Vec<u32>> = layers.concat().iter().map(|bitmap| positions(bitmap)).collect();
            if ours != theirs {
                assert_only_ties_differ(stem, &policy, ratio, &ours, &theirs);
            }
            compared += 1;
        }
    }
    compared
}

fn assert_only_ties_differ(stem: &str, policy: &str, ratio: &str, ours: &[Vec<u32>], theirs: &[Vec<u32>]) {
    let tensors = Tensors::open(&fixture(&format!("{stem}.safetensors"))).unwrap();
    let policy = bitkv_lab::registry().unwrap().policy(policy).unwrap();
    let observation = tensors.observation(&policy.needs(), Calibration::new()).unwrap();
    let budget = Budget::ratio(ratio.parse().unwrap()).unwrap();
    let undecided = undecided(&policy, &observation.view(), budget, TIE).unwrap();
    assert_eq!((ours.len(), theirs.len()), (undecided.len(), undecided.len()));
    for (head, ((ours, theirs), undecided)) in ours.iter().zip(theirs).zip(undecided).enumerate() {
        let missing = theirs.iter().filter(|at| !ours.contains(at));
        let mut differing = missing.chain(ours.iter().filter(|at| !theirs.contains(at)));
        assert!(
            differing.all(|at| undecided.contains(at)),
            "{stem}: {policy}, ratio {ratio}, head {head}: {ours:?} and not {theirs:?}"
        );
    }
}

#[test]
fn native_policies_and_every_form_of_budget() {
    let recency = "uniform+recency{sinks=2}";
    let ends = [0, 1, 93, 94, 95];
    for budget in
        [["--budget", "0.0521"], ["--ratio", "0.947"], ["--budget-tokens", "5"], ["--budget-bytes", "1920 B"]]
    {
        let document = plan("gqa-96.safetensors", recency, &budget);
        assert!(kept(&document).len() == 6 && kept(&document).iter().all(|head| *head == ends), "{budget:?}");
        assert_eq!(document["model"], "gqa-96");
        assert_eq!(["tokens", "asked_tokens", "kept_entries"].map(|key| count(&document[key])), [96, 30, 30]);
    }
    for scorer in [
        "window-attention",
        "accumulated-attention",
        "tova",
        "key-norm",
        "key-diff",
        "lag",
        "r-kv",
        "critical{norm='plain'}",
    ] {
        for allocator in ["uniform", "pyramid"] {
            let document =
                plan("mha-96.safetensors", &format!("{allocator}+{scorer}"), &["--budget", "0.25"]);
            assert_eq!(count(&document["kept_entries"]), 24 * 12, "{allocator}+{scorer}");
        }
    }
}

#[test]
fn an_export_contains_the_plan() {
    let (place, tensors) = (Place::new(), fixture("gqa-96.safetensors"));
    let policy = ["--policy", "adaptive+key-norm", "--budget", "0.2", "--export", "plan.json"];
    let document = place.json(&[&["plan", "--tensors", text(&tensors)], &policy[..]].concat());
    let export = PlanExport::read(&place.path("plan.json")).unwrap();
    assert_eq!((export.n_layer, export.n_head, export.n_head_kv, export.tokens), (3, 8, 2, 96));
    assert!(export.policy.starts_with("adaptive{") && export.policy.contains("sinks=4"), "{}", export.policy);
    assert_eq!(export.heads.iter().map(|head| head.kept.clone()).collect::<Vec<_>>(), kept(&document));
    assert!(export.heads.iter().all(|head| head.budget == head.kept.len()));
    let places: Vec<_> = export.heads.iter().map(|head| (head.layer, head.kv_head)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    assert!(export.heads.iter().any(|head| head.budget != 19), "heads compete");
}

#[test]
fn policies_that_tensors_do_not_suffice_for() {
    let (place, tensors) = (Place::new(), fixture("gqa-96.safetensors"));
    let refuses_policy = |policy: &str, says: &[&str]| {
        let arguments = ["plan", "--tensors", text(&tensors), "--budget", "0.5", "--policy", policy];
        place.refuses(&arguments, &[&[policy], says].concat());
    };
    refuses_policy("uniform+oracle", &["tokens that come after", "another policy"]);
    refuses_policy("uniform+kvzip", &["needs a model", "--model instead of --tensors"]);
    refuses_policy("entropy+recency", &["entropies", "--profile"]);
    refuses_policy("head-scores+recency", &["head scores", "--head-scores"]);
    let arguments = ["plan", "--tensors", text(&tensors), "--policy", "uniform+recency"];
    place.refuses(&arguments, &["no budget", "--budget"]);
    place.refuses(&["plan", "--policy", "uniform+recency", "--budget", "0.5"], &["--model", "--tensors"]);
}

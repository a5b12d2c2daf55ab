//! Compares the positions that kvpress kept, stored in `testdata`, with the positions that the presses keep.

use std::{collections::BTreeMap, path::PathBuf};

use bitkv_evict::{Budget, Needs, Observation, Policy};
use bitkv_kvpress::undecided;

use crate::{
    support::{listings, read},
    tensors::{Rows, Tensors},
};

/// The relative error that another order of summation may cause in a score.
const TIE: f32 = 1e-6;

/// The bitmaps of `plans.json`, indexed by file, press, ratio, layer and KV head. `testdata/README.md`
/// describes them.
type Plans = BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<Vec<String>>>>>;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn plans() -> Plans {
    serde_json::from_str(&std::fs::read_to_string(folder().join("plans.json")).unwrap()).unwrap()
}

fn policy(press: &str) -> Policy {
    read(&format!("kvpress:{press}")).unwrap()
}

/// The agreement of a press with kvpress, counted in KV heads.
#[derive(Clone, Copy, Default)]
struct Agreement {
    heads: usize,
    exact: usize,
    by_ties: usize,
}

/// The press whose ties are decided by a rounding error: the mean over a short last chunk of a window rounds
/// otherwise in torch than the mean over a whole chunk.
const ROUNDING: [&str; 1] = ["chunkkv"];

#[test]
fn presses_keep_the_same_positions_as_kvpress_except_for_ties() {
    let mut agreements: BTreeMap<String, Agreement> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (stem, presses) in plans() {
        let (tensors, rows) = fixture_rows(&stem);
        let seen = tensors.view(&rows);
        for (press, ratios) in presses {
            let agreement = agreements.entry(press.clone()).or_default();
            for (ratio, layers) in ratios {
                compare(&policy(&press), &seen, removing(&ratio), &layers, agreement)
                    .unwrap_or_else(|error| wrong.push(format!("{stem}, ratio {ratio}: {error}")));
            }
        }
    }
    for (press, Agreement { heads, exact, by_ties }) in &agreements {
        println!("{press}: {exact} of {heads} heads are exact, and {by_ties} differ by ties only");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let bare = |press: &str| press.split('{').next().unwrap_or_default().to_owned();
    let unexpected =
        agreements.iter().filter(|(press, a)| a.by_ties > 0 && !ROUNDING.contains(&&*bare(press)));
    assert_eq!(unexpected.map(|(press, _)| press).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_plans_of_another_press_or_ratio_differ() {
    let (tensors, rows) = fixture_rows("gqa-96");
    let seen = tensors.view(&rows);
    let fixture = |press: &str, ratio: &str| plans()["gqa-96"][press][ratio].clone();
    for (named, taken) in [
        ("knorm", "keydiff"),
        ("adakv_knorm", "knorm"),
        ("snapkv{window_size=8}", "snapkv{kernel_size=7,window_size=8}"),
        ("expected_attention", "expected_attention{use_covariance=false,use_vnorm=false}"),
        ("critical_expected_attention", "expected_attention"),
        ("adakv_expected_attention", "adakv_expected_attention_e2"),
    ] {
        let plans = fixture(taken, "0.5");
        let result = compare(&policy(named), &seen, removing("0.5"), &plans, &mut Agreement::default());
        assert!(result.unwrap_err().contains("differs in layer"), "{named} as {taken}");
    }
    let plans = fixture("knorm", "0.5");
    let result = compare(&policy("knorm"), &seen, removing("0.75"), &plans, &mut Agreement::default());
    assert!(result.is_err());
}

#[test]
fn every_press_has_a_fixture() {
    let plans = plans();
    for listing in listings() {
        let press = listing.name.strip_prefix("kvpress:").unwrap();
        assert!(plans.values().all(|file| file.contains_key(press)), "{press} has no fixture");
    }
    for press in plans.values().flat_map(BTreeMap::keys) {
        assert_eq!(policy(press).spec(), format!("kvpress:{press}"));
    }
}

#[test]
fn every_press_is_documented() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/KVPRESS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let first_cell = |line: &str| line.split(" | ").next().unwrap_or_default().to_owned();
    let cells: Vec<String> = text.lines().filter(|line| line.starts_with("| `")).map(first_cell).collect();
    // A cell names presses in code quotes; options follow in braces.
    let named = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut named: Vec<&str> = named.map(|code| code.split('{').next().unwrap_or_default()).collect();
    let mut listed: Vec<&str> =
        listings().into_iter().map(|listing| &listing.name["kvpress:".len()..]).collect();
    named.sort_unstable();
    listed.sort_unstable();
    assert_eq!(named, listed);
}

/// Returns the tensors of a fixture, and the rows that the presses read.
fn fixture_rows(stem: &str) -> (Tensors, Rows) {
    let tensors = Tensors::read(&folder().join(format!("{stem}.safetensors")));
    let all = plans()[stem].keys().fold(Needs::default(), |all, press| all.union(policy(press).needs()));
    let rows = tensors.observe(&all);
    (tensors, rows)
}

fn removing(ratio: &str) -> Budget {
    Budget::ratio(ratio.parse().unwrap()).unwrap()
}

/// Compares the plan of a policy with the bitmaps of kvpress, and counts the heads in `agreement`. Returns an
/// error that lists the differences that no tie explains.
fn compare(
    policy: &Policy,
    seen: &Observation<'_>,
    budget: Budget,
    layers: &[Vec<String>],
    agreement: &mut Agreement,
) -> Result<(), String> {
    let plan = policy.plan(seen, budget).map_err(|e| e.to_string())?;
    let undecided = undecided(policy, seen, budget, TIE).map_err(|e| e.to_string())?;
    let heads = layers.iter().enumerate().flat_map(|(layer, heads)| {
        heads.iter().enumerate().map(move |(head, bitmap)| (layer, head, positions(bitmap)))
    });
    let mut wrong = Vec::new();
    for ((layer, head, theirs), undecided) in heads.zip(undecided) {
        let ours = plan.kept(layer, head);
        let either =
            theirs.iter().filter(|p| !ours.contains(p)).chain(ours.iter().filter(|p| !theirs.contains(p)));
        let differing: Vec<u32> = either.copied().collect();
        agreement.heads += 1;
        match differing.iter().all(|p| undecided.contains(p)) {
            true if differing.is_empty() => agreement.exact += 1,
            true => agreement.by_ties += 1,
            false => {
                wrong.push(format!("{policy} differs in layer {layer}, KV head {head} at {differing:?}"))
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Returns the positions of a bitmap: position `p` is bit `p % 4` of the hexadecimal digit `p / 4`.
fn positions(bitmap: &str) -> Vec<u32> {
    let digits = bitmap.chars().map(|digit| digit.to_digit(16).unwrap());
    let bits =
        |(at, digit): (u32, u32)| (0..4).filter(move |bit| digit >> bit & 1 == 1).map(move |b| 4 * at + b);
    (0..).zip(digits).flat_map(bits).collect()
}

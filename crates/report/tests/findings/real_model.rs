//! What a real pretrained model shows: SmolLM2-135M-Instruct, a control in full precision.

use crate::cells::{Cell, Run, mean};
use crate::finding::{Finding, table};
use crate::results::{newest, rows};
use crate::sentence::{Check, Sentence, list, nats, percent, thousands};
use bitkv_record::{HeadRow, WeightKind};
use std::collections::{BTreeMap, BTreeSet};

const MODEL: &str = "SmolLM2-135M-Instruct";
/// The bound of focused heads, bits.
const FOCUSED: f64 = 1.5;
const BUDGETS: [&str; 5] = ["0.5", "0.25", "0.1", "0.0625", "0.03125"];
/// The policies of the table, with recency as the baseline of differences.
const POLICIES: [&str; 12] = [
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+window-attention",
    "uniform+expected-attention",
    "uniform+kvzip",
    "uniform+key-diff",
    "entropy+window-attention",
    "pyramid+window-attention",
    "adaptive+window-attention",
    "cake+window-attention",
    "uniform+random",
    "uniform+oracle",
];

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("smollm2-scorers-and-allocators");
    let heads = &rows::<HeadRow>(&newest("smollm2-heads"), "heads.csv");
    assert!(
        heads.iter().filter(|row| row.model == MODEL).all(|row| row.weights == Some(WeightKind::Control))
    );
    let sentences = vec![entropies(heads), best(run), allocators(run)];
    Finding { title: "A real model: SmolLM2", sentences, tables: vec![kl_table(run)] }
}

/// Returns the mean entropy of every head at a length.
fn profile(heads: &[HeadRow], length: usize) -> Vec<f64> {
    let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for row in heads.iter().filter(|row| row.model == MODEL && row.context == length) {
        values.entry((row.layer, row.head)).or_default().extend(row.entropy_bits);
    }
    values.values().map(|of_head| mean(of_head)).collect()
}

fn entropies(heads: &[HeadRow]) -> Sentence {
    let own = heads.iter().filter(|row| row.model == MODEL);
    let lengths: Vec<usize> = own.map(|row| row.context).collect::<BTreeSet<_>>().into_iter().collect();
    let (first, last) = (lengths[0], lengths[lengths.len() - 1]);
    let profiles = [profile(heads, first), profile(heads, last)];
    let focused =
        |bits: &Vec<f64>| bits.iter().filter(|bits| **bits < FOCUSED).count() as f64 / bits.len() as f64;
    Sentence::new(
        "{}, a dense Llama with {} heads, has {} of its heads below {} bits at {} tokens and {} at {}; their mean \
         entropy is {} and {} bits.",
        &[
            &MODEL,
            &profiles[0].len(),
            &percent(focused(&profiles[0])),
            &FOCUSED,
            &first,
            &percent(focused(&profiles[1])),
            &thousands(last),
            &format!("{:.2}", mean(&profiles[0])),
            &format!("{:.2}", mean(&profiles[1])),
        ],
        [Check::new(profiles.iter().all(|heads| heads.len() == 270), "every head has an entropy".to_owned())],
    )
}

fn kl(run: &Run, policy: &str, budget: &str) -> f64 {
    run.kl(&Cell::new(MODEL, policy, budget))
}

fn best(run: &Run) -> Sentence {
    let mut found: Vec<(String, f64)> = POLICIES
        .into_iter()
        .filter(|policy| policy.starts_with("uniform+") && !policy.ends_with("oracle"))
        .map(|policy| (policy.trim_start_matches("uniform+").to_owned(), kl(run, policy, "0.25")))
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let described = list(found.iter().map(|(name, kl)| format!("`{name}` ({})", nats(*kl))));
    Sentence::new(
        "With a quarter of the cache and uniform budgets, its scorers by rising KL are {}; the oracle has {}.",
        &[&described, &nats(kl(run, "uniform+oracle", "0.25"))],
        [Check::rising(&found)],
    )
}

fn allocators(run: &Run) -> Sentence {
    let differences = ["entropy", "pyramid", "adaptive", "cake"].map(|allocator| {
        let cell = |allocator: &str| Cell::new(MODEL, &format!("{allocator}+window-attention"), "0.25");
        format!("`{allocator}` {}", run.kl_difference(&cell(allocator), &cell("uniform")).marked())
    });
    Sentence::new(
        "With window attention at that budget, the KL of other allocators minus that of uniform budgets is {}.",
        &[&list(differences)],
        [],
    )
}

fn kl_table(run: &Run) -> String {
    let row = |policy: &str| {
        let values = BUDGETS.map(|budget| nats(kl(run, policy, budget)));
        [format!("`{policy}`")].into_iter().chain(values).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = POLICIES.into_iter().map(row).collect();
    table("SmolLM2 (control): KL at|1/2|1/4|1/10|1/16|1/32", &rows)
}

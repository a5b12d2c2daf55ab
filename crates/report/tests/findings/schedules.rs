//! When to evict, and at which positions kept keys should be.

use crate::cells::{Cell, Difference, MODELS, Run};
use crate::finding::{Finding, table};
use crate::sentence::{Check, Sentence, list, signed};
use bitkv_record::{Positions, When};

const BUDGET: &str = "0.2";
const WHEN: [&str; 8] = [
    "uniform+recency",
    "uniform+accumulated-attention",
    "uniform+tova",
    "uniform+window-attention",
    "uniform+key-diff",
    "uniform+r-kv",
    "adaptive+window-attention",
    "uniform+random",
];
const WHERE: [&str; 5] = [
    "uniform+recency",
    "uniform+window-attention",
    "adaptive+window-attention",
    "uniform+random",
    "uniform+oracle",
];

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    let run = &Run::newest("schedules");
    let sentences = vec![chunks(run), decoding(run), rotated(run)];
    Finding { title: "When, and where", sentences, tables: vec![all_changes(run)] }
}

/// Returns the table of the changes of KL against eviction once at original positions.
fn all_changes(run: &Run) -> String {
    let chunked = changes(run, &WHEN, |cell| cell.when(When::CHUNKED));
    let rotated = changes(run, &WHERE, |cell| cell.positions(Positions::Rerotated));
    let marked_changes = |list: &[(String, [Difference; 2])], name: &str| {
        let differences = list.iter().find(|(other, _)| other == name).map(|(_, differences)| *differences);
        differences.map_or_else(|| [String::new(), String::new()], |both| both.map(|d| d.marked()))
    };
    let rows = changes(run, &WHEN, |cell| cell.when(When::DECODING)).into_iter().map(|(name, decoding)| {
        let decoding = decoding.map(|d| d.marked());
        let (chunked, rotated) = (marked_changes(&chunked, &name), marked_changes(&rotated, &name));
        [&[name], &chunked[..], &decoding[..], &rotated[..]].concat()
    });
    table(
        "KL at 0.2 minus that of eviction once|chunks: tiny-mha|tiny-gqa|decoding: \
         tiny-mha|tiny-gqa|re-rotated: tiny-mha|tiny-gqa",
        &rows.collect::<Vec<_>>(),
    )
}

/// Returns the number of cells that failed, which the text after the findings quotes.
pub(crate) fn failures() -> Sentence {
    let run = Run::newest("schedules");
    let failed: Vec<_> = run.rows().filter(|row| row.error.is_some()).collect();
    let oracles = failed.iter().all(|row| row.policy == "uniform+oracle" && row.axes.when != When::ONCE);
    Sentence::new(
        "{} cells of `schedules` fail by design: an oracle needs the attention of later tokens, which a \
         cache that evicts in chunks or repeatedly has not seen yet.",
        &[&failed.len()],
        [Check::new(oracles, "other cells fail too")],
    )
}

/// Returns the change of KL by policy, one for each model, in the order of rising means over both.
fn changes(run: &Run, policies: &[&str], other: impl Fn(Cell) -> Cell) -> Vec<(String, [Difference; 2])> {
    let change = |policy: &&str| {
        let found = MODELS.map(|model| {
            let cell = Cell::new(model, policy, BUDGET);
            run.kl_difference(&other(cell.clone()), &cell)
        });
        (format!("`{}`", policy.trim_start_matches("uniform+")), found)
    };
    let mut found: Vec<_> = policies.iter().map(change).collect();
    found.sort_by(|a, b| sum(&a.1).total_cmp(&sum(&b.1)));
    found
}

fn sum(found: &[Difference; 2]) -> f64 {
    found[0].mean + found[1].mean
}

fn listed(found: &[(String, [Difference; 2])]) -> String {
    let change = |(name, found): &(String, [Difference; 2])| {
        format!("{name} ({} and {})", signed(found[0].mean), signed(found[1].mean))
    };
    list(found.iter().map(change))
}

fn chunks(run: &Run) -> Sentence {
    let found = changes(run, &WHEN, |cell| cell.when(When::CHUNKED));
    let all: Vec<(&String, f64, &str)> = found
        .iter()
        .flat_map(|(name, d)| [(name, d[0].mean, MODELS[0]), (name, d[1].mean, MODELS[1])])
        .collect();
    let least = all.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let most = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    Sentence::new(
        "At a fifth, evicting in chunks instead of once changes KL by {} ({}, {}) to {} ({}, {}) nats.",
        &[&signed(least.1), least.0, &least.2, &signed(most.1), most.0, &most.2],
        [Check::new(least.1 <= most.1, "")],
    )
}

fn decoding(run: &Run) -> Sentence {
    let found = changes(run, &WHEN, |cell| cell.when(When::DECODING));
    let all_rise = found.iter().all(|(_, d)| d.iter().all(|d| d.mean > 0.0));
    Sentence::new(
        "Evicting while decoding raises the mean KL of all policies with {} and {}: least that of {}, and \
         most that of {}.",
        &[&MODELS[0], &MODELS[1], &listed(&found[..3]), &listed(&found[found.len() - 3..])],
        [Check::new(all_rise, format!("not all rise: {}", listed(&found)))],
    )
}

fn rotated(run: &Run) -> Sentence {
    let found = changes(run, &WHERE, |cell| cell.positions(Positions::Rerotated));
    let lower: Vec<&str> = found
        .iter()
        .filter(|(_, d)| d.iter().any(Difference::below))
        .map(|(name, _)| name.as_str())
        .collect();
    let deployed =
        found.iter().filter(|(name, _)| name != "`random`").all(|(_, d)| d.iter().all(|d| d.mean > 0.0));
    Sentence::new(
        "Re-rotating keys to their places in the compressed cache raises the mean KL of all policies except \
         random choice: {}; no interval is below zero.",
        &[&listed(&found)],
        [Check::new(
            lower.is_empty() && deployed,
            format!("{}; below zero: {}", listed(&found), list(&lower)),
        )],
    )
}

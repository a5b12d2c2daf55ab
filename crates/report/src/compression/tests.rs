use super::*;
use bitkv_record::{CellRow, Task};

/// A cell in which every number is easy to follow.
fn cell(policy: &str, budget: f64, text: &str, nll: f64, targets: usize) -> CellRow {
    let kept = (1000.0 * budget) as usize;
    CellRow {
        model: "m".into(),
        policy: policy.into(),
        oracle: false,
        conserving: true,
        budget,
        text: text.into(),
        register: "r".into(),
        task: Task::Text,
        context_tokens: 100,
        asked_tokens: kept,
        kept_tokens: kept,
        full_tokens: 1000,
        cache_bytes: kept as u64 * 64,
        full_bytes: 64_000,
        attention_preservation: Some(0.9),
        retained_mass: Some(0.8),
        kl_nats: Some(if budget == 1.0 { 0.0 } else { 0.25 }),
        agreement: Some(1.0),
        nll_nats: Some(nll),
        targets,
        bytes_scored: Some(4 * targets),
        correct: None,
        questions: 0,
    }
}

fn recall(policy: &str, budget: f64, correct: usize) -> CellRow {
    CellRow {
        task: Task::Recall,
        correct: Some(correct),
        questions: 10,
        kl_nats: Some(9.0),
        nll_nats: Some(9.0),
        ..cell(policy, budget, "facts", 9.0, 5)
    }
}

/// Three texts whose NLL rises by exactly 0.5 nats under eviction.
fn grid() -> Vec<CellRow> {
    let texts = [("a", 1.0, 10), ("b", 2.0, 20), ("c", 3.0, 70)];
    let full = texts.map(|(text, nll, targets)| cell(FULL, 1.0, text, nll, targets));
    let half = texts.map(|(text, nll, targets)| cell("uniform+recency", 0.5, text, nll + 0.5, targets));
    let mut cells = [full.to_vec(), half.to_vec()].concat();
    cells.extend([recall(FULL, 1.0, 10), recall("uniform+recency", 0.5, 5)]);
    cells
}

fn at_half(cells: &[CellRow]) -> Vec<PolicySummary> {
    let model = summaries(cells, 1).remove(0);
    model.budgets.into_iter().find(|b| b.budget == 0.5).unwrap().policies
}

#[test]
fn perplexity_weighs_texts_by_their_targets() {
    let policies = at_half(&grid());
    let nll = (1.0 * 10.0 + 2.0 * 20.0 + 3.0 * 70.0) / 100.0;
    assert_eq!(policies[0].policy, FULL);
    assert!((policies[0].perplexity.unwrap() - f64::exp(nll)).abs() < 1e-12);
    assert!((policies[1].perplexity.unwrap() - f64::exp(nll + 0.5)).abs() < 1e-12);
    let bits = nll / std::f64::consts::LN_2 / 4.0;
    assert!((policies[0].bits_per_byte.unwrap() - bits).abs() < 1e-12);
}

#[test]
fn a_constant_paired_difference_has_an_interval_of_no_width() {
    let policies = at_half(&grid());
    let delta = policies[1].delta_nll.unwrap();
    assert!((delta.value - 0.5).abs() < 1e-12);
    let (low, high) = delta.interval.unwrap();
    assert!((low - 0.5).abs() < 1e-9 && (high - 0.5).abs() < 1e-9, "{low} {high}");
    assert_eq!(policies[0].delta_nll, None, "the reference is not compared with itself");
}

#[test]
fn a_varying_difference_is_paired_by_text_not_by_order() {
    let mut cells = grid();
    for (cell, delta) in cells[3..6].iter_mut().zip([-0.5, 0.0, 0.5]) {
        cell.nll_nats = cell.nll_nats.map(|nll| nll + delta);
    }
    cells[3..6].reverse();
    let delta = at_half(&cells)[1].delta_nll.unwrap();
    let (low, high) = delta.interval.unwrap();
    // Unpaired, the texts' own differences would spread far beyond the smallest and largest difference.
    assert!((delta.value - 0.5).abs() < 1e-12);
    assert!((0.0..0.5).contains(&low) && high > 0.5 && high <= 1.0, "{low} {high}");
}

#[test]
fn recall_rows_feed_the_recall_column_only() {
    let policies = at_half(&grid());
    assert_eq!(policies[1].kl.unwrap().value, 0.25);
    let recall = policies[1].recall.unwrap();
    assert_eq!((recall.value, recall.interval), (0.5, None), "one context has no interval");
}

#[test]
fn recall_has_an_interval_over_contexts() {
    let mut cells = grid();
    for (i, correct) in [3, 4, 6, 7].into_iter().enumerate() {
        cells.push(CellRow { text: format!("facts-{i}"), ..recall("uniform+recency", 0.5, correct) });
    }
    let recall = at_half(&cells)[1].recall.unwrap();
    let (low, high) = recall.interval.unwrap();
    assert!((recall.value - 0.5).abs() < 1e-12);
    assert!((0.3..0.45).contains(&low) && (0.55..=0.7).contains(&high), "{low} {high}");
}

#[test]
fn without_the_full_cache_there_is_no_difference() {
    let cells: Vec<CellRow> = grid().into_iter().filter(|cell| cell.policy != FULL).collect();
    let policies = at_half(&cells);
    assert_eq!((policies.len(), policies[0].delta_nll), (1, None));
}

#[test]
fn a_policy_that_keeps_everything_at_budget_1_can_stand_for_the_full_cache() {
    let mut cells = grid();
    cells.iter_mut().filter(|c| c.policy == FULL).for_each(|c| c.policy = "uniform+recency".into());
    let policies = at_half(&cells);
    assert_eq!(policies[0].policy, FULL);
    assert!((policies[1].delta_nll.unwrap().value - 0.5).abs() < 1e-12);
}

#[test]
fn tables_mark_oracles_and_rules_that_do_not_keep_the_budget() {
    let mut cells = grid();
    let base = cell("rule", 0.5, "a", 1.5, 10);
    cells.push(CellRow { oracle: true, conserving: false, kept_tokens: 740, ..base });
    let tables = tables(&summaries(&cells, 1)[0]);
    assert_eq!(tables.len(), 1, "budget 1 is the self-check, not a table");
    let text = tables[0].to_markdown();
    assert!(text.contains("m: 2x compression"), "{text}");
    assert!(text.contains("| rule † ‡ | 74.0 |"), "{text}");
    let sizes = sizes(&summaries(&cells, 1)[0]).to_markdown();
    assert!(sizes.contains("| rule † ‡ | 500 | 740 |") && sizes.contains("| **2x asked** |"), "{sizes}");
    assert!(text.contains("† ") && text.contains("‡ "), "{text}");
    assert!(!text.contains("NaN"), "{text}");
}

/// A run with every kind of policy; KL falls from policy to policy.
fn kinds() -> Vec<CellRow> {
    let policies =
        ["uniform+recency", "uniform+window", "uniform+random", "entropy-global", "uniform+oracle"];
    let evicting = policies.iter().zip(1..).map(|(policy, rank)| CellRow {
        oracle: *policy == "uniform+oracle",
        conserving: *policy != "entropy-global",
        kl_nats: Some(1.0 / f64::from(rank)),
        ..cell(policy, 0.2, "a", 1.5, 10)
    });
    [cell(FULL, 1.0, "a", 1.0, 10)].into_iter().chain(evicting).collect()
}

#[test]
fn policies_are_grouped_by_kind_and_ordered_by_kl() {
    let text = tables(&summaries(&kinds(), 1)[0])[0].to_markdown();
    let order = [
        "| full |",
        "**published rules**",
        "| entropy-global ‡ |",
        "**rivals**",
        "| uniform+window |",
        "| uniform+recency |",
        "**controls**",
        "| uniform+random |",
        "**oracle, a reference**",
        "| uniform+oracle † |",
    ];
    let at: Vec<usize> =
        order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"))).collect();
    assert!(at.is_sorted(), "{text}");
    assert!(
        text.contains("| full | 100.0 | 0 | 100.0 |"),
        "the reference has no interval and no mark\n{text}"
    );
}

#[test]
fn a_terminal_shows_the_best_of_each_kind() {
    let text = brief(&summaries(&kinds(), 1)[0]).to_terminal();
    assert!(text.starts_with("m: cost of compression (full cache: perplexity 2.718)"), "{text}");
    assert!(text.contains("uniform+window") && !text.contains("uniform+recency"), "{text}");
    assert!(text.contains("entropy-global ‡     5x     5.00x               0.250"), "{text}");
    assert_eq!(text.lines().count(), 7);
}

#[test]
fn controls_and_bounds_are_drawn_in_grey_and_the_legend_follows_the_table() {
    let charts = charts(&summaries(&kinds(), 1)[0]);
    let legend: Vec<(&str, bool)> = charts[0].series.iter().map(|s| (s.label.as_str(), s.faint)).collect();
    let expected = [
        ("entropy-global ‡", false),
        ("uniform+window", false),
        ("uniform+recency", false),
        ("uniform+random", true),
        ("uniform+oracle †", true),
    ];
    assert_eq!(legend, expected);
    assert!(charts[0].series.iter().all(|s| s.points.len() == 1), "budget 1 is not drawn");
}

#[test]
fn a_recall_that_is_nowhere_above_zero_is_not_drawn() {
    let mut cells = grid();
    cells.iter_mut().filter(|c| c.task == Task::Recall).for_each(|c| c.correct = Some(0));
    assert_eq!(super::charts(&summaries(&cells, 1)[0]).len(), 2, "KL and agreement");
}

#[test]
fn one_text_gives_values_without_intervals() {
    let cells = [cell(FULL, 1.0, "a", 1.0, 10), cell("p", 0.5, "a", 1.25, 10)];
    let policies = at_half(&cells);
    let delta = policies[1].delta_nll.unwrap();
    assert_eq!((delta.value, delta.interval), (0.25, None));
    assert!(tables(&summaries(&cells, 1)[0])[0].to_markdown().contains("| 0.2500 | - |"));
}

#[test]
fn the_self_check_finds_a_full_budget_that_changed_something() {
    let mut cells = grid();
    cells.push(cell("p", 1.0, "a", 1.0, 10));
    assert_eq!(self_check(&cells), SelfCheck { checked: 4, failures: vec![] });
    cells[8].agreement = Some(0.5);
    let check = self_check(&cells);
    assert_eq!(check.failures.len(), 1);
    assert!(check.failures[0].contains('p') && check.failures[0].contains("0.5"), "{check:?}");
}

#[test]
fn curves_run_over_the_fraction_really_kept() {
    let mut cells = grid();
    cells[3].kept_tokens = 800;
    let charts = charts(&summaries(&cells, 1)[0]);
    let kl = &charts[0].series[0];
    assert_eq!(kl.label, "uniform+recency");
    assert!((kl.points[0].x - 0.6).abs() < 1e-12 && kl.points[0].y == 0.25);
    assert_eq!(charts.len(), 3, "KL, agreement and recall");
}

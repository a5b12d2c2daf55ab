//! The report of a run of policies by budgets, on rows whose numbers can be checked by hand.

mod cells;
mod markup;
mod rendered;

use bitkv_record::{AskedBudget, Axes, Definition, GridRow, KvFormat, ScoredTask, TaskKind, TimingRow, When};
use bitkv_report::{Run, figures, render_html, render_markdown, render_terminal};

use cells::row;
use rendered::{after, in_order, manifest};

const DEFINITION: &str = r#"
analysis = '''
Do wide heads need more?

Refuted if the interval has zero in it.'''
[[experiment]]
name = "first"
analysis = "One model."
models = ["m"]
texts = "evaluation"
context = 100
horizon = 8
budgets = [1.0, 0.5, "10 tokens"]
policies = ["full", "uniform+recency", "entropy+recency", "uniform+random", "uniform+oracle", "entropy-global"]
"#;

/// Rows of nine texts at the budgets 1.0, 0.5 and 10 tokens. `entropy` is better than `uniform` by exactly a
/// quarter of a nat on each text. Three texts each have a KL of 1, 2 and 6 under `uniform`. With
/// `interval_and_p` of testdata/statistics/make.py, the interval of their mean is 1.2388 to 5.3042.
fn grid() -> Vec<GridRow> {
    let texts = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let mut rows = Vec::new();
    for (text, kl) in texts.into_iter().zip([1.0, 2.0, 6.0].into_iter().cycle()) {
        rows.push(row("full", "1.0", text, 0.0));
        rows.push(row("uniform+recency", "1.0", text, 0.0));
        for (budget, factor) in [("0.5", 1.0), ("10 tokens", 2.0)] {
            rows.push(row("uniform+recency", budget, text, factor * kl));
            rows.push(row("entropy+recency", budget, text, factor * kl - 0.25));
            rows.push(row("uniform+random", budget, text, factor * kl + 1.0));
            rows.push(row("uniform+oracle", budget, text, 0.125));
            rows.push(row("entropy-global", budget, text, 7.0));
        }
    }
    rows
}

fn markdown(rows: &[GridRow]) -> String {
    with(rows, &[], render_markdown)
}

fn with(rows: &[GridRow], timings: &[TimingRow], render: fn(&Run<'_>) -> String) -> String {
    rendered::render_rows(DEFINITION, rows, timings, render)
}

#[test]
fn the_refutation_comes_before_the_numbers() {
    let text = markdown(&grid());
    in_order(
        &text,
        &[
            "# Experiments: first",
            "revision abc123",
            "Do wide heads need more?",
            "Refuted if the interval has zero in it.",
            "## Experiment first",
            "One model.",
            "Self-check: in all 18 cells",
            "### m",
            "KL, nats",
            "KL minus that of uniform with the same scorer",
            "KL minus that of uniform+random",
            "figures/first-m-9-texts-kl-against-the-entries-kept.svg",
            "other measures",
            "agreement, %",
            "## Limits",
            "bitkv run first.toml",
        ],
    );
}

#[test]
fn policies_are_grouped_by_role_with_the_mean_over_texts() {
    let text = markdown(&grid());
    let table = after(&text, "**first, m, 9 texts: KL, nats");
    in_order(
        table,
        &[
            "| policy | 0.5 | 10 tokens |",
            "| full | 0 [0, 0] | 0 [0, 0] |",
            "**published rules**",
            "| entropy-global ‡ | 7.00 [7.00, 7.00] |",
            "**methods**",
            // (1 + 2 + 6) / 3 minus a quarter, then without it.
            "| entropy+recency | 2.75 [0.989, 5.05] | 5.75 ",
            "| uniform+recency | 3.00 [1.24, 5.30] | 6.00 ",
            "**controls**",
            "| uniform+random | 4.00 ",
            "**oracle, a reference**",
            "| uniform+oracle † | 0.125 [0.125, 0.125] |",
            "† ",
            "‡ ",
        ],
    );
}

#[test]
fn differences_are_paired_by_text() {
    let mut rows = grid();
    rows.reverse();
    let text = markdown(&rows);
    let uniform = after(&text, "KL minus that of uniform with the same scorer");
    let uniform = &uniform[..uniform.find("A value below zero").unwrap()];
    assert!(
        uniform.contains("| entropy+recency | -0.250 [-0.250, -0.250] \\* | -0.250 [-0.250, -0.250] \\* |"),
        "{uniform}"
    );
    assert!(!uniform.contains("| uniform+"), "uniform has no counterpart\n{uniform}");
    let random = after(&text, "KL minus that of uniform+random");
    assert!(random.contains("| uniform+recency | -1.00 [-1.00, -1.00] \\* |"), "{random}");
    assert!(
        !random.contains("| uniform+random |")
            || random.find("| uniform+random |") > random.find("A value below zero")
    );
}

#[test]
fn seeds_of_a_text_count_as_one() {
    let mut rows = grid();
    let again = rows.iter().filter(|row| row.policy == "uniform+random").map(|row| GridRow {
        seed: 1,
        kl_nats: row.kl_nats.map(|kl| kl + 2.0),
        ..row.clone()
    });
    let again: Vec<GridRow> = again.collect();
    rows.extend(again);
    let text = markdown(&rows);
    let table = after(&text, "**first, m, 9 texts: KL, nats");
    assert!(
        table.contains("| uniform+random (mean of 2 draws) | 5.00 [3.24, 7.30] |"),
        "mean of 4 and 6\n{table}"
    );
}

#[test]
fn the_worst_register_is_named() {
    let text = markdown(&grid());
    let table = after(&text, "the kind of text (register) with the highest KL");
    assert!(table.contains("| uniform+recency | code 6.00 | code 12.0 |"), "{table}");
    let one: Vec<GridRow> = grid().into_iter().filter(|row| row.register == "prose").collect();
    assert!(!markdown(&one).contains("(register) with"));
}

#[test]
fn failures_are_listed_and_in_no_table() {
    let mut rows = grid();
    for row in rows.iter_mut().filter(|row| row.policy == "uniform+recency" && row.text == "c") {
        *row = GridRow { error: Some("too long by 3".into()), kl_nats: None, agreement: None, ..row.clone() };
    }
    let text = markdown(&rows);
    assert!(text.contains("3 of 108 cells failed"), "{text}");
    assert!(text.contains("too long by 3 (cells: 3, first uniform+recency at 1.0 on m, text c)"), "{text}");
    rows.iter_mut().for_each(|row| {
        row.axes = Axes { when: When::DECODING, kv: KvFormat::Int8, ..row.axes };
    });
    assert!(markdown(&rows).contains("on m, text c, eviction decoding-16, KV int8)"), "{}", markdown(&rows));
    let table = after(&text, "**first, m, 9 texts: KL, nats");
    assert!(table.contains("| uniform+recency | 2.62 [0.841, 9.90] |"), "{table}");
}

#[test]
fn a_full_budget_that_changes_something_is_reported_and_shown() {
    let mut rows = grid();
    rows[1].kl_nats = Some(0.5);
    let text = markdown(&rows);
    assert!(text.contains("Self-check FAILED: 1 of 18 cells"), "{text}");
    assert!(text.contains("| policy | 1.0 | 0.5 | 10 tokens |"), "{text}");
    // Quantisation may change something at a full budget: that is not a failure.
    rows[1].axes.kv = KvFormat::Int4;
    let text = markdown(&rows);
    assert!(text.contains("Self-check: in all 17 cells"), "{text}");
    in_order(
        &text,
        &["### m: side by side", "| policy | KV f16 | KV int4 |", "### m, KV f16", "### m, KV int4"],
    );
}

#[test]
fn answers_are_counted_by_task_length_and_depth() {
    let mut rows = Vec::new();
    for (i, (correct, depth)) in [(4, 0.0), (2, 0.3), (1, 0.9), (1, 1.0)].repeat(2).into_iter().enumerate() {
        for (policy, budget, correct) in [("full", "1.0", 4), ("uniform+recency", "0.5", correct)] {
            let base = row(policy, budget, &format!("passkey-aware-100-{i:02}-00"), 0.0);
            rows.push(GridRow {
                task: ScoredTask { kind: TaskKind::Passkey, aware: true },
                kl_nats: None,
                agreement: None,
                nll_nats: None,
                correct: Some(correct),
                questions: 4,
                depth: Some(depth),
                ..base
            });
        }
    }
    let text = markdown(&rows);
    let caption = "first, m: passkey in 8 contexts of 100 tokens, the policy sees the question";
    let table = after(&text, caption);
    // Twice (4 + 2 + 1 + 1) of 32.
    in_order(table, &["| full | 100.0 [100.0, 100.0] |", "| uniform+recency | 50.0 [22.6, 98.0] |"]);
    let depths = after(&text, "answers right by depth");
    in_order(depths, &["| 0 to 25 % |", "**budget 0.5**", "| uniform+recency | 100.0 | 50.0 | - | 25.0 |"]);
    assert!(!text.contains("With 8 texts"), "contexts are not counted as texts");
}

#[test]
fn variants_are_labelled_by_the_axes_that_differ() {
    let mut rows = grid();
    rows.extend(grid().into_iter().map(|row| GridRow {
        axes: Axes { when: When::CHUNKED, ..row.axes },
        kl_nats: row.kl_nats.map(|kl| 2.0 * kl),
        ..row
    }));
    let text = markdown(&rows);
    assert!(text.contains("### m, eviction once") && text.contains("### m, eviction chunked-128"), "{text}");
    let side = after(&text, "### m: side by side");
    in_order(
        side,
        &[
            "| policy | eviction once | eviction chunked-128 |",
            "**budget 0.5**",
            "| uniform+recency | 3.00 [1.24, 5.30] | 6.00 [2.48, 10.6] |",
        ],
    );
}

#[test]
fn times_have_a_table_if_they_were_measured() {
    let timing = |text: &str, seconds| TimingRow {
        key: "0".repeat(16),
        experiment: "first".into(),
        model: "m".into(),
        policy: "uniform+recency".into(),
        budget: AskedBudget::Fraction(0.5),
        axes: Axes::default(),
        text: text.into(),
        plan_seconds: seconds,
        continuation_seconds: 0.5,
        decode_seconds_per_token: None,
        peak_rss_bytes: Some(2_000_000),
        cache_bytes: 10,
    };
    let text = with(&grid(), &[timing("a", 0.001), timing("b", 0.003)], render_markdown);
    assert!(text.contains("| uniform+recency | 2.00 | 500 | - | 2.000 |"), "{text}");
    assert!(!markdown(&grid()).contains("mean times"));
}

#[test]
fn a_terminal_and_a_page_say_the_same() {
    let terminal = with(&grid(), &[], |run| render_terminal(run, 120));
    in_order(
        &terminal,
        &["== first ==", "Self-check", "mean over 9 texts: KL, nats", "uniform+recency", "runs/x"],
    );
    let row = terminal.lines().find(|line| line.starts_with("uniform+recency")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["uniform+recency", "3.00", "6.00"]);
    let mut rows = grid();
    rows[0].model = "m<script>&\"|".into();
    rows[1].error = Some("<b>why</b> & how".into());
    let page = with(&rows, &[], render_html);
    markup::check(&page);
    assert!(
        page.contains("<h2 id=") && page.contains("3.00 [1.24, 5.30]") && page.contains("<svg"),
        "{page}"
    );
}

#[test]
fn the_report_refers_to_its_figures() {
    let definition = Definition::from_toml(DEFINITION, "first.toml").unwrap();
    let (manifest, rows) = (manifest(), grid());
    let input = Run {
        definition: &definition,
        manifest: &manifest,
        rows: &rows,
        timings: &[],
        heads: &[],
        memory: &[],
        folder: None,
    };
    let figures = figures(&input);
    assert_eq!(figures.len(), 2, "KL and agreement");
    assert!(render_markdown(&input).contains(&format!("]({})", figures[0].0)));
    // Half of the entries kept is the middle of the axis, and the full budget is not drawn.
    assert!(figures[0].1.contains("points=\"306,"), "{}", figures[0].1);
    assert!(!figures[0].1.contains("full:"));
}

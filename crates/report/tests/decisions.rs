//! The tables that decide the question of a definition, on rows whose numbers can be checked by hand.

mod cells;
mod rendered;

use bitkv_record::{Axes, Form, GridRow, KvFormat, PolicyRole, ScoredTask, When};
use bitkv_report::render_markdown;
use cells::row;
use rendered::{after, in_order};

const DEFINITION: &str = r#"
analysis = "Refuted if not."
[[experiment]]
name = "first"
models = ["m"]
forms = ["true", "plain-llama"]
texts = "evaluation"
context = 300
horizon = 60
budgets = [1.0, 0.5, 0.25]
policies = ["full", "uniform+p", "uniform+q{x='a', y=2}", "uniform+random", "uniform+oracle", "entropy-global"]
pairs = [["uniform + p", "uniform+q{y=2,x='a'}"], ["uniform+p", "uniform+random"]]
when = ["once", "chunked"]
"#;
/// The second policy as rows write it.
const Q: &str = "uniform+q{x=\"a\",y=2}";

fn markdown(rows: &[GridRow]) -> String {
    rendered::render_rows(DEFINITION, rows, &[], render_markdown)
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    let found = text.lines().find(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("{start} in\n{text}"))
}

/// Enough texts for intervals and marks. The interval of values that are `m + d` and `m - d` in turn is
/// Student's, because they are symmetric: m -+ 2.365 d sqrt(8 / 7) / sqrt(8) = m -+ 0.894 d.
const TEXTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Returns the texts with 0 and 1 in turn.
fn texts() -> impl Iterator<Item = (&'static str, usize)> {
    TEXTS.into_iter().map(|text| (text, in_turn(text)))
}

/// Returns 0 for every second text and 1 for the others.
fn in_turn(text: &str) -> usize {
    TEXTS.iter().position(|other| *other == text).unwrap() % 2
}

/// Rows of two policies: the KL of `p` is below that of `q` by 1 on every second text and by 3 on the others.
fn pair() -> Vec<GridRow> {
    let rows = |(text, turn)| [row("uniform+p", "0.5", text, 1.0), row(Q, "0.5", text, [2.0, 4.0][turn])];
    texts().flat_map(rows).collect()
}

/// Rows of one context. Each of `counts` is a row with its right answers and its questions.
fn answers(policy: &str, task: &str, text: &str, counts: &[(usize, usize)]) -> Vec<GridRow> {
    let task: ScoredTask = task.parse().unwrap();
    let answer_row = |(depth, (correct, questions)): (usize, &(usize, usize))| GridRow {
        task,
        register: task.kind.to_string(),
        kl_nats: None,
        agreement: None,
        nll_nats: None,
        correct: Some(*correct),
        questions: *questions,
        depth: Some(depth as f64 / 4.0),
        ..row(policy, if policy == "full" { "1.0" } else { "0.5" }, text, 0.0)
    };
    counts.iter().enumerate().map(answer_row).collect()
}

#[test]
fn a_pair_of_the_definition_is_subtracted_text_by_text() {
    let text = markdown(&pair());
    let table = after(&text, "pairs of the definition, first minus second");
    in_order(
        table,
        &[
            "| budget | KL, nats | agreement, percentage points |",
            "uniform+p minus uniform+q",
            // Differences of -1 and -3.
            "| 0.5 | -2.00 [-2.89, -1.11] \\* | 0.0 [0.0, 0.0] |",
        ],
    );
    // The second pair has a policy without rows.
    assert!(table.contains("The pair's policy uniform+random was not measured under this text."), "{table}");
}

#[test]
fn an_interval_that_contains_zero_is_not_marked() {
    let mut rows = pair();
    rows.iter_mut().filter(|row| row.kl_nats == Some(4.0)).for_each(|row| row.kl_nats = Some(0.5));
    let text = markdown(&rows);
    let table = after(&text, "pairs of the definition");
    // Differences -1 and 0.5.
    assert!(table.contains("| 0.5 | -0.250 [-0.920, 0.420] |"), "{table}");
}

#[test]
fn answers_are_summed_by_context_before_they_are_averaged() {
    let mut rows = answers("full", "recall", "recall-100-00", &[(1, 1), (9, 9)]);
    rows.extend(answers("uniform+p", "recall", "recall-100-00", &[(1, 1), (3, 9)]));
    rows.extend(answers("uniform+random", "recall", "recall-100-00", &[(0, 1), (1, 9)]));
    // Another control that is measured first is not the random baseline.
    let mut other = answers("uniform+spread", "recall", "recall-100-00", &[(0, 1), (0, 9)]);
    other.iter_mut().for_each(|row| row.role = PolicyRole::Control);
    rows.splice(0..0, other);
    let text = markdown(&rows);
    let table = after(&text, "first, m: recall in 1 contexts of 100 tokens: answers right");
    // 4 of 10, where the mean of the two depths would be two thirds.
    assert!(table.contains("| uniform+p | 40.0 |"), "{table}");
    let pairs = after(&text, "pairs of the definition, answers right, percentage points");
    in_order(pairs, &["uniform+p minus uniform+random", "| recall in 1 contexts of 100 tokens | 30.0 |"]);
    let random = after(&text, "answers right minus that of uniform+random, percentage points");
    in_order(random, &["recall in 1 contexts", "| uniform+p | 30.0 |"]);
}

#[test]
fn questions_of_one_context_count_as_one() {
    let mut rows = Vec::new();
    for (context, turn) in texts() {
        let right = [[1, 1, 1], [0, 0, 1]][turn];
        for (number, right) in right.into_iter().enumerate() {
            let text = format!("needles-aware-100-{context}-{number:02}");
            rows.extend(answers("uniform+p", "needles-aware", &text, &[(right, 1)]));
        }
        rows.extend(answers("uniform+p", "needles", &format!("needles-100-{context}"), &[(0, 3)]));
    }
    let text = markdown(&rows);
    // Contexts have 3 of 3 and 1 of 3, as 24 questions they would have a narrower interval.
    let table = after(&text, "needles in 8 contexts of 100 tokens, the policy sees the question: answers");
    assert!(table.contains("| uniform+p | 66.7 [36.9, 96.5] |"), "{table}");
    let gain = after(&text, "when the policy sees the question, minus when it does not");
    assert!(gain.contains("| uniform+p | 66.7 [36.9, 96.5] \\* |"), "{gain}");
}

#[test]
fn answers_relative_to_the_full_cache_are_next_to_agreement() {
    let mut rows = pair();
    rows.extend(answers("full", "copy", "copy-100-00", &[(4, 8)]));
    rows.extend(answers("uniform+p", "copy", "copy-100-00", &[(1, 8)]));
    let text = markdown(&rows);
    let table = after(&text, "what is left of the full cache, %");
    // Agreement is 0.75 on both texts; 1 of 8 is a quarter of 4 of 8.
    in_order(table, &["| policy | agreement on text | copy 100 |", "| uniform+p | 75.0 | 25.0 |"]);
}

#[test]
fn seeds_in_the_text_of_a_policy_are_pooled() {
    let mut rows = pair();
    for (text, turn) in texts() {
        let (first, second) = [(2.0, 4.0), (3.0, 7.0)][turn];
        rows.push(row("uniform+random", "0.5", text, first));
        rows.push(GridRow { seed: 1, ..row("uniform+random{seed=1}", "0.5", text, second) });
    }
    let text = markdown(&rows);
    let table = after(&text, "**first, m, 8 texts: KL, nats");
    // Texts have the means 3 and 5.
    assert!(table.contains("| uniform+random (mean of 2 draws) | 4.00 [3.11, 4.89] |"), "{table}");
    assert!(!text.contains("seed=1"), "{text}");
    let pairs = after(&text, "uniform+p minus uniform+random (mean of 2 draws)");
    assert!(pairs.contains("| 0.5 | -3.00 [-3.89, -2.11] \\* |"), "{pairs}");
    let random = after(&text, "KL minus that of uniform+random, nats");
    assert!(random.contains("| uniform+p | -3.00 [-3.89, -2.11] \\* |"), "{random}");
}

#[test]
fn variants_are_subtracted_from_the_first_of_the_definition() {
    // Rows come with the second variant first.
    let chunked = pair().into_iter().map(|row| GridRow {
        axes: Axes { when: When::CHUNKED, ..row.axes },
        kl_nats: row.kl_nats.map(|kl| kl + [0.5, 1.0][in_turn(&row.text)]),
        ..row
    });
    let rows: Vec<GridRow> = chunked.chain(pair()).collect();
    let text = markdown(&rows);
    let table = after(&text, "KL minus that of the same policy with eviction once, nats");
    in_order(
        table,
        &["| policy | eviction chunked-128 |", "**budget 0.5**", "| uniform+p | 0.750 [0.527, 0.973] \\* |"],
    );
    let answered = |when, right| {
        let rows = answers("uniform+p", "copy", "copy-100-00", &[(right, 8)]);
        rows.into_iter().map(move |row| GridRow { axes: Axes { when, ..row.axes }, ..row })
    };
    let rows: Vec<GridRow> = answered(When::ONCE, 6).chain(answered(When::CHUNKED, 2)).collect();
    let text = markdown(&rows);
    let table =
        after(&text, "answers right minus that of the same policy with eviction once, percentage points");
    in_order(table, &["**copy in 1 contexts of 100 tokens, budget 0.5**", "| uniform+p | -50.0 |"]);
}

#[test]
fn the_order_of_policies_is_compared_between_forms() {
    let form_rows = |form: Form, kl: [(&str, f64); 4]| {
        let model = if form == Form::True { "m" } else { "m+plain-llama" };
        let rows = kl.into_iter().flat_map(move |(policy, kl)| {
            TEXTS.map(|text| GridRow {
                axes: Axes { form, ..Axes::default() },
                model: model.into(),
                ..row(policy, "0.5", text, kl)
            })
        });
        rows.collect::<Vec<GridRow>>()
    };
    let trained = [("uniform+p", 1.0), (Q, 2.0), ("uniform+random", 3.0), ("uniform+oracle", 0.5)];
    let plain = [("uniform+p", 1.0), (Q, 4.0), ("uniform+random", 3.0), ("uniform+oracle", 0.5)];
    let text = markdown(&[form_rows(Form::True, trained), form_rows(Form::PlainLlama, plain)].concat());
    let table = after(&text, "first, m: order of policies by mean KL in both forms");
    in_order(
        table,
        &[
            // Two of four ranks are exchanged: 1 - 6 * 2 / (4 * 15).
            "budget 0.5: rank correlation 0.800, 1 of 3 neighbours change places",
            "| uniform+oracle †, uniform+p | 0.500 [0.500, 0.500] \\* | 0.500 [0.500, 0.500] \\* | same |",
            "| 1.00 [1.00, 1.00] \\* | 3.00 [3.00, 3.00] \\* | same |",
            "uniform+random | 1.00 [1.00, 1.00] \\* | -1.00 [-1.00, -1.00] \\* | changes |",
        ],
    );
    assert!(text.contains("### m, form true") && text.contains("### m, form plain-llama"), "{text}");
    // Policies whose KL is 0 in both forms have no order, and two policies have no correlation.
    let unchanged = [("uniform+p", 0.0), (Q, 2.0), ("uniform+random", 0.0), ("uniform+oracle", 0.5)];
    let text = markdown(&[form_rows(Form::True, unchanged), form_rows(Form::PlainLlama, unchanged)].concat());
    let table = after(&text, "first, m: order of policies by mean KL in both forms");
    assert!(table.contains("budget 0.5: 0 of 1 neighbours change places"), "{table}");
}

#[test]
fn only_policies_that_may_keep_more_than_asked_are_marked() {
    let full = GridRow { conserving: false, ..row("full", "1.0", "a", 0.0) };
    let rows: Vec<GridRow> = pair().into_iter().chain([full]).collect();
    let text = markdown(&rows);
    assert!(!text.contains('‡'), "{text}");
    let shown = text.find("8 texts: entries kept, %").unwrap();
    assert!(shown > text.find("other measures").unwrap(), "entries kept need no table of their own");
    let rows: Vec<GridRow> = rows.into_iter().chain([row("entropy-global", "0.5", "a", 1.0)]).collect();
    let text = markdown(&rows);
    assert!(text.contains("Policies marked ‡") && text.contains("entropy-global ‡"), "{text}");
}

#[test]
fn a_pair_that_keeps_unequal_numbers_shows_the_difference() {
    let more = |row: GridRow| GridRow { kept_entries: Some([60, 80][in_turn(&row.text)]), ..row };
    let rule = pair().into_iter().filter(|row| row.policy == "uniform+p").map(more);
    let rule = rule.map(|row| GridRow {
        policy: "entropy-global".into(),
        role: PolicyRole::Published,
        conserving: false,
        ..row
    });
    let rows: Vec<GridRow> = pair().into_iter().chain(rule).collect();
    let definition = DEFINITION.replace("[[\"uniform + p\"", "[[\"entropy-global\"");
    let text = rendered::render_rows(&definition, &rows, &[], render_markdown);
    let table = after(&text, "pairs of the definition");
    // All texts keep 50 of 100 under the other policy.
    in_order(table, &["entropy-global ‡ minus uniform+q", "| 20.0 |", "‡ Does not always keep"]);
}

#[test]
fn policies_are_ordered_by_the_budgets_that_all_have() {
    let mut rows = pair();
    // `q` was not measured at the harder budget, where `p` looks worse than `q` does at the easier.
    rows.push(row("uniform+p", "0.25", "a", 100.0));
    // Rules without a common budget stay in the order of their rows.
    rows.push(row("entropy-proportional", "0.5", "a", 9.0));
    rows.push(row("entropy-global", "0.25", "a", 1.0));
    let text = markdown(&rows);
    let table = after(&text, "8 texts: KL, nats");
    assert!(line(table, "| uniform+p").starts_with("| uniform+p | 1.00"), "{table}");
    in_order(table, &["| entropy-proportional |", "| entropy-global ‡ |", "| uniform+p |", "| uniform+q"]);
}

#[test]
fn kv_formats_have_their_own_pairs() {
    let quantised =
        pair().into_iter().map(|row| GridRow { axes: Axes { kv: KvFormat::Int8, ..row.axes }, ..row });
    let text = markdown(&pair().into_iter().chain(quantised).collect::<Vec<GridRow>>());
    assert_eq!(text.matches("pairs of the definition, first minus second").count(), 2, "{text}");
    assert!(text.contains("KL minus that of the same policy with KV f16"), "{text}");
}

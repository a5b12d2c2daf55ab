//! The comparison of two runs, on rows whose numbers can be checked by hand.

mod cells;

use bitkv_record::{Axes, GridRow, KvFormat, ScoredTask, TaskKind};
use bitkv_report::{
    CompareError, Comparison, compare, render_comparison_markdown, render_comparison_terminal,
};
use cells::row;

/// Rows of texts under two policies. The KL of every second text is 1, and 3 for the others.
fn run_of(texts: &[&str]) -> Vec<GridRow> {
    let texts = texts.iter().zip([1.0, 3.0].into_iter().cycle());
    texts.flat_map(|(text, kl)| ["p", "q"].map(|policy| row(policy, "0.5", text, kl))).collect()
}

/// Rows of two texts under two policies.
fn run() -> Vec<GridRow> {
    run_of(&["a", "b"])
}

/// Rows of enough texts for intervals.
fn long_run() -> Vec<GridRow> {
    run_of(&["a", "b", "c", "d", "e", "f"])
}

fn compared(a: &[GridRow], b: &[GridRow]) -> Comparison {
    compare(("A-run", a), ("B-run", b)).unwrap()
}

/// Returns the same cells in another order and with other keys. The KL of policy `p` is higher by a quarter.
fn changed(rows: Vec<GridRow>) -> Vec<GridRow> {
    let change = |row: GridRow| GridRow {
        key: "f".repeat(16),
        kl_nats: row.kl_nats.map(|kl| if row.policy == "p" { kl + 0.25 } else { kl }),
        ..row
    };
    let mut rows: Vec<GridRow> = rows.into_iter().map(change).collect();
    rows.reverse();
    rows
}

#[test]
fn keys_do_not_affect_the_comparison() {
    let keyed: Vec<GridRow> = run().into_iter().map(|row| GridRow { key: "e".repeat(16), ..row }).collect();
    let same = compared(&run(), &keyed);
    assert_eq!((same.matched, same.identical, same.only_a, same.only_b, same.failed), (4, 4, 0, 0, 0));
    let text = render_comparison_markdown(&same);
    assert!(text.contains("All 4 cells that both runs have are identical."), "{text}");
    assert!(!text.contains("| policy |"), "nothing differs, so there is nothing to show\n{text}");
}

/// Files that were written before a column was added can be compared with newer ones.
#[test]
fn a_column_that_one_file_lacks_is_not_a_difference() {
    let isa = Some(bitkv_record::IsaClass::Vector);
    let old: Vec<GridRow> = run().into_iter().map(|row| GridRow { isa, ..row }).collect();
    let with_quantiles = |kl_max: f64| -> Vec<GridRow> {
        let new = old.iter().cloned();
        new.map(|row| GridRow { kl_max: Some(kl_max), dp_rms: Some(0.5), ..row }).collect()
    };
    let new = with_quantiles(8.0);
    assert_eq!((compared(&old, &new).identical, compared(&new, &old).identical), (4, 4));
    assert_eq!(compared(&new, &with_quantiles(9.0)).identical, 0, "both files have this column");
}

#[test]
fn differences_are_paired_by_text() {
    let found = compared(&long_run(), &changed(long_run()));
    assert_eq!((found.matched, found.identical), (12, 6));
    let [p, q] = &found.groups[..] else { panic!("{found:?}") };
    assert_eq!((p.policy.as_str(), q.policy.as_str(), p.texts), ("p", "q", 6));
    let kl = p.kl_nats.unwrap();
    assert_eq!((kl.a, kl.b), (2.0, 2.25));
    assert_eq!((kl.difference.value, kl.difference.interval), (0.25, Some((0.25, 0.25))));
    assert_eq!(q.kl_nats.unwrap().difference.interval, Some((0.0, 0.0)));
    assert_eq!((p.kept.unwrap().a, p.accuracy), (0.5, None));

    for text in [render_comparison_markdown(&found), render_comparison_terminal(&found, 120)] {
        assert!(text.contains("A: A-run, B: B-run\n"), "{text}");
        assert!(text.contains("an interval that does not include 0 is a"), "{text}");
        assert!(text.contains("first, m: KL, nats") && text.contains("same in both runs: 1."), "{text}");
        assert!(!text.contains("agreement, %"), "agreement is the same everywhere\n{text}");
    }
    let text = render_comparison_markdown(&found);
    assert!(text.contains("| p | 0.5 | 6 | 2.00 | 2.25 | 0.250 [0.250, 0.250] |"), "{text}");
}

#[test]
fn cells_of_one_run_only_are_counted_and_failures_are_left_out() {
    let mut a = run();
    a.push(row("r", "0.5", "a", 1.0));
    let mut b = changed(run());
    b.push(row("p", "0.25", "a", 1.0));
    b.push(row("p", "0.25", "b", 1.0));
    // The last of the changed rows is policy p on text a.
    b[3] = GridRow { error: Some("too long".into()), kl_nats: None, ..b[3].clone() };
    let found = compared(&a, &b);
    assert_eq!((found.matched, found.only_a, found.only_b, found.failed), (4, 1, 2, 1));
    let p = &found.groups.iter().find(|group| group.policy == "p").unwrap();
    assert_eq!((p.texts, p.kl_nats.unwrap().a), (1, 3.0));
    let text = render_comparison_terminal(&found, 120);
    for sentence in ["Cells only in A-run: 1.", "Cells only in B-run: 2.", "in no table: 1."] {
        assert!(text.contains(sentence), "{text}");
    }
}

/// Generated contexts are the same in every run, so runs over different texts have cells in common.
#[test]
fn runs_without_a_common_text_say_so() {
    let with_a_passkey = |text: &str| {
        let task = ScoredTask { kind: TaskKind::Passkey, aware: false };
        let passkey = GridRow { task, ..row("p", "0.5", "passkey-0", 1.0) };
        vec![passkey, row("p", "0.5", text, 1.0)]
    };
    let sentence = "No text is in both runs; only generated contexts were compared.";
    let different = compared(&with_a_passkey("a"), &with_a_passkey("b"));
    assert_eq!((different.matched, different.identical, different.only_generated), (1, 1, true));
    for text in [render_comparison_markdown(&different), render_comparison_terminal(&different, 120)] {
        assert!(text.contains("All 1 cells") && text.contains(sentence), "{text}");
    }
    let alike = compared(&with_a_passkey("a"), &with_a_passkey("a"));
    let without_texts = compared(&with_a_passkey("a")[..1], &with_a_passkey("b")[..1]);
    for comparison in [alike, without_texts] {
        assert!(!render_comparison_terminal(&comparison, 120).contains("No text"), "{comparison:?}");
    }
}

#[test]
fn seeds_are_averaged_within_a_text() {
    let seeded = |add: f64| {
        let again = long_run().into_iter().map(|row| GridRow {
            seed: 1,
            kl_nats: row.kl_nats.map(|kl| kl + add),
            ..row
        });
        [long_run(), again.collect()].concat()
    };
    let found = compared(&seeded(1.0), &seeded(2.0));
    let kl = found.groups[0].kl_nats.unwrap();
    // Texts have (1 + 2) / 2 and (3 + 4) / 2 in A, half a nat more in B.
    assert_eq!((found.groups[0].texts, kl.a, kl.b), (6, 2.5, 3.0));
    assert_eq!(kl.difference.interval, Some((0.5, 0.5)));
}

#[test]
fn variants_are_compared_with_the_same_variant() {
    let quantised = |rows: Vec<GridRow>| {
        rows.into_iter().map(|row| GridRow { axes: Axes { kv: KvFormat::Int4, ..row.axes }, ..row })
    };
    let passkey = |correct| GridRow {
        task: ScoredTask { kind: TaskKind::Passkey, aware: false },
        kl_nats: None,
        agreement: None,
        nll_nats: None,
        correct: Some(correct),
        questions: 4,
        depth: Some(0.5),
        ..row("p", "0.5", "passkey-1", 0.0)
    };
    let a: Vec<GridRow> = run().into_iter().chain(quantised(run())).chain([passkey(1)]).collect();
    let b: Vec<GridRow> = run().into_iter().chain(quantised(changed(run()))).chain([passkey(3)]).collect();
    let found = compared(&a, &b);
    assert_eq!((found.groups.len(), found.matched, found.identical), (5, 9, 6));
    let text = render_comparison_markdown(&found);
    assert!(text.contains("| **KV int4** | | | | | |\n| p | 0.5 | 2 | 2.00 | 2.25 |"), "{text}");
    assert!(text.contains("| **passkey** | | | | | |\n| p | 0.5 | 1 | 25.0 | 75.0 | 50.0 |"), "{text}");
}

#[test]
fn cells_with_another_number_of_scored_tokens_do_not_match() {
    let shorter: Vec<GridRow> = run().into_iter().map(|row| GridRow { targets: 5, ..row }).collect();
    let message = compare(("A-run", &run()), ("B-run", &shorter)).unwrap_err().to_string();
    assert_eq!(
        message,
        "'A-run' and 'B-run' score 8 tokens and 5 tokens of text 'a': compare runs with the same horizon and the same \
         tasks"
    );
    let mut mixed = run();
    mixed[0].targets = 5;
    let found = compared(&run(), &mixed);
    assert_eq!((found.matched, found.only_a, found.only_b), (3, 1, 1));
    // A failed cell scored nothing, and it is still the same cell.
    mixed[0] = GridRow { targets: 0, kl_nats: None, error: Some("too long".into()), ..mixed[0].clone() };
    let found = compared(&run(), &mixed);
    assert_eq!((found.matched, found.failed, found.only_a), (4, 1, 0));
}

#[test]
fn answers_are_summed_over_the_questions_of_a_context() {
    let question_row = |context: &str, question: usize, correct| GridRow {
        task: ScoredTask { kind: TaskKind::Needles, aware: true },
        kl_nats: None,
        agreement: None,
        nll_nats: None,
        correct: Some(correct),
        questions: 1,
        ..row("p", "0.5", &format!("needles-aware-100-{context}-{question:02}"), 0.0)
    };
    let a = [
        question_row("00", 0, 1),
        question_row("00", 1, 1),
        question_row("00", 2, 0),
        question_row("01", 0, 0),
    ];
    let b = [
        question_row("00", 0, 0),
        question_row("00", 1, 0),
        question_row("00", 2, 0),
        question_row("01", 0, 0),
    ];
    let found = compared(&a, &b);
    let accuracy = found.groups[0].accuracy.unwrap();
    // Two contexts: 2 of 3 answers and 0 of 1.
    assert_eq!((found.groups[0].texts, accuracy.a, accuracy.b), (2, 1.0 / 3.0, 0.0));
}

#[test]
fn runs_without_a_common_cell_are_refused() {
    let other: Vec<GridRow> =
        run().into_iter().map(|row| GridRow { experiment: "second".into(), ..row }).collect();
    let error = compare(("A-run", &run()), ("B-run", &other)).unwrap_err();
    assert!(matches!(error, CompareError::NothingMatches { .. }), "{error}");
    let longer: Vec<GridRow> = run().into_iter().map(|row| GridRow { context_tokens: 200, ..row }).collect();
    let message = compare(("A-run", &run()), ("B-run", &longer)).unwrap_err().to_string();
    assert!(
        message.contains("(100 and 200 tokens for text 'a')") && message.contains("'B-run'"),
        "{message}"
    );
    assert!(compare(("A-run", &[]), ("B-run", &run())).is_err());
}

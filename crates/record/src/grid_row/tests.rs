use super::*;
use crate::{TaskKind, read_rows, write_rows};

/// A measured cell.
fn row(key: u64) -> GridRow {
    GridRow {
        key: format!("{key:016x}"),
        experiment: "e".into(),
        model: "m".into(),
        form: Form::True,
        policy: "uniform{a=\"x,y\"}+recency".into(),
        oracle: false,
        conserving: true,
        budget: AskedBudget::Fraction(0.1),
        when: When::ONCE,
        positions: Positions::Original,
        kv: KvFormat::F16,
        seed: u64::MAX,
        task: ScoredTask::TEXT,
        text: "a".into(),
        register: "prose".into(),
        context_tokens: 100,
        asked_entries: Some(10),
        kept_entries: Some(10),
        full_entries: Some(100),
        cache_bytes: Some(640),
        full_bytes: Some(6400),
        plan_hash: Some("0123456789abcdef".into()),
        attention_cosine: Some(1.0 / 3.0),
        retained_mass: Some(0.1 + 0.2),
        output_error: Some(5e-324),
        kl_nats: Some(1.0e300 / 7.0),
        agreement: Some(1.0),
        nll_nats: Some(2.0f64.sqrt()),
        nll_difference: Some(-0.0),
        targets: 8,
        first_divergence: Some(3),
        matching_fraction: Some(0.375),
        correct: None,
        questions: 0,
        depth: None,
        error: None,
    }
}

/// A cell that failed.
fn failed(key: u64) -> GridRow {
    let none = GridRow { attention_cosine: None, retained_mass: None, output_error: None, ..row(key) };
    let none = GridRow { kl_nats: None, agreement: None, nll_nats: None, nll_difference: None, ..none };
    let none = GridRow { first_divergence: None, matching_fraction: None, plan_hash: None, ..none };
    let none = GridRow { kept_entries: None, cache_bytes: None, ..none };
    GridRow { error: Some(one_line("no plan:\n  too \"small\", by 3\r\n")), ..none }
}

#[test]
fn rows_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let asked = GridRow {
        task: ScoredTask { kind: TaskKind::CommonWords, aware: true },
        budget: AskedBudget::Bytes(32 << 10),
        when: When { prefill_chunk: Some(64), every: Some(8) },
        correct: Some(3),
        questions: 4,
        depth: Some(0.7),
        ..row(2)
    };
    let rows = [row(1), asked, failed(3)];
    write_rows(&path, &rows).unwrap();
    let read = read_rows::<GridRow>(&path).unwrap();
    assert_eq!(read, rows);
    assert!(read[0].nll_difference.unwrap().is_sign_negative(), "-0 is not 0");
    assert_eq!(read[2].error.as_deref(), Some("no plan: too \"small\", by 3"));
}

#[test]
fn impossible_rows_are_refused() {
    let cases = [
        (GridRow { key: "ABC".into(), ..row(1) }, "key = 'ABC'"),
        (GridRow { plan_hash: Some("x".into()), ..row(1) }, "plan_hash = 'x'"),
        (GridRow { kept_entries: Some(101), conserving: false, ..row(1) }, "more than full_entries"),
        (GridRow { kept_entries: Some(9), ..row(1) }, "conserving is true"),
        (GridRow { agreement: Some(1.5), ..row(1) }, "agreement = 1.5"),
        (GridRow { depth: Some(-1.0), ..row(1) }, "depth = -1"),
        (GridRow { kl_nats: Some(f64::NAN), ..row(1) }, "kl_nats = NaN"),
        (GridRow { nll_difference: Some(f64::INFINITY), ..row(1) }, "nll_difference = inf"),
        (GridRow { correct: Some(1), ..row(1) }, "more than questions"),
        (GridRow { targets: 0, ..row(1) }, "targets = 0"),
        (GridRow { error: Some("late".into()), ..row(1) }, "attention_cosine is given although"),
        (GridRow { kept_entries: Some(10), ..failed(1) }, "kept_entries is given although"),
        (GridRow { error: Some("two\nlines".into()), ..failed(1) }, "not one line"),
        (GridRow { error: Some(String::new()), ..failed(1) }, "not one line"),
    ];
    for (row, says) in cases {
        let reason = row.check().unwrap_err();
        assert!(reason.contains(says), "{reason}");
    }
    let later = GridRow { when: When::DECODING, kept_entries: Some(9), ..row(1) };
    assert_eq!(later.check(), Ok(()), "only a cut after prefill keeps what was asked to the end");
}

use super::*;
use crate::rows::check;
use crate::{TaskKind, read_rows, write_rows};

/// A measured cell.
fn row(key: u64) -> GridRow {
    GridRow {
        key: format!("{key:016x}"),
        experiment: "e".into(),
        model: "m".into(),
        policy: "uniform{a=\"x,y\"}+recency".into(),
        oracle: false,
        conserving: true,
        budget: AskedBudget::Fraction(0.1),
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
        ..GridRow::default()
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
        axes: Axes { when: When { prefill_chunk: Some(64), every: Some(8) }, ..Axes::default() },
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
        (GridRow { error: Some("late".into()), ..row(1) }, "is given although"),
        (GridRow { kept_entries: Some(10), ..failed(1) }, "kept_entries is given although"),
        (GridRow { error: Some("two\nlines".into()), ..failed(1) }, "not one line"),
        (GridRow { error: Some(String::new()), ..failed(1) }, "not one line"),
    ];
    for (row, says) in cases {
        let reason = check(&row).unwrap_err().to_string();
        assert!(reason.contains(says), "{reason}");
    }
    let later =
        GridRow { axes: Axes { when: When::DECODING, ..Axes::default() }, kept_entries: Some(9), ..row(1) };
    assert_eq!(check(&later), Ok(()), "only a cut after prefill keeps what was asked to the end");
}

/// The header and two rows of a run of the first edition.
const FIRST: &str = "\
key,experiment,model,form,policy,oracle,conserving,budget,when,positions,kv,seed,task,text,register,context_tokens,\
asked_entries,kept_entries,full_entries,cache_bytes,full_bytes,plan_hash,attention_cosine,retained_mass,output_error,\
kl_nats,agreement,nll_nats,nll_difference,targets,first_divergence,matching_fraction,correct,questions,depth,error
0123456789abcdef,e,m,llama-skeleton,uniform+random,false,true,0.5,once,original,f16,0,text,a,prose,8,4,4,8,32,64,\
0123456789abcdef,,,,0.25,1.0,2.5,0.1,3,,,,0,,
0123456789abcdee,e,m,true,entropy-inverted,true,false,64 tokens,chunked-128,original,kivi2,0,recall-aware,a,prose,8,,,,,,,,,,,,,,0,,,,4,0.5,too short
";

#[test]
fn rows_of_the_first_format_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, FIRST).unwrap();
    let mut notes = Vec::new();
    let rows = crate::read_rows_noting::<GridRow>(&path, &mut notes).unwrap();
    assert_eq!((rows.len(), notes.len()), (2, 0));
    assert_eq!((rows[0].axes.form, rows[0].role), (crate::Form::PlainLlama, PolicyRole::Control));
    assert_eq!((rows[1].role, rows[1].oracle, rows[1].kl_nats), (PolicyRole::Published, true, None));
    assert_eq!((rows[0].written.as_str(), rows[0].isa), ("", None), "what the file lacks is empty");
    // What is written again is of this format.
    write_rows(&path, &rows).unwrap();
    assert_eq!(read_rows::<GridRow>(&path).unwrap(), rows);
}

#[test]
fn presets_have_the_name_that_was_written() {
    let preset = GridRow { written: "snapkv".into(), ..row(1) };
    assert_eq!(preset.policy_name(), "snapkv");
    let spelt = GridRow { written: "uniform + recency{ sinks = 4 }".into(), ..row(1) };
    assert_eq!(spelt.policy_name(), spelt.policy);
}

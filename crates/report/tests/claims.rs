//! Claims leave open what the rows do not show.

#[allow(dead_code, reason = "each test binary uses a part")]
mod fixture;

use bitkv_record::{Axes, GridRow, KvFormat};
use bitkv_report::claims::{self, Claim, Verdict};
use fixture::{Recorded, recorded};

fn claim(recorded: &Recorded, id: &str) -> Claim {
    let found = claims::all(&recorded.run()).into_iter().find(|claim| claim.id.to_string() == id).unwrap();
    let texts = found.statements.iter().flat_map(|s| [&s.text, &s.measured, &s.reason]);
    for text in texts.chain(found.key_numbers.iter().flatten()) {
        assert!(!text.contains("NaN") && !text.contains("inf "), "{text}");
    }
    found
}

/// Returns why the compression claim cannot be decided.
fn failing(recorded: &Recorded) -> String {
    let claim = claim(recorded, "compression");
    assert_eq!(claim.verdict, Verdict::CannotBeDecided);
    claim.statements.iter().find_map(|statement| statement.failing_check.clone()).unwrap()
}

/// Returns the recorded run without some of its rows.
fn without(unwanted: impl Fn(&GridRow) -> bool) -> Recorded {
    let mut all = recorded();
    all.rows.retain(|row| !unwanted(row));
    all
}

#[test]
fn without_rows_nothing_is_decided() {
    assert_ne!(claim(&recorded(), "compression").verdict, Verdict::CannotBeDecided);
    let without_rule = claim(&without(|row| row.policy == "entropy-inverted"), "compression");
    assert_eq!(without_rule.verdict, Verdict::NotTested);
    assert!(without_rule.statements.iter().any(|s| s.reason == "The run has no rows for it."));
    let mut bare = recorded();
    bare.memory.clear();
    bare.heads.clear();
    for id in ["memory", "heads"] {
        assert_eq!(claim(&bare, id).verdict, Verdict::NotTested, "{id}");
    }
}

#[test]
fn checks_that_were_not_made_count_as_failed() {
    let reason = failing(&without(|row| row.questions == 0));
    assert!(reason.contains("read no text"), "{reason}");
    let reason = failing(&without(|row| row.questions > 0));
    assert!(reason.contains("asked nothing"), "{reason}");
    let reason = failing(&without(|row| row.policy == "uniform+random"));
    assert!(reason.contains("no random choice"), "{reason}");
    // Few texts have no interval.
    let reason = failing(&without(|row| row.questions == 0 && row.text != "code"));
    assert!(reason.contains("too few texts"), "{reason}");
    let mut without_rows = recorded();
    without_rows.rows.clear();
    assert_eq!(claim(&without_rows, "heads").verdict, Verdict::CannotBeDecided);
}

#[test]
fn a_model_that_cannot_decide_fails_a_check() {
    let reason_after = |change: fn(&mut GridRow)| {
        let mut all = recorded();
        all.rows.iter_mut().for_each(change);
        failing(&all)
    };
    let reason = reason_after(|row| row.nll_nats = row.nll_nats.map(|nats| nats + 5.0));
    assert!(reason.contains("predicts no better than guessing"), "{reason}");
    let reason = reason_after(|row| row.chance = row.chance.map(|_| 0.95));
    assert!(reason.contains("guessing gets 95.0 % right"), "{reason}");
    let reason = reason_after(|row| row.kl_nats = row.kl_nats.map(|_| 0.0));
    assert!(reason.contains("changes 0 of 6 texts"), "{reason}");
}

#[test]
fn other_experiments_and_axes_are_not_mixed_in() {
    let before = claim(&recorded(), "compression");
    let mut more = recorded();
    let others = more.rows.clone().into_iter().flat_map(|row| {
        let worse = GridRow { agreement: Some(0.1), kl_nats: Some(9.0), kept_entries: Some(77), ..row };
        let int4 = Axes { kv: KvFormat::Int4, ..worse.axes };
        [GridRow { axes: int4, ..worse.clone() }, GridRow { experiment: "second".into(), ..worse }]
    });
    more.rows.extend(others.collect::<Vec<_>>());
    let mut heads = more.heads.clone();
    heads.iter_mut().for_each(|row| row.study = "second".into());
    more.heads.extend(heads);
    assert_eq!(claim(&more, "compression"), before);
    assert_eq!(claim(&more, "heads"), claim(&recorded(), "heads"));
}

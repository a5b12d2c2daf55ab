//! Must the first tokens be protected?

use crate::cells::{Cell, Difference, MODELS, Run};
use crate::finding::Finding;
use crate::sentence::{Check, Sentence, list, nats, percent};

const BUDGET: &str = "0.2";

/// Returns the finding.
pub(crate) fn finding() -> Finding {
    Finding { title: "Sinks", sentences: sentences(), tables: Vec::new() }
}

fn sentences() -> Vec<Sentence> {
    let run = &Run::newest("sinks");
    vec![recency(run), attention(run), key_diff(run)]
}

/// Returns the KL with the default of four protected sinks minus that with `sinks`.
fn protection(run: &Run, model: &str, scorer: &str, sinks: u32) -> Difference {
    let bare = format!("uniform+{scorer}{{sinks={sinks}}}");
    run.kl_difference(
        &Cell::new(model, &format!("uniform+{scorer}"), BUDGET),
        &Cell::new(model, &bare, BUDGET),
    )
}

fn recency(run: &Run) -> Sentence {
    let none = MODELS.map(|model| protection(run, model, "recency", 0));
    let recovered = MODELS.map(|model| {
        let [none, one] = [0, 1].map(|sinks| protection(run, model, "recency", sinks).mean);
        (none - one) / none
    });
    Sentence::new(
        "At a fifth, the KL of recency is {} ({}) and {} ({}) nats higher without a protected token than \
         with four, and one protected sink recovers {} and {} of the difference.",
        &[
            &nats(-none[0].mean),
            &MODELS[0],
            &nats(-none[1].mean),
            &MODELS[1],
            &percent(recovered[0]),
            &percent(recovered[1]),
        ],
        [Check::new(none.iter().all(Difference::below), "an interval includes zero")],
    )
}

fn attention(run: &Run) -> Sentence {
    let scorers = ["window-attention", "accumulated-attention"];
    let changes = MODELS.map(|model| scorers.map(|scorer| protection(run, model, scorer, 0).mean.abs()));
    let largest = changes.as_flattened().iter().copied().fold(0.0, f64::max);
    let recency = MODELS.map(|model| protection(run, model, "recency", 0).mean.abs());
    Sentence::new(
        "Window and accumulated attention find sinks without protection: protection changes their KL by at \
         most {} nats.",
        &[&nats(largest)],
        [Check::new(
            recency.iter().all(|change| largest < change / 10.0),
            format!("recency: {}", list(recency)),
        )],
    )
}

fn key_diff(run: &Run) -> Sentence {
    let [gains, recency] =
        ["key-diff", "recency"].map(|scorer| MODELS.map(|model| -protection(run, model, scorer, 0).mean));
    Sentence::new(
        "KeyDiff does not find them: protection lowers its KL by {} and {} nats, more than that of recency.",
        &[&nats(gains[0]), &nats(gains[1])],
        [Check::new(
            gains[0] > recency[0] && gains[1] > recency[1],
            format!("recency gains {}", list(recency)),
        )],
    )
}

//! What the built-in models can do: the prose of the README and the section of each model's card.

use crate::cells::{Cell, MODELS, Run, mean};
use crate::document::read;
use crate::results::name_of;
use crate::sentence::{Check, Sentence, list, range};
use bitkv_record::GridRow;
use std::collections::BTreeSet;

/// The lengths of recall contexts, tokens.
const LENGTHS: [usize; 3] = [132, 256, 512];

/// Returns the sentences of the README about the run and the built-in models.
pub(crate) fn readme() -> Vec<Sentence> {
    let (verify, retrieval) = (&Run::newest("verify"), &Run::newest("retrieval"));
    vec![size(verify), held_out(), perplexities(verify), recall(retrieval)]
}

/// Returns the sentences of a model's card about the evaluation texts.
pub(crate) fn card(model: &str) -> Vec<Sentence> {
    let (verify, retrieval) = (&Run::newest("verify"), &Run::newest("retrieval"));
    vec![evaluation(verify, model), answers(retrieval, model)]
}

/// Returns the number of different values in the rows of the first model's full cache.
fn count<T: Ord>(run: &Run, task: &str, value: impl Fn(&GridRow) -> T) -> (usize, T) {
    let cell = Cell::new(MODELS[0], "full", "1.0").task(task);
    let found: BTreeSet<T> = run.rows_of(&cell).map(value).collect();
    let count = found.len();
    (count, found.into_iter().next_back().unwrap())
}

fn size(run: &Run) -> Sentence {
    let (texts, _) = count(run, "text", |row| row.text.clone());
    let (contexts, _) = count(run, "recall-together", |row| row.text.clone());
    let [(one, tokens), (also_one, scored)] =
        [count(run, "text", |row| row.context_tokens), count(run, "text", |row| row.targets)];
    let (still_one, questions) = count(run, "recall-together", |row| row.questions);
    Sentence::new(
        "`{}` is a committed run of the first command: {} evaluation texts, with {} tokens in the cache and \
         {} tokens scored after the eviction, and {} retrieval contexts with {} questions each.",
        &[&name_of(&run.folder), &texts, &tokens, &scored, &contexts, &questions],
        [Check::new(
            one * also_one * still_one == 1,
            "contexts differ in length, scored tokens or questions",
        )],
    )
}

/// Returns the extent of the runs that findings are about.
pub(crate) fn extent() -> Sentence {
    let runs = [
        "entropy-is-the-reason",
        "scorers-and-allocators",
        "sinks",
        "gqa-pooling",
        "quantisation",
        "schedules",
    ];
    let found = runs.map(|name| {
        let run = Run::newest(name);
        let model = if name == "gqa-pooling" { MODELS[1] } else { MODELS[0] };
        let cell = Cell::new(model, "full", "1.0");
        let texts: BTreeSet<&str> = run.rows_of(&cell).map(|row| row.text.as_str()).collect();
        let sizes: BTreeSet<(usize, usize)> =
            run.rows_of(&cell).map(|row| (row.context_tokens, row.targets)).collect();
        (texts.len(), sizes)
    });
    let (texts, sizes) = &found[0];
    let (tokens, scored) = sizes.iter().next().unwrap();
    Sentence::new(
        "Unless a finding says otherwise, it is for {} texts with {} tokens in the cache and {} scored \
         after the eviction.",
        &[texts, tokens, scored],
        [Check::new(sizes.len() == 1 && found.iter().all(|other| *other == found[0]), format!("{found:?}"))],
    )
}

/// Returns a cell of a card as written: that in the given column of the table row with the given first cell.
fn in_card(model: &str, row: &str, column: usize) -> String {
    let card = read(&format!("models/{model}/README.md"));
    let cells = card.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let found = cells.into_iter().find(|cells| cells.first() == Some(&row));
    let found = found.unwrap_or_else(|| panic!("the card of {model} has no row '{row}'"));
    found[column].to_owned()
}

/// Returns the bits per byte of a row of a card.
fn bits_in_card(model: &str, row: &str) -> f64 {
    in_card(model, row, 1).parse().unwrap()
}

fn held_out() -> Sentence {
    let bits = MODELS.map(|model| bits_in_card(model, "this, windows of 1024 tokens"));
    let trigrams = MODELS.map(|model| bits_in_card(model, "trigram of the same tokens"));
    let number = |bits: f64| format!("{bits:.2}");
    let both = |[mha, gqa]: [String; 2]| if mha == gqa { mha } else { format!("{mha} and {gqa}") };
    Sentence::new(
        "The models `{}` and `{}` were trained by `bitkv train`: on held-out text of the kind of their \
         training text they reach {} bits per byte in windows of {} tokens, where trigrams reach {}.",
        &[&MODELS[0], &MODELS[1], &both(bits.map(number)), &"1,024", &both(trigrams.map(number))],
        [Check::new(bits.iter().zip(trigrams).all(|(bits, other)| *bits < other), format!("{trigrams:?}"))],
    )
}

/// The perplexity of a model's full cache: of all texts, the lowest and the highest text, and the bits per
/// byte.
struct Perplexity {
    mean: f64,
    range: (f64, f64),
    bits_per_byte: Option<f64>,
}

fn perplexity(run: &Run, model: &str) -> Perplexity {
    let cell = Cell::new(model, "full", "1.0");
    let nll: Vec<f64> = run.by_text(&cell, |row| row.nll_nats).into_values().collect();
    let (low, high) = range(&nll);
    let nats: f64 = run.rows_of(&cell).filter_map(|row| Some(row.nll_nats? * row.targets as f64)).sum();
    let bytes: Option<usize> = run.rows_of(&cell).map(|row| row.bytes_scored).sum();
    Perplexity {
        mean: mean(&nll).exp(),
        range: (low.exp(), high.exp()),
        bits_per_byte: bytes.map(|bytes| nats / std::f64::consts::LN_2 / bytes as f64),
    }
}

fn perplexities(run: &Run) -> Sentence {
    let found = MODELS.map(|model| perplexity(run, model));
    let described = |p: &Perplexity, model: &str| {
        let bits = p.bits_per_byte.map_or_else(String::new, |bits| format!(", {bits:.2} bits per byte"));
        format!("{:.1} ({model}; {:.0} to {:.0} by text{bits})", p.mean, p.range.0, p.range.1)
    };
    let texts = list(found.iter().zip(MODELS).map(|(p, model)| described(p, model)));
    Sentence::new("The evaluation texts are harder for them: the perplexity is {}.", &[&texts], [])
}

/// Returns the right answers of the full cache to recall questions at each length, and the number of
/// questions at each.
fn recall_answers(run: &Run, model: &str) -> (String, usize) {
    let found =
        LENGTHS.map(|tokens| run.answers(&Cell::new(model, "full", "1.0").task("recall").context(tokens)));
    assert!(found.iter().all(|(_, questions)| *questions == found[0].1), "lengths differ in questions");
    (list(found.map(|(right, _)| right)), found[0].1)
}

fn recall(run: &Run) -> Sentence {
    let cards = MODELS.map(|model| in_card(model, "recall", 4));
    let [(mha, questions), (gqa, _)] = MODELS.map(|model| recall_answers(run, model));
    Sentence::new(
        "In the task of their training they answer {} and {} of recall questions over distances of up to {} \
         tokens. In `{}`, whose contexts are built otherwise, their full caches answer {} ({}) and {} ({}) \
         of {} questions in contexts of {} tokens.",
        &[
            &cards[0],
            &cards[1],
            &128,
            &name_of(&run.folder),
            &mha,
            &MODELS[0],
            &gqa,
            &MODELS[1],
            &questions,
            &list(LENGTHS),
        ],
        [],
    )
}

fn evaluation(run: &Run, model: &str) -> Sentence {
    let found = perplexity(run, model);
    let (texts, _) = count(run, "text", |row| row.text.clone());
    let (_, tokens) = count(run, "text", |row| row.context_tokens);
    let (_, scored) = count(run, "text", |row| row.targets);
    let bits = found.bits_per_byte.map_or_else(|| "unknown".to_owned(), |bits| format!("{bits:.2}"));
    Sentence::new(
        "On the {} evaluation texts of bitkv, with {} tokens in the cache and {} scored after them, the \
         perplexity is {} ({} to {} by text), and bits per byte are {}: these texts are harder than the \
         held-out text above.",
        &[
            &texts,
            &tokens,
            &scored,
            &format!("{:.1}", found.mean),
            &format!("{:.0}", found.range.0),
            &format!("{:.0}", found.range.1),
            &bits,
        ],
        [Check::new(
            found.bits_per_byte.is_none_or(|bits| bits > bits_in_card(model, "this, windows of 1024 tokens")),
            format!("{bits} bits per byte"),
        )],
    )
}

fn answers(run: &Run, model: &str) -> Sentence {
    let (right, questions) = recall_answers(run, model);
    Sentence::new(
        "In `{}`, the full cache answers {} of {} recall questions in contexts of {} tokens.",
        &[&name_of(&run.folder), &right, &questions, &list(LENGTHS)],
        [],
    )
}

//! `bitkv sweep`: a comparison of policies without a definition.

mod support;

use bitkv_record::Definition;
use support::{Place, count, grid::rows, model::MODEL};

/// The sweep of a newcomer, on own texts.
const SWEEP: [&str; 9] = [
    "sweep",
    "--model",
    MODEL,
    "--policies",
    "snapkv,uniform+key-norm{sinks=1, recent=1}",
    "--ratios",
    "2x,4",
    "--texts",
    "texts",
];

#[test]
fn a_sweep_is_the_run_of_the_definition_that_it_keeps() {
    let place = Place::with_texts();
    let shown = place.text(&SWEEP);
    let folder = place.path("runs/sweep");
    let kept = std::fs::read_to_string(folder.join("definition.toml")).unwrap();
    assert!(shown.starts_with(&kept) && shown.contains("\nReport: runs/sweep/report.html\n"), "{shown}");
    let definition = Definition::from_toml(&kept, "sweep.toml").unwrap();
    let experiment = &definition.experiments[0];
    let budgets: Vec<String> = experiment.budgets.iter().map(ToString::to_string).collect();
    assert_eq!(budgets, ["1.0", "0.5", "0.25"]);
    let asked = ["snapkv", "uniform+key-norm{sinks=1, recent=1}"];
    let controls = ["full", "uniform+recency", "uniform+random", "uniform+oracle"];
    assert_eq!(experiment.policies, [&asked[..], &controls[..]].concat());
    assert_eq!(experiment.pairs, asked.map(|policy| (policy.to_owned(), "uniform+recency".to_owned())));
    let measured = rows(&folder);
    // For each of two texts: the full cache once, and five policies at three budgets.
    assert_eq!(measured.len(), 2 * 16);

    // The definition gives the same rows to `run`; a second sweep does not replace the first.
    place.json(&["run", "runs/sweep/definition.toml", "--out", "runs/own"]);
    assert_eq!(rows(&place.path("runs/own")), measured);
    assert_eq!(place.json(&SWEEP)["run"], "runs/sweep-2");
}

#[test]
fn the_sizes_fit_the_shortest_text() {
    let place = Place::with_texts();
    place.write("few/a.txt", (0..90).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
    let sizes = |more: &[&str]| {
        let arguments = [
            &[
                "sweep",
                "--model",
                MODEL,
                "--policies",
                "h2o",
                "--budgets",
                "0.5",
                "--texts",
                "few",
                "--dry-run",
            ],
            more,
        ]
        .concat();
        let shown = place.text(&arguments);
        ["context", "horizon"].map(|key| {
            let line = shown.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
        })
    };
    let [context, horizon] = sizes(&[]);
    assert!((56..300).contains(&context) && (8..40).contains(&horizon), "{context} {horizon}");
    assert_eq!(sizes(&["--scored-tokens", "5"]), [context + horizon - 5, 5]);
    assert_eq!(sizes(&["--context-tokens", "32", "--scored-tokens", "5"]), [32, 5]);
    assert_eq!(count(&place.json(&[&SWEEP[..], &["--dry-run"]].concat())["rows"]), 32);
}

/// A folder may have a name that definitions reserve for texts of the suite.
#[test]
fn a_folder_of_texts_may_have_any_name() {
    let place = Place::with_texts();
    place.write("evaluation/own.txt", std::fs::read(place.path("texts/counting.txt")).unwrap());
    let more = ["--policies", "h2o", "--ratios", "2x", "--texts", "evaluation"];
    place.json(&[&["sweep", "--model", MODEL][..], &more].concat());
    let rows = rows(&place.path("runs/sweep"));
    assert!(!rows.is_empty() && rows.iter().all(|row| row.text == "own"), "{rows:?}");
}

#[test]
fn a_sweep_of_a_plain_llama_says_so() {
    let place = Place::with_texts();
    let more = ["--policies", "h2o", "--ratios", "2x", "--texts", "texts", "--as", "plain-llama"];
    place.json(&[&["sweep", "--model", MODEL][..], &more].concat());
    let rows = rows(&place.path("runs/sweep"));
    assert!(rows.iter().all(|row| row.axes.form == bitkv_record::Form::PlainLlama), "{rows:?}");
}

#[test]
fn controls_that_are_asked_for_are_listed_once() {
    let place = Place::with_texts();
    let with = [
        "sweep",
        "--model",
        MODEL,
        "--policies",
        "uniform+recency,h2o",
        "--ratios",
        "2x",
        "--texts",
        "texts",
        "--dry-run",
    ];
    let shown = place.text(&with);
    assert_eq!(shown.matches("\"uniform+recency\"").count(), 2, "once as a policy, once in a pair: {shown}");
}

#[test]
fn mistakes_name_the_option() {
    let place = Place::with_texts();
    let sweep =
        |options: &[&'static str]| [&["sweep", "--model", MODEL, "--texts", "texts"], options].concat();
    for (options, says) in [
        (&["--policies", "snapvk", "--ratios", "2x"][..], &["--policies snapvk", "snapkv"][..]),
        (&["--policies", ",", "--ratios", "2x"], &["--policies names no policy"]),
        (&["--policies", "snapkv", "--ratios", "half"], &["--ratios half", "4x"]),
        (&["--policies", "snapkv", "--ratios", "0.5x"], &["--ratios 0.5x"]),
        (&["--policies", "snapkv", "--ratios", "2xx"], &["--ratios 2xx"]),
        (&["--policies", "snapkv", "--ratios", "1x"], &["--ratios 1x", "the whole cache is always measured"]),
        (&["--policies", "snapkv", "--budgets", "2"], &["--budgets", "2"]),
        (
            &["--policies", "snapkv", "--ratios", "2x", "--tasks", "passkeys"],
            &["--tasks", "passkeys", "passkey"],
        ),
        (&["--policies", "snapkv", "--ratios", "2x", "--tasks", "text"], &["--tasks text"]),
        (&["--policies", "snapkv,snapkv", "--ratios", "2x"], &["--policies", "snapkv is listed twice"]),
        (&["--policies", "snapkv", "--ratios", "2x,2"], &["--ratios", "0.5 is listed twice"]),
        (&["--policies", "snapkv", "--ratios", "2x", "--scored-tokens", "0"], &["--scored-tokens 0"]),
        (&["--policies", "snapkv", "--ratios", "2x", "--context-tokens", "0"], &["--context-tokens 0"]),
        (&["--policies", "snapkv", "--ratios", "2x", "--seed", "18446744073709551615"], &["--seed"]),
    ] {
        place.refuses(&sweep(options), says);
    }
    place.write("short/a.txt", "only a few words");
    let short = ["sweep", "--model", MODEL, "--policies", "snapkv", "--ratios", "2x", "--texts", "short"];
    place.refuses(&short, &["--texts", "a.txt", "--context-tokens"]);
}

#[test]
fn the_example_of_a_definition_is_complete() {
    let place = Place::new();
    let example = place.text(&["run", "--example"]);
    let definition = Definition::from_toml(&example, "example.toml").unwrap();
    assert_eq!(definition.names(), ["wide-heads"]);
}

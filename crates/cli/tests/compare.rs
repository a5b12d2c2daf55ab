//! `bitkv compare`: two run folders, cell by cell.

mod support;

use bitkv_record::read_rows;
use support::{
    Place, count,
    grid::{definition, rows_at},
    list, number,
};

/// Runs the small definition with changes into a folder.
fn run(place: &Place, folder: &str, changes: &[(&str, &str)]) {
    place.write("small.toml", definition(changes));
    place.text(&["run", "small.toml", "--out", folder]);
}

#[test]
fn two_runs_of_one_definition_are_identical() {
    let place = Place::with_texts();
    run(&place, "a", &[]);
    run(&place, "b", &[]);
    let document = place.json(&["compare", "a", "b"]);
    let counts = ["matched", "identical", "failed", "only_a", "only_b"].map(|key| count(&document[key]));
    assert_eq!(counts, [26, 26, 0, 0, 0]);
    assert_eq!(list(&document["groups"]).len(), 13);
    for group in list(&document["groups"]) {
        assert_eq!(count(&group["texts"]), 2);
        for measure in ["kl_nats", "agreement", "nll_nats", "kept"] {
            let difference = &group[measure]["difference"];
            // Two texts are too few for an interval.
            assert_eq!(*difference, serde_json::json!({"value": 0.0, "interval": null}), "{measure}");
        }
    }
    let text = place.text(&["compare", "a", "b"]);
    assert!(text.starts_with("A: a, B: b\n"), "{text}");
    assert!(text.contains("All 26 cells that both runs have are identical"), "{text}");
    // The rows.csv of a run can be given instead of its folder.
    assert_eq!(count(&place.json(&["compare", "a/rows.csv", "b"])["matched"]), 26);
}

#[test]
fn differences_are_those_of_the_rows() {
    let place = Place::with_texts();
    // Entropies of fewer tokens divide the budget in another way.
    let entropy = ("uniform+recency", "entropy+recency");
    run(&place, "a", &[entropy]);
    run(&place, "b", &[entropy, ("{ tokens = 64 }", "{ tokens = 8 }")]);
    let document = place.json(&["compare", "a", "b", "--out", "comparison.md"]);
    assert_eq!(count(&document["matched"]), 26);
    assert!(
        (20..26).contains(&count(&document["identical"])),
        "only two cells of two texts can differ: {document}"
    );
    let mean = |run: &str| -> f64 {
        let rows = read_rows(&place.path(run).join("rows.csv")).unwrap();
        let cell = rows_at(&rows, "entropy+recency", "0.25");
        cell.iter().map(|row| row.kl_nats.unwrap()).sum::<f64>() / cell.len() as f64
    };
    let is_that_cell =
        |group: &&serde_json::Value| group["policy"] == "entropy+recency" && group["budget"] == "0.25";
    let group = list(&document["groups"]).iter().find(is_that_cell).unwrap();
    let (kl, due) = (&group["kl_nats"], [mean("a"), mean("b")]);
    assert!((number(&kl["a"]) - due[0]).abs() < 1e-12 && (number(&kl["b"]) - due[1]).abs() < 1e-12, "{kl}");
    let difference = number(&kl["difference"]["value"]);
    assert!((difference - (due[1] - due[0])).abs() < 1e-12, "{kl}");
    let markdown = std::fs::read_to_string(place.path("comparison.md")).unwrap();
    assert!(markdown.contains("entropy+recency") && markdown.contains("KL, nats"), "{markdown}");
}

#[test]
fn cells_that_only_one_has_are_counted() {
    let place = Place::with_texts();
    run(&place, "a", &[]);
    run(&place, "b", &[("0.5, 0.25", "0.5, 0.1, 0.05")]);
    let document = place.json(&["compare", "a", "b"]);
    assert_eq!(["matched", "only_a", "only_b"].map(|key| count(&document[key])), [18, 8, 16]);
}

#[test]
fn runs_that_cannot_be_compared() {
    let place = Place::with_texts();
    run(&place, "a", &[]);
    run(&place, "short", &[("context = 64", "context = 48")]);
    let says = ["'a' and 'short'", "64 and 48 tokens", "same context"];
    place.refuses(&["compare", "a", "short"], &says);
    run(&place, "more", &[("horizon = 16", "horizon = 24")]);
    place.refuses(&["compare", "a", "more"], &["'a' and 'more'", "16 tokens and 24 tokens", "same horizon"]);
    run(&place, "other", &[("\"small\"", "\"other\"")]);
    place.refuses(&["compare", "a", "other"], &["'a' and 'other'", "no cell in common", "compare runs that"]);
    place.refuses(&["compare", "a", "texts"], &["texts has no rows.csv", "name a finished run folder"]);
    place.refuses(&["compare", "absent", "a"], &["absent"]);
    place.write("bad/rows.csv", "key,experiment\n1,2\n");
    place.refuses(&["compare", "a", "bad"], &["bad/rows.csv", "no column 'model'", "first line is damaged"]);
}

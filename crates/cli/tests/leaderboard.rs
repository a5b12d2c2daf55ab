//! `bitkv leaderboard`: all runs of a folder on one page.

mod support;

use std::fs;

use support::{Place, grid::definition, list};

#[test]
fn a_leaderboard_has_every_run_and_says_which_is_newer() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    place.text(&["run", "small.toml", "--out", "all/small"]);
    place.text(&["run", "small.toml", "--out", "all/small-2"]);
    place.write("all/notes/readme.txt", "no run");
    let said = place.text(&["leaderboard", "all"]);
    assert_eq!(said, "Leaderboard of 2 runs: all/index.html\n");
    let page = fs::read_to_string(place.path("all/index.html")).unwrap();
    for link in ["small", "small-2"] {
        assert!(page.contains(&format!("<a href=\"{link}/report.html\">")), "{link}");
    }
    assert_eq!(page.matches("A later run of these experiments is small-2.").count(), 1);

    // The same folder may be written in another way.
    place.text(&["leaderboard", "./all/.", "--out", "all/other.html"]);
    assert!(
        fs::read_to_string(place.path("all/other.html")).unwrap().contains("<a href=\"small/report.html\">")
    );

    // A page elsewhere has no links, because they would lead nowhere.
    let document = place.json(&["leaderboard", "all", "--out", "board.html"]);
    assert_eq!(list(&document["runs"]), ["small", "small-2"]);
    assert_eq!(document["page"], "board.html");
    assert!(!fs::read_to_string(place.path("board.html")).unwrap().contains("<a href=\"small"));
}

#[test]
fn folders_without_runs_are_refused() {
    let place = Place::new();
    place.write("empty/readme.txt", "no run");
    place.refuses(&["leaderboard", "empty"], &["empty has no folder of a finished run", "name a folder"]);
    place.refuses(&["leaderboard", "none"], &["cannot read the folder none"]);
    place.refuses(
        &["leaderboard", "empty", "--out", "no/page.html"],
        &["--out no/page.html", "make it first"],
    );
}

#[test]
fn a_damaged_run_writes_no_page() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    place.text(&["run", "small.toml", "--out", "all/small"]);
    let rows = place.path("all/small/rows.csv");
    let text = fs::read_to_string(&rows).unwrap();
    fs::write(&rows, text.replacen("full", "fuel", 1)).unwrap();
    place.refuses(&["leaderboard", "all"], &["rows.csv"]);
}

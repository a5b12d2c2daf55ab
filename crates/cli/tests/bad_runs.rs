//! Every command that reads a damaged run refuses it in one sentence that names the file and the remedy.

mod support;

use std::fs;

use support::{
    Place,
    grid::{RUN, definition},
};

/// A place with a finished run.
fn ran() -> Place {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("texts = \"texts\"", "texts = \"texts\"\nkv = [\"f16\"]")]));
    place.text(&["run", "small.toml", "--out", RUN]);
    place
}

/// Changes a file of the run, asserts that `report` and `compare` refuse it, and restores the file.
#[track_caller]
fn refused(place: &Place, file: &str, change: impl Fn(&str) -> String, says: &[&str]) {
    let path = place.path(RUN).join(file);
    let whole = fs::read_to_string(&path).unwrap();
    let changed = change(&whole);
    assert_ne!(changed, whole, "the change of {file} changes nothing");
    fs::write(&path, changed).unwrap();
    let says = [&[file][..], says].concat();
    place.refuses(&["report", RUN], &says);
    place.refuses(&["report", RUN, "--write"], &says);
    place.refuses(&["compare", RUN, RUN], &says);
    fs::write(&path, whole).unwrap();
}

#[test]
fn damaged_rows_and_newer_formats() {
    let place = ran();
    let newer = "use a newer bitkv";
    refused(&place, "rows.csv", |text| text.replace("\n2,", "\n3,"), &["format", "3", newer]);
    refused(&place, "manifest.json", |text| text.replace("\"format\": 2", "\"format\": 3"), &["3", newer]);
    refused(&place, "definition.toml", |text| format!("format = 3\n{text}"), &["format = 3", newer]);
    // A truncated header, and a header with a column twice.
    let truncated = |text: &str| text.split_once(",text,").unwrap().0.to_owned() + "\n";
    refused(&place, "rows.csv", truncated, &["no column 'text'"]);
    let mixed = |text: &str| text.replacen(",policy,", ",policy,model,", 1);
    refused(&place, "rows.csv", mixed, &["'model' twice"]);
    // A line from another file, or one that was changed by hand.
    let changed = |text: &str| text.replacen(",16,", ",17,", 1);
    refused(&place, "rows.csv", changed, &["line 2", "checksum"]);
    // A key and a value that occur twice.
    let twice = |text: &str| text.replacen("kv = [\"f16\"]", "kv = [\"f16\"]\nkv = [\"f16\"]", 1);
    let changed = |text: &str| text.replace("Which is best?", "Which is worst?");
    refused(
        &place,
        "definition.toml",
        changed,
        &["definition.toml' is not", "is not the file that the run wrote"],
    );
    refused(&place, "definition.toml", twice, &["line 9 gives the key 'kv' a second time", "remove one"]);
    let twice = |text: &str| text.replacen("kv = [\"f16\"]", "kv = [\"f16\", \"f16\"]", 1);
    refused(&place, "definition.toml", twice, &["kv lists \"f16\" twice"]);
    // Changes that the checksums of lines do not show: exchanged column names, and missing lines.
    let put_back = ["not the file that the run wrote", "put the original file back"];
    let exchanged = |text: &str| text.replacen(",kl_nats,kl_median,", ",kl_median,kl_nats,", 1);
    refused(&place, "rows.csv", exchanged, &put_back);
    let shorter = |text: &str| text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    refused(&place, "rows.csv", shorter, &put_back);
    // The restored run is intact.
    place.text(&["report", RUN]);
}

#[test]
fn folders_that_are_not_runs() {
    let place = ran();
    let remedy = "name a folder that `bitkv run`, `bitkv sweep` or `bitkv verify` wrote";
    place.refuses(&["report", "texts"], &["'texts' is not a finished run", remedy]);
    place.refuses(&["report", "absent"], &["absent"]);
    place.refuses(&["report", "small.toml"], &["small.toml"]);
    fs::remove_file(place.path(RUN).join("rows.csv")).unwrap();
    place.refuses(&["report", RUN], &["is not a finished run", remedy]);
}

#[test]
fn unknown_columns_are_noted_and_missing_columns_are_empty() {
    let place = ran();
    let path = place.path(RUN).join("rows.csv");
    let whole = fs::read_to_string(&path).unwrap();
    let manifest = place.path(RUN).join("manifest.json");
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("files").unwrap();
    fs::write(&manifest, document.to_string()).unwrap();
    let mut lines = whole.lines();
    // Another version may write one more column. The checksums are removed, because they belong to the old
    // lines.
    let header = lines.next().unwrap().replace(",checksum", ",colour");
    let body = lines.map(|line| format!("{},red\n", line.rsplit_once(',').unwrap().0));
    fs::write(&path, format!("{header}\n{}", body.collect::<String>())).unwrap();
    let output = place.run(&["report", RUN]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("does not know the columns 'colour' and ignores them"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

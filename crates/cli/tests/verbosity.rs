//! `--quiet` and `--verbose`: what every command writes to standard error besides errors.

mod support;

use std::process::Output;

use support::{
    Place,
    grid::{RUN, definition},
    model::MODEL,
};

/// A command that succeeds, and that writes a summary to standard error.
const GENERATE: [&str; 8] =
    ["generate", "--model", MODEL, "--prompt", "a few words", "--max-tokens", "2", "--greedy"];

/// Returns standard error of a command that must succeed.
#[track_caller]
fn said(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_quiet_command_writes_only_errors() {
    let place = Place::with_texts();
    assert!(said(place.run(&GENERATE)).contains("tokens"), "there is something to leave out");
    for quiet in ["-q", "--quiet"] {
        assert_eq!(said(place.run(&[&GENERATE[..], &[quiet]].concat())), "");
        assert_eq!(said(place.run(&[&[quiet], &GENERATE[..]].concat())), "", "before the command");
    }
    // The second time of eviction is not measured for some policies, and a note says so.
    let end = "calibration = { tokens = 64 }";
    let twice = format!("{end}\nwhen = [\"once\", {{ prefill-chunk = 32 }}]");
    place.write("small.toml", definition(&[(end, &twice)]));
    let dry = ["run", "small.toml", "--dry-run"];
    assert!(said(place.run(&dry)).starts_with("note: "), "there is a note to leave out");
    assert_eq!(said(place.run(&[&dry[..], &["-q"]].concat())), "");
    assert_eq!(said(place.run(&["run", "small.toml", "--out", RUN, "-q"])), "");
    place.refuses(&["-q", "run", "absent.toml"], &["there is no definition absent.toml"]);
}

#[test]
fn a_verbose_run_names_files_instructions_cells_batches_and_times() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    let said = said(place.run(&["run", "small.toml", "--out", RUN, "-v"]));
    for part in [
        "the kernels use the instructions ",
        &format!("{MODEL} has 4 layers with packed ternary weights and is read from the folder {MODEL}, in "),
        // 2 texts; the full cache at one budget and 4 policies at three.
        "the run has 26 rows, and an earlier attempt measured 0\n",
        &format!("small {MODEL}: 2 of 2 contexts lack rows, and a context has 13 cells at most\n"),
        "counting: 13 cells in 1 batches of 16 at most\n",
        &format!("small {MODEL}: 26 of 26, "),
        "the command took ",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    assert!(!said.contains("\r") && !said.contains('\u{1b}'), "plain lines: {said:?}");
    let ends = said.lines().filter(|line| line.contains(" per second, in ") && line.ends_with(" s"));
    assert!(ends.count() >= 1, "a line at the end of a stage: {said}");
}

#[test]
fn both_options_contradict_each_other() {
    let place = Place::new();
    for arguments in [&["list", "-q", "-v"][..], &["-q", "list", "-v"], &["--verbose", "list", "--quiet"]] {
        let output = place.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            output.stdout.is_empty() && said.contains("'--quiet' cannot be used with '--verbose'"),
            "{said}"
        );
    }
}

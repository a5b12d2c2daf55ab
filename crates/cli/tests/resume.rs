//! `bitkv run`: interrupted runs resume, and runs do not overwrite each other.

mod support;

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use support::{
    Place, count,
    grid::{RUN, definition},
};

/// How long a started run may take to write a row.
const PATIENCE: Duration = Duration::from_secs(300);

/// A definition with about 800 short cells, so that the run can be killed before it ends.
fn long() -> String {
    let budgets: Vec<String> = (1..=100).map(|part| format!("{:.2}", f64::from(part) / 100.0)).collect();
    definition(&[("[1.0, 0.5, 0.25]", &format!("[{}]", budgets.join(", ")))]) + "metrics = [\"kl\"]\n"
}

fn journal(place: &Place) -> PathBuf {
    place.path("runs/.small.partial/.bitkv-journal/rows.csv.journal")
}

/// Returns the number of rows in the journal.
fn recorded(place: &Place) -> usize {
    let text = fs::read(journal(place)).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count().saturating_sub(2)
}

/// Starts the run and kills it when it has written `more` rows. Returns false if the run ended before.
fn run_and_kill(place: &Place, more: usize) -> bool {
    let (before, started) = (recorded(place), Instant::now());
    let mut command = place.command(&["run", "small.toml", "--out", RUN]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while recorded(place) < before + more {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < PATIENCE, "the run writes no rows");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

#[test]
fn a_killed_run_resumes_and_ends_with_the_same_bytes() {
    let place = Place::with_texts();
    place.write("small.toml", long());
    let whole = place.json(&["run", "small.toml", "--out", "runs/whole"]);
    let mut kills = 0;
    while kills < 4 && run_and_kill(&place, 40) {
        kills += 1;
        assert!(!place.path(RUN).exists(), "an unfinished run has no folder under its name");
    }
    assert!(kills >= 2, "too fast to be killed");
    let left = recorded(&place);
    assert!(left >= 40 * kills);
    let document = place.json(&["run", "small.toml", "--out", RUN]);
    assert!(count(&document["resumed"]) >= left - 1, "a torn line at most is lost: {document}");
    assert_eq!(document["rows"], whole["rows"]);
    for file in ["rows.csv", "definition.toml"] {
        let read = |run: &str| fs::read(place.path(run).join(file)).unwrap();
        assert!(read("runs/whole") == read(RUN), "{file} differs");
    }
    assert!(!journal(&place).exists() && !place.path("runs/.small.partial").exists());
}

#[test]
fn a_poisoned_journal_resumes_and_ends_with_the_same_bytes() {
    let place = Place::with_texts();
    place.write("small.toml", long());
    place.text(&["run", "small.toml", "--out", "runs/whole"]);
    assert!(run_and_kill(&place, 40));
    let text = fs::read_to_string(journal(&place)).unwrap();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let poison = lines[9].replacen(",0.", ",NaN,0.", 1);
    lines[9] = &poison;
    lines[20] = "\n";
    fs::write(journal(&place), lines.concat()).unwrap();
    let output = place.run(&["run", "small.toml", "--out", RUN]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for line in
        ["line 10: ", "line 21: the line is empty; the line is removed, and its row is measured again"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    // The third line says that the texts are longer than the context.
    assert_eq!(said.lines().filter(|line| line.starts_with("note: ")).count(), 3, "{said}");
    let rows = |run: &str| fs::read(place.path(run).join("rows.csv")).unwrap();
    assert!(rows("runs/whole") == rows(RUN), "the rows differ");
}

#[test]
fn an_unfinished_run_of_another_definition_is_left_alone() {
    let place = Place::with_texts();
    place.write("small.toml", long());
    assert!(run_and_kill(&place, 10));
    let before = fs::read(journal(&place)).unwrap();
    place.write("small.toml", long().replace("horizon = 16", "horizon = 17"));
    let says = [".small.partial", "unfinished run with another definition", "another --out, or delete"];
    place.refuses(&["run", "small.toml", "--out", RUN], &says);
    place.refuses(&["report", RUN], &["'runs/small' is unfinished", "repeat the command `bitkv run`"]);
    assert_eq!(fs::read(journal(&place)).unwrap(), before);
}

#[test]
fn a_finished_run_is_never_overwritten() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    place.text(&["run", "small.toml", "--out", RUN]);
    let rows = fs::read(place.path(RUN).join("rows.csv")).unwrap();
    place.refuses(
        &["run", "small.toml", "--out", RUN],
        &["'runs/small'", "never overwritten", "another name"],
    );
    assert_eq!(fs::read(place.path(RUN).join("rows.csv")).unwrap(), rows);
}

#[test]
fn two_processes_cannot_write_one_run() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    place.write("runs/.small.partial/.bitkv-journal/lock", "");
    let lock = fs::File::open(place.path("runs/.small.partial/.bitkv-journal/lock")).unwrap();
    lock.lock().unwrap();
    let before = place.entries();
    let output = place.run(&["run", "small.toml", "--out", RUN]);
    let said = String::from_utf8(output.stderr).unwrap();
    // The code says that the same command may succeed later.
    assert_eq!(output.status.code(), Some(75), "{said}");
    for part in [".small.partial", "being written by another process", "another name"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!((said.lines().count(), place.entries()), (1, before));
    lock.unlock().unwrap();
    place.text(&["run", "small.toml", "--out", RUN]);
}

/// A signal lets a run finish its batch. The message says how to resume, and the exit code names the signal.
#[test]
fn a_run_that_is_asked_to_stop_keeps_its_rows() {
    let place = Place::with_texts();
    place.write("small.toml", long());
    let whole = place.json(&["run", "small.toml", "--out", "runs/whole"]);
    let (mut stopped, mut finished) = (0, false);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let before = recorded(&place);
        let mut command = place.command(&["run", "small.toml", "--out", RUN]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        while recorded(&place) < before + 20 && started.elapsed() < PATIENCE {
            sleep(Duration::from_millis(2));
        }
        let sent = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            // The run ended before the signal came.
            finished = true;
            break;
        }
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.contains("runs/small was stopped as asked") && last.contains("the same command resumes it"),
            "{said}"
        );
        assert!(output.stdout.is_empty() && recorded(&place) >= before + 20);
        stopped += 1;
    }
    assert!(stopped > 0, "no signal came in time");
    if !finished {
        let resumed = place.json(&["run", "small.toml", "--out", RUN]);
        assert!(count(&resumed["resumed"]) >= 20);
        assert_eq!(resumed["rows"], whole["rows"]);
    }
    let rows = |run: &str| fs::read(place.path(run).join("rows.csv")).unwrap();
    assert_eq!(rows(RUN), rows("runs/whole"));
}

#[test]
fn a_row_that_was_edited_with_its_checksum_is_refused() {
    let place = Place::with_texts();
    place.write("small.toml", long());
    assert!(run_and_kill(&place, 40));
    let text = fs::read_to_string(journal(&place)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (from, to, column) in [
        (",uniform+recency,", ",uniform+nope,", "policy"),
        (",counting,", ",later,", "text"),
        (",first-gqa,", ",first-mha,", "model"),
    ] {
        let edited = lines.iter().map(|line| match line.split_once(from) {
            Some((before, after)) if line.contains(from) => with_checksum(&format!("{before}{to}{after}")),
            _ => format!("{line}\n"),
        });
        fs::write(journal(&place), edited.collect::<String>()).unwrap();
        let says = ["rows.csv.journal: the row ", &format!(" has {column} = '"), "so it was edited: remove"];
        let output = place.run(&["run", "small.toml", "--out", RUN]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(says.iter().all(|part| said.contains(part)), "{said}");
    }
    fs::write(journal(&place), &text).unwrap();
    place.text(&["run", "small.toml", "--out", RUN]);
}

/// Returns a line with the right checksum in place of its last value.
fn with_checksum(line: &str) -> String {
    let (values, _) = line.rsplit_once(',').unwrap();
    format!("{values},{:08x}\n", crc32fast::hash(values.as_bytes()))
}

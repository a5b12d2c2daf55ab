//! Sizes that cannot be had are refused at once: no command panics, hangs, or takes all memory.

mod support;

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use support::{
    Place,
    grid::{RUN, definition, rows},
};

/// The largest number of 64 bits, which options that count take.
const HUGE: &str = "18446744073709551615";
/// The largest number of TOML.
const LARGEST: &str = "9223372036854775807";
/// The time in which a refusal must come. It is long enough for a machine that does other work too.
const SOON: Duration = Duration::from_secs(2);

/// Asserts that a command was refused soon, in one line, and returns the line.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let started = Instant::now();
    let Output { status, stderr, .. } = command.output().unwrap();
    let (took, said) = (started.elapsed(), String::from_utf8(stderr).unwrap());
    assert!(matches!(status.code(), Some(1 | 2)), "{command:?}: {status}: {said}");
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{command:?}: {said}");
    assert!(said.len() < 2000 && !said.contains("panicked"), "{command:?}: {said}");
    assert!(took < SOON, "{command:?} took {took:?}");
    said
}

#[test]
fn options_with_huge_numbers() {
    let place = Place::with_texts();
    let bench = ["bench", "--shape", "tiny-gqa"];
    for option in ["--prefill", "--decode", "--depth", "--warm-up", "--repeats", "--threads", "--layers"] {
        let said = refused(&mut place.command(&[&bench[..], &[option, HUGE]].concat()));
        assert!(said.contains(option) && said.contains(HUGE), "{said}");
    }
    for lengths in ["999999999999,1,2", "67108864,1"] {
        refused(&mut place.command(&[&bench[..], &["--fit", lengths]].concat()));
    }
    let model = ["--model", "tiny-gqa"];
    let prompt = ["--prompt", "The old house", "--greedy"];
    for arguments in [
        &["advise", "--context", HUGE, "--memory", "1GiB"][..],
        &["memory", "--context", HUGE],
        &["profile", "--context", HUGE],
        &["generate", "--prompt", "The old house", "--max-tokens", HUGE],
        &["generate", "--prompt", "", "--max-tokens", "3"],
        &["verify", "--recalls", HUGE],
        &["verify", "--context-tokens", HUGE],
        &["verify", "--calibration-tokens", HUGE],
        &["verify", "--cell-seconds", "0"],
        &["sweep", "--policies", "snapkv", "--ratios", "2x", "--context-tokens", HUGE],
        &["sweep", "--policies", "snapkv", "--ratios", "2x", "--scored-tokens", HUGE],
        &["sweep", "--policies", "snapkv", "--ratios", "2x", "--cell-seconds", "nan"],
    ] {
        refused(&mut place.command(&[arguments, &model].concat()));
    }
    let said = refused(
        &mut place.command(&[&["generate"], &model[..], &prompt, &["--max-memory", "1KiB"]].concat()),
    );
    assert!(said.contains("1.0 kB are allowed"), "{said}");
}

#[test]
fn shapes_that_no_machine_has() {
    let place = Place::new();
    let config = |heads: &str, hidden: &str, vocabulary: &str| {
        format!(
            r#"{{"architectures": ["BitNetForCausalLM"], "vocab_size": {vocabulary}, "hidden_size": {hidden},
            "intermediate_size": 1048576, "num_hidden_layers": 4096, "num_attention_heads": {heads},
            "num_key_value_heads": {heads}, "tie_word_embeddings": true, "max_position_embeddings": 256}}"#
        )
    };
    for (heads, hidden, vocabulary) in [
        ("1048576", "1048576", "1024"),
        ("8192", "1048576", "16777216"),
        ("8", "65536", "16777216"),
        (HUGE, "1024", "1024"),
        ("8", LARGEST, "1024"),
        ("8", "1024", LARGEST),
    ] {
        place.write("config.json", config(heads, hidden, vocabulary));
        refused(&mut place.command(&["bench", "--shape", "config.json", "--prefill", "8"]));
        refused(&mut place.command(&["random", "--shape", "config.json", "--out", "random"]));
    }
}

#[test]
fn policies_with_huge_options() {
    let place = Place::with_texts();
    let plan = [
        "plan",
        "--quiet",
        "--model",
        "tiny-gqa",
        "--text",
        "texts/later.txt",
        "--first",
        "64",
        "--budget",
        "0.5",
    ];
    for policy in [
        "uniform+expected-attention{future=100000000}",
        "uniform+expected-attention{skip=N}",
        "kvpress:expected_attention{n_future_positions=100000000}",
        "kvpress:critical_expected_attention{n_future_positions=N}",
        "kvpress:adakv_expected_attention{n_future_positions=N}",
        "uniform+window-attention{window=N}",
        "uniform+window-attention{kernel=N}",
        "uniform+recency{sinks=N}",
        "uniform+recency{recent=N}",
        "uniform{whole-layers=N}+recency",
        "uniform{whole-layers=5}+recency",
        "pyramid{beta=1e308}+recency",
        "cake{tau1=1e308}+recency",
        "uniform+cake-attention{gamma=1e308}",
        "kvpress:snapkv{kernel_size=N}",
        "kvpress:lagkv{lag_size=N}",
    ] {
        let policy = policy.replace('N', LARGEST);
        refused(&mut place.command(&[&plan[..], &["--policy", &policy]].concat()));
    }
    let card = place.text(&["list", "policies", "expected-attention"]);
    assert!(card.contains("future 1 to 65536"), "{card}");
}

#[test]
fn definitions_with_huge_numbers() {
    let place = Place::with_texts();
    let many = |count: usize| format!("{:?}", (0..count).collect::<Vec<_>>());
    let plain = definition(&[]);
    let (head, experiment) = plain.split_once("[[experiment]]").unwrap();
    let sections: String = (0..10_000)
        .map(|i| format!("[[experiment]]{}", experiment.replace("small", &format!("e{i}"))))
        .collect();
    let added = |line: &str| format!("{plain}{line}\n");
    for text in [
        format!("{head}{sections}"),
        added(&format!("seeds = {}", many(100_000))),
        added(&format!("draws = 1000\nseeds = {}", many(1000))),
        added("tasks = [{kind = \"passkey\", tokens = 160, count = 10000000}]"),
        added("tasks = [{kind = \"passkey\", tokens = 67108864, count = 1}]"),
        added("tasks = [{kind = \"recall\", tokens = 33554432, count = 1}]"),
        added(&format!("tasks = [{{kind = \"recall\", tokens = {LARGEST}}}]")),
        added("cell_seconds = -1"),
        plain.replace("context = 64", &format!("context = {LARGEST}")),
        plain.replace("horizon = 16", &format!("horizon = {LARGEST}")),
        plain.replace("tokens = 64", &format!("tokens = {LARGEST}")),
        plain.replace("\"uniform+recency\"", "\"uniform+expected-attention{future=100000000}\""),
        plain.replace("\"uniform+recency\"", "\"uniform{whole-layers=500}+recency\""),
    ] {
        place.write("huge.toml", &text);
        for arguments in [&["run", "huge.toml", "--dry-run"][..], &["run", "huge.toml"]] {
            refused(&mut place.command(arguments));
        }
        assert!(!place.path("runs").exists());
    }
}

#[test]
fn more_threads_than_any_machine_runs() {
    let place = Place::new();
    for name in ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"] {
        for value in ["100000", HUGE, "99999999999999999999", "-1", "many"] {
            let said = refused(place.command(&["list", "models"]).env(name, value));
            assert!(said.contains(name) && said.contains("1 to 1024"), "{said}");
        }
        for value in ["", "0", "2"] {
            assert!(place.command(&["list", "models"]).env(name, value).output().unwrap().status.success());
        }
    }
}

#[test]
fn runs_that_need_more_memory_than_is_allowed() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    let said = refused(&mut place.command(&["run", "small.toml", "--out", RUN, "--max-memory", "64KiB"]));
    assert!(said.contains("the run needs about") && said.contains("65.5 kB are allowed"), "{said}");
    assert!(!place.path("runs").exists());
}

/// A cell that takes too long fails, the run continues, and rows do not depend on a limit that is not
/// reached.
#[test]
fn cells_that_take_too_long_fail() {
    let place = Place::with_texts();
    let plain = place.run_grid(&definition(&[]));
    let limited = place.run_grid(&(definition(&[]) + "cell_seconds = 1000\n"));
    assert_eq!(plain, limited);
    place.write("small.toml", definition(&[]));
    let output = place.run(&["run", "small.toml", "--out", RUN, "--cell-seconds", "1e-9"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("took longer than 0.000000001 s"), "{said}");
    let failed = rows(&place.path(RUN));
    assert_eq!(failed.len(), plain.len(), "every cell has a row");
    assert!(failed.iter().all(|row| row.error.as_deref() == Some("took longer than 0.000000001 s")));
    let keys = |rows: &[bitkv_record::GridRow]| rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&failed), keys(&plain), "the limit does not change a key");
}

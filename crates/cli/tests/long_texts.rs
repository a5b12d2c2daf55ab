//! Texts that are longer than what is read of them: the right tokens are used, and a note says how many.

mod support;

use serde_json::Value;
use support::{
    Place, count,
    grid::{RUN, definition, numbers},
    list,
    model::{Copy, MODEL},
};

/// Runs a command that must succeed with `--json`, and returns its document and its notes.
fn noted(place: &Place, arguments: &[&str]) -> (Value, Vec<String>) {
    let output = place.run(&[arguments, &["--json"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    let notes = said.lines().filter_map(|line| line.strip_prefix("note: ")).map(str::to_owned).collect();
    (serde_json::from_slice(&output.stdout).unwrap(), notes)
}

/// Returns the token ids of a text.
fn ids(place: &Place, text: &str) -> Vec<usize> {
    let document = place.json(&["generate", "--model", MODEL, "--prompt", text, "--max-tokens", "1"]);
    list(&document["prompt_tokens"]).iter().map(count).collect()
}

/// A model with 64 positions.
fn short_model(place: &Place) {
    let copy = Copy::new(place, "short");
    copy.change_json("config.json", |config| config["max_position_embeddings"] = 64.into());
}

#[test]
fn the_first_tokens_of_texts_and_token_files_are_used() {
    let place = Place::new();
    let text = numbers(100, 60);
    let all = ids(&place, &text);
    place.write("long.txt", &text);
    place.write("all.json", serde_json::to_string(&all).unwrap());
    place.write("first.json", serde_json::to_string(&all[..20]).unwrap());
    for command in [
        &["plan", "--policy", "uniform+window-attention", "--budget", "0.5"][..],
        &["trace"],
        &["generate", "--max-tokens", "3", "--greedy"],
    ] {
        let noted_with = |input: &[&str]| noted(&place, &[command, &["--model", MODEL], input].concat());
        let (due, notes) = noted_with(&["--tokens", "first.json"]);
        assert_eq!(notes, [""; 0]);
        let named = if command[0] == "plan" { ["--text", "long.txt"] } else { ["--prompt", &text] };
        let name = if command[0] == "plan" { "long.txt" } else { "--prompt" };
        for (input, name) in [(["--tokens", "all.json"], "all.json"), (named, name)] {
            let (mut found, notes) = noted_with(&[&input[..], &["--first", "20"]].concat());
            let mut due = due.clone();
            for document in [&mut found, &mut due] {
                // Times differ between runs.
                document.as_object_mut().unwrap().retain(|key, _| !key.contains("seconds") && key != "texts");
            }
            assert_eq!(found["tokens"], due["tokens"], "{command:?} {input:?}");
            assert_eq!(found["layers"], due["layers"], "{command:?} {input:?}");
            assert_eq!(found["top"], due["top"], "{command:?} {input:?}");
            assert_eq!(found["prompt_tokens"], due["prompt_tokens"], "{command:?} {input:?}");
            assert_eq!(notes, [format!("{name} has {} tokens: the first 20 are used", all.len())]);
        }
        // Shorter texts are used whole.
        let (found, notes) = noted_with(&["--tokens", "first.json", "--first", "21"]);
        assert_eq!((&found["tokens"], &found["layers"]), (&due["tokens"], &due["layers"]));
        assert_eq!(notes, [""; 0]);
    }
}

#[test]
fn a_profile_reads_what_the_model_and_the_texts_have() {
    let place = Place::new();
    short_model(&place);
    place.write("texts/a.txt", numbers(100, 60));
    let a = ids(&place, &numbers(100, 60));
    place.write("first.json", serde_json::to_string(&a[..64]).unwrap());
    let on = |model: &str, more: &[&str]| noted(&place, &[&["profile", "--model", model], more].concat());
    let (due, _) = on(MODEL, &["--tokens", "first.json"]);
    let (found, notes) = on("short", &["--texts", "texts"]);
    assert_eq!((count(&found["context"]), &found["heads"]), (64, &due["heads"]));
    let limit = format!("short has only 64 positions: a has {}", a.len());
    let all = "profile: 1 of 1 texts is longer than 64 tokens: its first 64 are used";
    assert_eq!(
        notes,
        [format!("64 tokens are read of each text instead of 512, because {limit}"), all.into()]
    );
    // A shorter text limits the others.
    place.write("texts/b.txt", "one two three four");
    let b = ids(&place, "one two three four").len();
    assert!((2..64).contains(&b));
    let (found, notes) = on("short", &["--texts", "texts"]);
    assert_eq!(count(&found["context"]), b);
    assert!(
        notes[0]
            .starts_with(&format!("{b} tokens are read of each text instead of 64, because b has only {b}"))
    );
    assert_eq!(notes[1], format!("profile: 1 of 2 texts is longer than {b} tokens: its first {b} are used"));
    // A stated context holds for texts and token files.
    place.write("all.json", serde_json::to_string(&a).unwrap());
    let (found, notes) = on(MODEL, &["--tokens", "all.json", "--context", "64"]);
    assert_eq!(found["heads"], due["heads"]);
    assert_eq!(notes, [format!("all.json has {} tokens: the first 64 are used", a.len())]);
    let short = ["profile", "--model", "short"];
    place.refuses(
        &[&short[..], &["--context", "65"]].concat(),
        &["--context 65 is more than the 64 positions of short"],
    );
    let tokens = [&short[..], &["--tokens", "all.json"]].concat();
    place.refuses(
        &tokens,
        &["positions: shorten it, or give --context N to use its first N tokens, at most 64"],
    );
    let more = ["profile", "--model", MODEL, "--tokens", "first.json", "--context", "65"];
    place.refuses(&more, &["first.json has 64 tokens and --context asks for 65: give --context 64"]);
}

#[test]
fn a_study_says_once_how_much_of_its_texts_is_read() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("[\"first-gqa\"]", "[\"first-gqa\", \"first-mha\"]")]));
    let note = "small: 2 of 2 texts are longer than 81 tokens: their first 81 are used";
    let (_, notes) = noted(&place, &["run", "small.toml", "--dry-run"]);
    assert_eq!(notes, [note]);
    let (_, notes) = noted(&place, &["run", "small.toml", "--out", RUN]);
    assert_eq!(notes, [note]);
    let manifest = std::fs::read(place.path(RUN).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let used = list(&manifest["options"]["text_use"]);
    assert_eq!(used.len(), 2);
    let due = serde_json::json!({
        "study": "small", "model": MODEL, "role": "texts", "tokens": 81, "texts": 2, "longer": 2
    });
    assert_eq!(used[0], due);
}

#[test]
fn a_missing_tokenizer_is_named_and_not_the_length_of_texts() {
    let place = Place::with_texts();
    Copy::new(&place, "mute").without("tokenizer.json");
    place.write("small.toml", definition(&[("first-gqa", "mute")]));
    place.write(
        "profile.toml",
        "analysis = \"How? Refuted if it fails.\"\n[[profile]]\nname = \"p\"\nmodels = [\"mute\"]\ntexts = \"texts\"\nlengths = [32]\n",
    );
    for file in ["small.toml", "profile.toml"] {
        place.refuses(&["run", file], &["mute", "tokenizer"]);
        let said = String::from_utf8(place.run(&["run", file]).stderr).unwrap();
        assert!(!said.contains("too long") && !said.contains("shorter"), "{said}");
    }
}

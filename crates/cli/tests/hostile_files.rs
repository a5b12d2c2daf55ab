//! Hostile input files are refused at once, in one short sentence, and without much memory.

mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    Place,
    model::{Copy, MODEL, original},
};

/// The longest time of a refusal, and the memory that it may take in addition to twice the size of the input.
const LONGEST: Duration = Duration::from_secs(5);
const MEMORY: u64 = 64 << 20;

/// Asserts that a command is refused in time, in one sentence of at most 700 characters. None of them is one
/// that a terminal obeys. `size` is the size of the input in bytes.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], size: u64, says: &[&str]) {
    let started = Instant::now();
    let mut child = place
        .command(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_bytes(child.id()));
        assert!(started.elapsed() < 4 * LONGEST, "{arguments:?} does not end");
        thread::sleep(Duration::from_millis(2));
    }
    let seconds = started.elapsed();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    let errors: Vec<&str> = said.lines().filter(|line| !line.starts_with("note: ")).collect();
    assert!(errors.len() == 1 && errors[0].starts_with("error: "), "{arguments:?}: {said}");
    assert!(said.chars().count() <= 700, "{arguments:?}: {said}");
    assert!(!said.contains(['\u{202e}', '\u{1b}']), "{arguments:?}: {said:?}");
    for part in says {
        assert!(said.contains(part), "{arguments:?} does not say {part}: {said}");
    }
    assert!(seconds < LONGEST, "{arguments:?} takes {seconds:?}");
    assert!(peak <= 2 * size + MEMORY, "{arguments:?} takes {peak} bytes for {size}: {said}");
}

/// Returns the peak memory of a process so far; 0 if it has ended.
fn peak_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// A command that generates one token with a model.
fn generate(model: &str) -> [&str; 7] {
    ["generate", "--model", model, "--max-tokens", "1", "--prompt", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa!"]
}

/// A way to put something else than a regular file at a path, and what is said about it.
type Special = (fn(&std::path::Path), &'static str);

const SPECIAL: [Special; 4] = [
    (|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()), "it is a pipe"),
    (|path| fs::create_dir(path).unwrap(), "it is a folder"),
    (|path| symlink("/dev/zero", path).unwrap(), "it is a pipe, a socket or a device"),
    (|path| symlink("nowhere", path).unwrap(), "No such file or directory"),
];

#[test]
fn files_of_a_model_that_are_not_regular() {
    for (make, says) in SPECIAL {
        let place = Place::new();
        for file in [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "chat_template.jinja",
            "generation_config.json",
        ] {
            if (file, says) == ("generation_config.json", "No such file or directory") {
                continue;
            }
            Copy::new(&place, "m");
            let path = place.path("m").join(file);
            drop(fs::remove_file(&path));
            make(&path);
            let chat: &[&str] = if file.starts_with("chat") { &["--chat"] } else { &[] };
            refused(
                &place,
                &[&generate("m")[..], chat].concat(),
                0,
                &[&format!("cannot read m/{file}: {says}")],
            );
            let removed = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
            removed.unwrap();
        }
    }
}

#[test]
fn files_of_a_user_that_are_not_regular() {
    for (make, says) in &SPECIAL[..3] {
        let place = Place::new();
        make(&place.path("x"));
        place.write("text.txt", "some words and more words");
        let plan = ["plan", "--model", MODEL, "--budget", "0.5"];
        let recency = ["--policy", "uniform+recency"];
        for arguments in [
            &[&generate(MODEL)[..5], &["--tokens", "x"]].concat()[..],
            &["profile", "--model", MODEL, "--tokens", "x"],
            &["trace", "--model", MODEL, "--tokens", "x"],
            &[&plan[..], &recency, &["--text", "x"]].concat(),
            &[&["plan", "--tensors", "x", "--budget", "0.5"], &recency[..]].concat(),
            &[&plan[..], &["--policy", "entropy+recency", "--text", "text.txt", "--profile", "x"]].concat(),
            &[&plan[..], &["--policy", "headkv", "--text", "text.txt", "--head-scores", "x"]].concat(),
            &["train", "--recipe", "x", "--corpus", ".", "--out", "run"],
        ] {
            refused(&place, arguments, 0, &["x", says]);
        }
    }
}

/// Asserts that a changed `tokenizer.json` is refused.
#[track_caller]
fn tokenizer_refused(says: &[&str], change: impl FnOnce(&mut Value)) {
    let place = Place::new();
    Copy::new(&place, "m").change_json("tokenizer.json", change);
    let size = fs::metadata(place.path("m/tokenizer.json")).unwrap().len();
    refused(&place, &generate("m"), size, says);
}

#[test]
fn expressions_that_take_too_long() {
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    for expression in ["(a+)+$", "((a+)+)+$", r"(\w+\s?)+$", "(?=(a+)+$)", r"(a+)+\1$"] {
        let pattern = json!({"Regex": expression});
        tokenizer_refused(&["m/tokenizer.json", expression], |json| {
            let split = json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
            json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [split, bytes]});
        });
        tokenizer_refused(&["m/tokenizer.json", expression], |json| {
            json["normalizer"] = json!({"type": "Replace", "pattern": pattern, "content": "x"});
        });
    }
}

#[test]
fn tokenizers_that_crash_or_multiply_a_text() {
    for pattern in [json!({"String": ""}), json!({"Regex": ""})] {
        tokenizer_refused(&["m/tokenizer.json", "replaces the empty text"], |json| {
            json["normalizer"] = json!({"type": "Replace", "pattern": pattern, "content": "x"});
        });
    }
    for rules in ["AAAA", "BAAAAAAAAABhAA==", "CAAAAP//////////YQA=", "!!!"] {
        tokenizer_refused(&["m/tokenizer.json"], |json| {
            json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": rules});
        });
    }
    let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let prepend = json!({"type": "Prepend", "prepend": "a".repeat(1000)});
    for step in [double, prepend] {
        tokenizer_refused(&["m/tokenizer.json", "more than 100 times as long"], |json| {
            json["normalizer"] = json!({"type": "Sequence", "normalizers": vec![step; 60]});
        });
    }
    tokenizer_refused(&["m/tokenizer.json", "no merges"], |json| json["model"]["merges"] = json!([]));
    tokenizer_refused(&["m/tokenizer.json", "values"], |json| json["normalizer"] = json!(vec![0; 300_000]));
}

#[test]
fn chat_templates_that_do_not_end() {
    let place = Place::new();
    let model = Copy::new(&place, "m");
    let lists = |end: &str| format!("{{% set s = [1] %}}{}{end}", "{% set s = [s, s, s, s] %}".repeat(40));
    let cases = [
        (format!("{{{{ 'a'{} }}}}", "|upper".repeat(50_000)), "more than 2000"),
        (format!("{{{{ {}true }}}}", "not ".repeat(100_000)), "more than 2000"),
        (format!("{{{{ {}1 }}}}", "-".repeat(100_000)), "more than 2000"),
        (format!("{{{{ {}{} }}}}", "(".repeat(900), ")".repeat(900)), "recursion"),
        ("{% if true %}".repeat(2_000) + &"{% endif %}".repeat(2_000), "recursion"),
        ("{% set s = 'xxxxxxxx' %}".to_owned() + &"{% set s = s + s %}".repeat(40), "too long"),
        ("{{ 'x' * 1000000000 }}".into(), "too large"),
        ("{% for i in range(1000000000) %}x{% endfor %}".into(), "range"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".into(), "steps"),
        ("{% macro f(n) %}{{ f(n) ~ f(n) }}{% endmacro %}{{ f(1) }}".into(), "recursion"),
        (lists("{{ s }}"), "too long"),
        (lists("{{ s|tojson }}{{ s == [s] }}{{ s|lower }}{{ {s: 1} }}"), "too long"),
        (
            "{% set n = namespace(s=1) %}{% set n.s = n %}{{ n == n }}".into(),
            "a namespace inside a namespace",
        ),
        ("{{ raise_exception('\u{202e}\u{1b}[31m' ~ 'x' * 5000) }}".into(), "xxx"),
        (String::new(), "it is empty"),
    ];
    for (template, says) in cases {
        model.with("chat_template.jinja", &template);
        let arguments = [&generate("m")[..], &["--chat"]].concat();
        refused(&place, &arguments, template.len() as u64, &["m/chat_template.jinja", says]);
    }
}

#[test]
fn documents_of_many_values() {
    let place = Place::new();
    let model = Copy::new(&place, "m");
    for file in ["config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"]
    {
        let before = fs::read(original(file)).unwrap_or_default();
        let whole = format!("{{\"x\": [{}0]}}", "0,".repeat(4 << 20));
        model.with(file, &whole);
        let says = [format!("m/{file}"), "values, and at most 200000".into()];
        refused(&place, &generate("m"), whole.len() as u64, &[&says[0], &says[1]]);
        model.with(file, vec![b' '; 17 << 20]);
        refused(&place, &generate("m"), 17 << 20, &[&says[0], "it has 17825792 bytes, and at most 16777216"]);
        if before.is_empty() { model.without(file) } else { model.with(file, before) }
    }
}

/// Returns a safetensors file with a header and one byte of data.
fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), b"x"].concat()
}

#[test]
fn headers_of_safetensors_files() {
    let place = Place::new();
    let model = Copy::new(&place, "m");
    let tensors: Vec<String> = (0..70_000)
        .map(|i| format!("\"t{i}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}"))
        .collect();
    let info = "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}";
    let cases = [
        (format!("{{\"a\":[{}0]}}", "0,".repeat(2_000_000)), "values"),
        (info.replace("[1]", &format!("[{}1]", "1,".repeat(2_000_000))), "values"),
        (format!("{{{}}}", tensors.join(",")), "values"),
        (format!("{{\"{}\":{info}}}", "x".repeat(9 << 20)), "its header has"),
        (format!("{{\"{}\":{info}}}", "x\u{202e}".repeat(1 << 20)), "lacks the tensor"),
    ];
    for (header, says) in cases {
        let bytes = safetensors(&header);
        let size = bytes.len() as u64;
        model.with("model.safetensors", bytes);
        refused(&place, &generate("m"), size, &["m/model.safetensors", says]);
    }
}

/// Returns a GGUF file of some keys and tensors.
fn gguf(keys: u64, tensors: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([tensors, keys].iter().flat_map(|count| count.to_le_bytes()));
    let name = |i: u64| {
        let name = format!("n{i}");
        [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat()
    };
    (0..keys).for_each(|i| bytes.extend([name(i), vec![4, 0, 0, 0, 1, 0, 0, 0]].concat()));
    for i in 0..tensors {
        bytes.extend(name(i));
        bytes.extend([1_u32.to_le_bytes(), 1_u32.to_le_bytes(), [0; 4], [0; 4], [0; 4], [0; 4]].concat());
    }
    bytes
}

#[test]
fn headers_of_gguf_files() {
    let place = Place::new();
    for (keys, tensors, says) in
        [(200_000, 0, "200000 keys, and at most 10000"), (0, 200_000, "200000 tensors, and at most 50000")]
    {
        let bytes = gguf(keys, tensors);
        let size = bytes.len() as u64;
        place.write("x.gguf", bytes);
        refused(&place, &generate("x.gguf"), size, &["x.gguf", says]);
    }
}

#[test]
fn long_texts_are_read_only_as_far_as_they_are_needed() {
    let place = Place::new();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(200_000);
    place.write("long.txt", &text);
    let plan =
        ["plan", "--model", MODEL, "--policy", "uniform+recency", "--budget", "0.5", "--text", "long.txt"];
    refused(&place, &plan, text.len() as u64, &["long.txt has more than the", "positions"]);
    let started = Instant::now();
    let first = [&plan[..], &["--first", "64"]].concat();
    let long = place.text(&first);
    assert!(started.elapsed() < LONGEST);
    place.write("long.txt", &text[..5_000]);
    assert_eq!(long, place.text(&first));
    place.write("long.txt", "a".repeat(5 << 20));
    refused(&place, &plan, 5 << 20, &["a passage of 5242880 bytes"]);
    place.write("long.txt", vec![b'a'; 17 << 20]);
    refused(&place, &plan, 17 << 20, &["long.txt: it has 17825792 bytes, and at most 16777216"]);
}

#[test]
fn names_in_messages() {
    let place = Place::new();
    let model = Copy::new(&place, "m");
    let name = "\u{202e}\u{1b}[2Jx ".repeat(2_000);
    model.change_json("config.json", |config| config["architectures"] = json!([name]));
    refused(&place, &generate("m"), 0, &["m/config.json"]);
    model.change_json("config.json", |config| config["hidden_size"] = json!(name));
    refused(&place, &generate("m"), 0, &["m/config.json", "`hidden_size`", "integer"]);
    model.with("config.json", fs::read(original("config.json")).unwrap());
    model.change_json("tokenizer.json", |tokenizer| tokenizer["model"]["type"] = json!(name));
    refused(&place, &generate("m"), 0, &["m/tokenizer.json", "use the tokenizer.json"]);
    let long = "x".repeat(5_000);
    refused(&place, &generate(&long), 0, &["there is no model", "hub"]);
    refused(&place, &["plan", "--model", MODEL, "--text", "x", "--policy", &long, "--budget", "0.5"], 0, &[]);
}

/// The name of a tensor, and a change that damages it.
type Change = (&'static str, fn(&mut support::model::Tensor));

#[test]
fn inspect_says_why_a_model_cannot_be_run() {
    let place = Place::new();
    let sound = place.json(&["inspect", MODEL, "--summary"]);
    assert!(sound["cannot_be_run"].is_null());
    let model = Copy::new(&place, "m");
    model.without("tokenizer.json");
    assert!(place.json(&["inspect", "m"])["cannot_be_run"].is_null());
    let up = "model.layers.1.mlp.up_proj.weight";
    let changes: [Change; 2] = [
        ("model.norm.weight", |tensor| tensor.data[..4].fill(0xff)),
        (up, |tensor| tensor.shape = vec![1, tensor.shape.iter().product()]),
    ];
    for (name, change) in changes {
        model.change_tensors(|tensors| change(tensors.get_mut(name).unwrap()));
        let document = place.json(&["inspect", "m"]);
        place.write("ids.json", "[5]");
        let reason = document["cannot_be_run"].as_str().unwrap();
        assert!(reason.contains(name) && !document["tensors"].as_array().unwrap().is_empty(), "{reason}");
        let refusal = place.run(&["generate", "--model", "m", "--tokens", "ids.json"]);
        assert_eq!(String::from_utf8(refusal.stderr).unwrap(), format!("error: {reason}\n"));
        let text = place.text(&["inspect", "m"]);
        assert!(text.ends_with(&format!("cannot be run: {reason}\n")), "{text}");
        assert_eq!(place.run(&["doctor", "m"]).status.code(), Some(1));
    }
}

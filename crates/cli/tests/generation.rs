//! `bitkv generate`: several prompts, standard input, and the ways to choose and to stop.

mod support;

use std::{
    io::Write,
    process::{Output, Stdio},
};

use serde_json::Value;
use support::{
    Place, count, keys, list,
    model::{MODEL, size},
    number,
};

const PROMPTS: [&str; 3] = ["the house was", "Once", "and then a long, long road went down to the sea"];

fn arguments<'a>(prompts: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let prompts = prompts.iter().flat_map(|prompt| ["--prompt", prompt]);
    ["generate", "--model", MODEL, "--max-tokens", "16"]
        .into_iter()
        .chain(prompts)
        .chain(more.iter().copied())
        .collect()
}

fn greedy(place: &Place, prompts: &[&str], more: &[&str]) -> Value {
    place.json(&arguments(prompts, &[&["--greedy"], more].concat()))
}

fn ids(value: &Value) -> Vec<usize> {
    list(value).iter().map(count).collect()
}

#[test]
fn several_prompts_are_each_as_if_alone() {
    let place = Place::new();
    for more in
        [&["--greedy"][..], &["--greedy", "--kv", "f32"], &["--greedy", "--repetition-penalty", "1.3"]]
    {
        let together = place.json(&arguments(&PROMPTS, more));
        let sequences = list(&together["sequences"]);
        assert_eq!(sequences.len(), 3);
        assert!(together.get("tokens").is_none(), "tokens are those of a sequence");
        for (sequence, prompt) in sequences.iter().zip(PROMPTS) {
            let alone = place.json(&arguments(&[prompt], more));
            assert_eq!(
                keys(sequence),
                [
                    "cache_bytes",
                    "evictions",
                    "head",
                    "kept_entries",
                    "most_cache_bytes",
                    "prompt_tokens",
                    "stop",
                    "text",
                    "tokens"
                ]
            );
            for key in keys(sequence) {
                assert_eq!(sequence[key], alone[key], "{key} of {prompt} with {more:?}");
            }
        }
        let held: usize = sequences.iter().map(|sequence| count(&sequence["cache_bytes"])).sum();
        assert_eq!(count(&together["cache_bytes"]), held);
    }
}

#[test]
fn several_texts_are_numbered() {
    let place = Place::new();
    let together = greedy(&place, &PROMPTS, &[]);
    let texts: Vec<&str> = list(&together["sequences"]).iter().map(|s| s["text"].as_str().unwrap()).collect();
    let expected = format!("[1]\n{}\n\n[2]\n{}\n\n[3]\n{}\n", texts[0], texts[1], texts[2]);
    assert_eq!(place.text(&arguments(&PROMPTS, &["--greedy"])), expected);
}

#[test]
fn several_files_of_tokens() {
    let place = Place::new();
    place.tokens("long.json", 40);
    place.tokens("short.json", 3);
    let base = ["generate", "--model", MODEL, "--greedy", "--max-tokens", "6"];
    let together = place.json(&[&base[..], &["--tokens", "long.json", "--tokens", "short.json"]].concat());
    for (file, sequence) in ["long.json", "short.json"].iter().zip(list(&together["sequences"])) {
        let alone = place.json(&[&base[..], &["--tokens", file]].concat());
        assert_eq!(
            (&alone["tokens"], &alone["prompt_tokens"]),
            (&sequence["tokens"], &sequence["prompt_tokens"])
        );
    }
    place.refuses(
        &[&base[..], &["--tokens", "long.json", "--tokens", "absent.json"]].concat(),
        &["absent.json", "No such"],
    );
}

#[test]
fn each_of_several_caches_is_evicted() {
    let place = Place::new();
    let heads = size("num_hidden_layers") * size("num_key_value_heads");
    for policy in ["uniform+key-norm", "uniform+window-attention"] {
        let eviction = ["--policy", policy, "--budget", "0.5"];
        let together = greedy(&place, &PROMPTS, &eviction);
        for (sequence, prompt) in list(&together["sequences"]).iter().zip(PROMPTS) {
            let alone = greedy(&place, &[prompt], &eviction);
            let (kept, length) = (count(&sequence["kept_entries"]), list(&sequence["prompt_tokens"]).len());
            assert!(kept > 0 && kept.abs_diff(length * heads / 2) <= heads, "{kept} of {length} tokens");
            assert_eq!(
                (&sequence["tokens"], &sequence["kept_entries"]),
                (&alone["tokens"], &alone["kept_entries"])
            );
        }
    }
}

/// Runs a command with `input` on standard input.
fn run_with_input(place: &Place, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = place.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The write fails if the command ends without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn a_prompt_from_standard_input() {
    let place = Place::new();
    let alone = greedy(&place, &["the house was"], &[]);
    let with = ["--greedy", "--json"];
    for input in ["the house was", "the house was\n"] {
        let output = run_with_input(&place, &arguments(&["-"], &with), input.as_bytes());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        for key in ["prompt_tokens", "tokens", "text"] {
            assert_eq!(document[key], alone[key], "{input:?}");
        }
    }
    // With a second prompt, the texts are in the order of the arguments.
    let output = run_with_input(&place, &arguments(&["Once", "-"], &with), b"the house was");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["sequences"][1]["tokens"], alone["tokens"]);
}

#[test]
fn standard_input_that_is_not_a_prompt() {
    let place = Place::new();
    let cases: [(&[&str], &[u8], &str); 3] = [
        (&["-", "-"], b"text", "give --prompt - once"),
        (&["-"], b" \n", "standard input is empty"),
        (&["-"], b"caf\xe9", "UTF-8"),
    ];
    for (prompts, input, says) in cases {
        let output = run_with_input(&place, &arguments(prompts, &[]), input);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.starts_with("error: ") && said.contains(says) && output.stdout.is_empty(), "{said}");
    }
}

#[test]
fn the_summary_says_that_the_context_is_full() {
    let place = Place::new();
    let positions = support::model::size("max_position_embeddings");
    place.tokens("tokens.json", positions as u32 - 2);
    let output = place.run(&["generate", "--model", MODEL, "--tokens", "tokens.json", "--max-tokens", "9"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with(&format!(", stopped at the model's {positions} positions\n")), "{said}");
    assert!(said.contains("(weights, cache and activations: "), "{said}");
}

#[test]
fn top_k_of_1_is_greedy() {
    let place = Place::new();
    let drawn = |more: &[&str]| place.json(&arguments(&PROMPTS[..1], more))["tokens"].clone();
    let plain = drawn(&["--greedy"]);
    for seed in ["1", "2", "3"] {
        assert_eq!(drawn(&["--top-k", "1", "--temperature", "2", "--seed", seed]), plain);
    }
    // Without a limit, this temperature draws other tokens. The value 0 means no limit.
    let free = ["--temperature", "2", "--top-p", "1", "--seed", "1"];
    assert_ne!(drawn(&free), plain);
    assert_eq!(drawn(&[&free[..], &["--top-k", "0"]].concat()), drawn(&free));
    assert_ne!(drawn(&[&free[..], &["--top-k", "2"]].concat()), drawn(&free));
}

#[test]
fn the_repetition_penalty_reduces_repetitions() {
    let place = Place::new();
    let prompt = ["one one one one one one one one"];
    let plain = greedy(&place, &prompt, &[]);
    assert_eq!(greedy(&place, &prompt, &["--repetition-penalty", "1"])["tokens"], plain["tokens"]);
    let seen = |document: &Value| {
        let mut all = [ids(&document["prompt_tokens"]), ids(&document["tokens"])].concat();
        let length = all.len();
        all.sort_unstable();
        all.dedup();
        length - all.len()
    };
    let fewer = greedy(&place, &prompt, &["--repetition-penalty", "5"]);
    assert!(seen(&fewer) < seen(&plain), "{} repetitions are not less than {}", seen(&fewer), seen(&plain));
    for penalty in ["0", "-1", "NaN", "inf"] {
        let with = arguments(&prompt, &["--repetition-penalty", penalty]);
        let says = format!("--repetition-penalty is {penalty}, but must be a positive number: use 1");
        place.refuses(&with, &[&says]);
    }
}

#[test]
fn stop_tokens() {
    let place = Place::new();
    let plain = greedy(&place, &["hi"], &[]);
    assert_eq!(plain["stop"], "max tokens");
    let tokens = ids(&plain["tokens"]);
    let word = ids(&greedy(&place, &[" the"], &[])["prompt_tokens"])[1];
    let at = tokens.iter().position(|id| *id == word).expect("a usual word");
    let id = word.to_string();
    // As an id, as the vocabulary writes it, as text, and as the second of two options.
    for stop in [&[&*id][..], &["Ġthe"], &[" the"], &["2047", &id]] {
        let with: Vec<&str> = stop.iter().flat_map(|token| ["--stop", token]).collect();
        let stopped = greedy(&place, &["hi"], &with);
        assert_eq!(
            (ids(&stopped["tokens"]), &stopped["stop"]),
            (tokens[..at].to_vec(), &"stop token".into()),
            "{stop:?}"
        );
    }
    let says: [(&str, &[&str]); 2] = [
        ("99999", &["--stop 99999", "outside the vocabulary of first-gqa", "2048 ids"]),
        ("the the", &["--stop the the", "not one token"]),
    ];
    for (stop, says) in says {
        place.refuses(&arguments(&["hi"], &["--stop", stop]), says);
    }
}

#[test]
fn speed_and_memory() {
    let place = Place::new();
    let document = greedy(&place, &PROMPTS, &[]);
    let made: usize = list(&document["sequences"]).iter().map(|s| list(&s["tokens"]).len()).sum();
    let speed = made as f64 / number(&document["decode_seconds"]);
    assert!((number(&document["tokens_per_second"]) / speed - 1.0).abs() < 1e-6, "{document}");
    assert!(number(&document["load_seconds"]) > 0.0);
    // The weights need more than 1 MB, and everything together less than 100 MB.
    let (peak, needed) = (number(&document["peak_rss_bytes"]), number(&document["needed_bytes"]));
    assert!((1e6..1e8).contains(&needed) && (needed..1e8).contains(&peak), "{document}");
}

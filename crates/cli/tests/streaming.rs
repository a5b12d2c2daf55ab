//! `bitkv generate` evicts while it generates, and streams without end.

mod support;

use serde_json::Value;
use support::{
    Place, count, list,
    model::{MODEL, size},
};

/// The model reads 1024 positions; the prompt has 60 tokens.
fn place() -> Place {
    let place = Place::new();
    place.tokens("tokens.json", 60);
    place
}

fn generate(place: &Place, tokens: &str, more: &[&str]) -> Value {
    let base = ["generate", "--model", MODEL, "--tokens", "tokens.json", "--greedy", "--max-tokens", tokens];
    place.json(&[&base[..], more].concat())
}

fn heads() -> usize {
    size("num_hidden_layers") * size("num_key_value_heads")
}

/// The bytes of a token in all heads: keys and values in f16, or codes with a scale and a minimum each.
fn token_bytes(kv: &str) -> usize {
    let width = size("head_dim");
    heads() * if kv == "int8" { 2 * (width + 4) } else { 4 * width }
}

const STREAM: [&str; 8] =
    ["--policy", "streaming-llm", "--budget-tokens", "32", "--every", "16", "--positions", "rerotated"];

#[test]
fn streaming_goes_beyond_the_positions_of_the_model_in_constant_memory() {
    let place = place();
    for kv in ["f16", "int8"] {
        let document = generate(&place, "3100", &[&STREAM[..], &["--kv", kv, "--ignore-eos"]].concat());
        assert_eq!(
            (list(&document["tokens"]).len(), &document["stop"]),
            (3100, &"max tokens".into()),
            "{kv}"
        );
        // The last token is not run.
        let steps = 3099;
        // Eviction after the prompt, and then after every 16 tokens.
        assert_eq!(count(&document["evictions"]), 1 + steps / 16, "{kv}");
        assert_eq!(count(&document["kept_entries"]), 32 * heads(), "{kv}");
        let held = 32 + steps % 16;
        assert_eq!(count(&document["cache_bytes"]), held * token_bytes(kv), "{kv}");
        // The prompt is read in f16 and is the most that the cache ever holds.
        assert_eq!(count(&document["most_cache_bytes"]), 60 * token_bytes("f16"), "{kv}");
        let windows = list(&document["decode_windows"]);
        let tokens: Vec<usize> = windows.iter().map(|window| count(&window["tokens"])).collect();
        assert_eq!(tokens, [1000, 1000, 1000, 99], "{kv}");
        for window in windows {
            assert_eq!(count(&window["most_cache_bytes"]), 48 * token_bytes(kv), "{kv}");
        }
    }
}

#[test]
fn original_positions_end_with_those_of_the_model() {
    let place = place();
    let document = generate(&place, "3000", &STREAM[..6]);
    let (made, stop) = (list(&document["tokens"]).len(), &document["stop"]);
    assert!(made <= 1024 - 60 + 1 && (*stop == "context full" || *stop == "stop token"), "{made} {stop}");
}

/// A full budget evicts nothing, so the tokens are those of the full cache, also if keys are rotated when
/// they are read.
#[test]
fn nothing_changes_if_nothing_is_evicted() {
    let place = place();
    let plain = generate(&place, "200", &["--kv", "f32"]);
    for policy in ["streaming-llm", "snapkv", "h2o", "uniform+key-norm"] {
        let whole =
            ["--policy", policy, "--budget", "1", "--every", "7", "--positions", "rerotated", "--kv", "f32"];
        let same = generate(&place, "200", &whole);
        assert_eq!(same["tokens"], plain["tokens"], "{policy}");
        assert_eq!(same["cache_bytes"], plain["cache_bytes"], "{policy}");
    }
}

/// A fraction means the entries that it keeps of the prompt, as in a run.
#[test]
fn a_fraction_refers_to_the_prompt() {
    let place = place();
    for policy in ["uniform+window-attention", "h2o", "uniform+random", "streaming-llm"] {
        let eviction = ["--policy", policy, "--every", "8"];
        let part = generate(&place, "100", &[&eviction[..], &["--budget", "0.5"]].concat());
        let tokens = generate(&place, "100", &[&eviction[..], &["--budget-tokens", "30"]].concat());
        assert_eq!(
            (&part["tokens"], count(&part["kept_entries"])),
            (&tokens["tokens"], 30 * heads()),
            "{policy}"
        );
    }
}

#[test]
fn a_prompt_in_chunks_may_be_longer_than_the_model_reads() {
    let place = place();
    place.tokens("long.json", 1500);
    let base = ["generate", "--model", MODEL, "--tokens", "long.json", "--greedy", "--max-tokens", "5"];
    let refused = [&base[..], &STREAM].concat();
    place.refuses(&refused, &["1500 tokens", "1024 positions", "--prefill-chunk"]);
    let document = place.json(&[&refused[..], &["--prefill-chunk", "100"]].concat());
    assert_eq!(list(&document["prompt_tokens"]).len(), 1500);
    assert_eq!((count(&document["evictions"]), count(&document["kept_entries"])), (15, 32 * heads()));
    assert_eq!(count(&document["most_cache_bytes"]), 132 * token_bytes("f16"));
}

#[test]
fn policies_that_cannot_evict_repeatedly_are_refused_by_name() {
    let place = place();
    let base = ["generate", "--model", MODEL, "--tokens", "tokens.json"];
    let every = ["--budget", "0.5", "--every", "8"];
    let refused = [&base[..], &["--policy", "uniform+kvzip"], &every].concat();
    place.refuses(&refused, &["kvzip", "cannot evict repeatedly"]);
    place.refuses(
        &[&base[..], &["--positions", "rerotated"]].concat(),
        &["--positions rerotated has no effect without a policy"],
    );
}

#[test]
fn a_temperature_of_0_is_greedy() {
    let place = place();
    let base = ["generate", "--model", MODEL, "--tokens", "tokens.json", "--max-tokens", "20"];
    let greedy = place.json(&[&base[..], &["--greedy"]].concat());
    let zero = place.json(&[&base[..], &["--temperature", "0", "--seed", "5"]].concat());
    assert_eq!(zero["tokens"], greedy["tokens"]);
    place.refuses(&[&base[..], &["--temperature", "-1"]].concat(), &["--temperature is -1"]);
}

//! `bitkv generate`: the document, determinism, and eviction.

mod support;

use serde_json::Value;
use support::{
    Place, count, keys, list,
    model::{Copy, MODEL, size},
    number,
};

const PROMPT: usize = 60;

fn place() -> Place {
    let place = Place::new();
    place.tokens("tokens.json", PROMPT as u32);
    place
}

fn generate(place: &Place, more: &[&str]) -> Value {
    at_most(place, "12", more)
}

fn at_most(place: &Place, tokens: &str, more: &[&str]) -> Value {
    let base = ["generate", "--model", MODEL, "--tokens", "tokens.json", "--max-tokens", tokens];
    place.json(&[&base[..], more].concat())
}

/// Returns the bytes of a cache that holds `entries` keys and values in f16.
fn bytes(entries: usize) -> usize {
    entries * size("head_dim") * 4
}

fn heads() -> usize {
    size("num_hidden_layers") * size("num_key_value_heads")
}

#[test]
fn the_document() {
    let place = place();
    let document = generate(&place, &["--greedy"]);
    for key in ["prompt_tokens", "tokens", "text", "prefill_seconds", "decode_seconds"] {
        assert!(keys(&document).contains(&key), "{key}");
    }
    assert_eq!(list(&document["prompt_tokens"]).len(), PROMPT);
    let made = list(&document["tokens"]);
    assert!(made.len() <= 12 && made.iter().all(|id| count(id) < size("vocab_size")));
    assert!(document["text"].is_string());
    assert!(number(&document["prefill_seconds"]) > 0.0 && number(&document["decode_seconds"]) >= 0.0);
    assert_eq!((&document["policy"], &document["kept_entries"]), (&Value::Null, &Value::Null));
}

#[test]
fn greedy_generation_is_deterministic_and_unchanged_with_a_full_cache() {
    let place = place();
    let plain = generate(&place, &["--greedy"]);
    assert_eq!(generate(&place, &["--greedy"])["tokens"], plain["tokens"]);
    for policy in ["full", "uniform+window-attention", "uniform+random"] {
        let whole = generate(&place, &["--greedy", "--policy", policy, "--budget", "1.0"]);
        assert_eq!(whole["tokens"], plain["tokens"], "{policy}");
        assert_eq!(whole["cache_bytes"], plain["cache_bytes"], "{policy}");
        assert_eq!(count(&whole["kept_entries"]), PROMPT * heads(), "{policy}");
    }
}

#[test]
fn evicted_entries_make_the_cache_smaller() {
    let place = place();
    let held = |document: &Value| count(&document["cache_bytes"]);
    let plain = at_most(&place, "1", &["--greedy"]);
    assert_eq!(held(&plain), bytes(PROMPT * heads()));
    for (budget, kept) in [("0.5", 30), ("0.1", 6)] {
        let eviction = ["--greedy", "--policy", "uniform+key-norm", "--budget", budget];
        let evicted = at_most(&place, "1", &eviction);
        assert_eq!(
            (count(&evicted["kept_entries"]), held(&evicted)),
            (kept * heads(), bytes(kept * heads()))
        );
    }
}

#[test]
fn the_seed_decides_which_tokens_are_drawn() {
    let place = place();
    let drawn = |seed| generate(&place, &["--temperature", "1.5", "--top-p", "1", "--seed", seed]);
    assert_eq!(drawn("7")["tokens"], drawn("7")["tokens"]);
    let others: Vec<Value> = ["8", "9", "10"].map(|seed| drawn(seed)["tokens"].clone()).to_vec();
    assert!(others.iter().any(|tokens| *tokens != drawn("7")["tokens"]), "three other seeds draw the same");
}

#[test]
fn the_streamed_text_is_the_text_of_the_document() {
    let place = place();
    let base = ["generate", "--model", MODEL, "--prompt", "Once there was", "--greedy", "--max-tokens", "16"];
    let document = place.json(&base);
    assert_eq!(place.text(&base), format!("{}\n", document["text"].as_str().unwrap()));
    assert!(list(&document["prompt_tokens"]).len() > 1);
}

#[test]
fn tokens_need_no_tokenizer() {
    let place = place();
    Copy::new(&place, "mute").without("tokenizer.json");
    let base = ["generate", "--model", "mute", "--tokens", "tokens.json", "--max-tokens", "12", "--greedy"];
    let mute = place.json(&base);
    assert_eq!((&mute["tokens"], &mute["text"]), (&generate(&place, &["--greedy"])["tokens"], &Value::Null));
    assert_eq!(place.text(&base).trim().replace(' ', ""), mute["tokens"].to_string());
}

#[test]
fn an_int8_lm_head_gives_the_tokens_of_the_exact_one() {
    let place = place();
    let drawn = ["--top-k", "20", "--seed", "3", "--temperature", "1.5"];
    for sampling in [&["--greedy"][..], &drawn, &["--greedy", "--repetition-penalty", "1.3"]] {
        let exact = generate(&place, sampling);
        let rounded = generate(&place, &[sampling, &["--lm-head", "int8"]].concat());
        assert_eq!(rounded["tokens"], exact["tokens"], "{sampling:?}");
        assert_eq!(
            (&exact["head"]["precision"], &rounded["head"]["precision"]),
            (&"exact".into(), &"int8".into())
        );
        let [max, rms] = ["max_error", "rms_error"].map(|key| number(&rounded["head"][key]));
        assert!(0.0 < rms && rms < max && max < 0.05, "{max} {rms}");
        assert!(count(&rounded["head"]["rescored_rows"]) >= list(&exact["tokens"]).len());
    }
    let all = ["generate", "--model", MODEL, "--tokens", "tokens.json", "--lm-head", "int8"];
    place.refuses(&all, &["--lm-head int8", "--greedy or --top-k"]);
}

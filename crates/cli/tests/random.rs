//! `bitkv random`: random weights of a given shape, from a seed.

mod support;

use std::fs;

use support::{
    Place, count, keys, list,
    model::{config, golden, original},
};

/// Writes a random model of the trained one's shape.
fn random(place: &Place, out: &str, seed: &str) -> serde_json::Value {
    let shape = original("config.json").display().to_string();
    place.json(&["random", "--shape", &shape, "--out", out, "--seed", seed])
}

#[test]
fn the_seed_decides_the_weights() {
    let place = Place::new();
    let document = random(&place, "a", "7");
    assert_eq!(keys(&document), ["folder", "seed", "tensor_bytes"]);
    assert_eq!((&document["folder"], &document["seed"]), (&"a".into(), &7.into()));
    random(&place, "b", "7");
    random(&place, "c", "8");
    let weights = |out: &str| fs::read(place.path(out).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b") && weights("a") != weights("c"));
    let header = u64::from_le_bytes(*weights("a").first_chunk().unwrap()) as usize;
    assert_eq!(count(&document["tensor_bytes"]), weights("a").len() - 8 - header);
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("a/config.json")).unwrap()).unwrap();
    for key in ["hidden_size", "num_hidden_layers", "hidden_act", "tie_word_embeddings", "architectures"] {
        assert_eq!(written[key], config()[key], "{key}");
    }
}

#[test]
fn a_random_model_can_be_run_and_converted() {
    let place = Place::new();
    random(&place, "model", "1");
    place.tokens("tokens.json", 30);
    let made = |model: &str| {
        let base = ["generate", "--model", model, "--tokens", "tokens.json", "--greedy", "--max-tokens", "8"];
        place.json(&base)
    };
    let document = made("model");
    assert!(document["text"].is_null(), "it has no tokenizer");
    assert!(!list(&document["tokens"]).is_empty());
    place.refuses(
        &["generate", "--model", "model", "--prompt", "words"],
        &["model has no tokenizer", "--tokens"],
    );
    place.text(&["convert", "model", "model.gguf", "--to", "i2_s"]);
    assert_eq!(made("model.gguf")["tokens"], document["tokens"]);
    // Each code has about a third of the weights.
    let document = place.json(&["inspect", "model"]);
    for tensor in list(&document["tensors"]).iter().filter(|tensor| tensor.get("codes").is_some()) {
        let all = (count(&tensor["rows"]) * count(&tensor["columns"])) as f64;
        for code in ["minus", "zero", "plus"] {
            let part = count(&tensor["codes"][code]) as f64 / all;
            assert!((0.2..0.5).contains(&part), "{part} of {} are {code}", tensor["name"]);
        }
    }
}

#[test]
fn every_architectures_shape() {
    let place = Place::new();
    place.write("tokens.json", "[3, 1, 4, 15, 9]");
    for name in ["master-1bitllm-style", "packed-falcon-style", "packed-2b-untied-sharded"] {
        let shape = golden(name).join("config.json").display().to_string();
        place.text(&["random", "--shape", &shape, "--out", name]);
        let base = ["generate", "--model", name, "--tokens", "tokens.json", "--max-tokens", "2", "--greedy"];
        assert!(!list(&place.json(&base)["tokens"]).is_empty(), "{name}");
    }
}

#[test]
fn impossible_shapes_and_existing_files_are_refused() {
    let place = Place::new();
    place.refuses(
        &["random", "--shape", "3b", "--out", "out"],
        &["no shape 3b", "2b-4t, large", "config.json"],
    );
    place.write("config.json", "{\"architectures\": [");
    place.refuses(&["random", "--shape", "config.json", "--out", "out"], &["config.json is not valid JSON"]);
    let mut huge = config();
    huge["hidden_size"] = u64::MAX.into();
    place.write("huge.json", huge.to_string());
    place.refuses(&["random", "--shape", "huge.json", "--out", "out"], &["huge.json", "`hidden_size`"]);
    random(&place, "there", "1");
    let before = fs::read(place.path("there/model.safetensors")).unwrap();
    let shape = original("config.json").display().to_string();
    place.refuses(
        &["random", "--shape", &shape, "--out", "there", "--seed", "2"],
        &["there already exists: choose another path or remove it"],
    );
    assert!(fs::read(place.path("there/model.safetensors")).unwrap() == before);
    place.write("file", "mine");
    place.refuses(
        &["random", "--shape", &shape, "--out", "file"],
        &["file already exists: choose another path or remove it"],
    );
    assert_eq!(fs::read(place.path("file")).unwrap(), b"mine");
}

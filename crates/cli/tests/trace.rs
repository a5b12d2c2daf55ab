//! `bitkv trace`: every step in order, the saved tensors, and agreement with reference implementations.

mod support;

use std::fs;

use safetensors::SafeTensors;
use serde_json::Value;
use support::{
    Place, count, keys, list,
    model::{MODEL, Tensor, config, golden, size, tensors},
    number,
};

const TOKENS: usize = 12;

const LAYER: [&str; 15] = [
    "input_norm",
    "q",
    "k",
    "v",
    "attention",
    "attention_sub_norm",
    "o",
    "attention_residual",
    "post_attention_norm",
    "gate",
    "up",
    "activation",
    "mlp_sub_norm",
    "down",
    "output",
];

fn place() -> Place {
    let place = Place::new();
    place.tokens("tokens.json", TOKENS as u32);
    place
}

fn trace<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["trace", "--model", MODEL, "--tokens", "tokens.json", "--force"], more].concat()
}

/// Returns the logits that a trace saves.
fn logits(place: &Place, more: &[&str]) -> Vec<f32> {
    place.json(&[&trace(more)[..], &["--out", "out.safetensors"]].concat());
    tensors(&place.path("out.safetensors"))["logits"].f32s()
}

/// Returns the largest difference, as a fraction of the range of `expected`.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let range =
        expected.iter().copied().fold(f32::MIN, f32::max) - expected.iter().copied().fold(f32::MAX, f32::min);
    f64::from(largest) / f64::from(range)
}

#[test]
fn every_step_is_listed_in_order() {
    let place = place();
    let document = place.json(&trace(&["--top", "3"]));
    assert_eq!(keys(&document), ["engine", "model", "steps", "tokens", "top"]);
    let layers = (0..size("num_hidden_layers")).flat_map(|i| LAYER.map(|step| format!("{i}.{step}")));
    let expected: Vec<String> = ["embedding".into()]
        .into_iter()
        .chain(layers)
        .chain(["final_norm".into(), "logits".into()])
        .collect();
    let steps = list(&document["steps"]);
    assert_eq!(steps.iter().map(|step| step["name"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    for step in steps {
        let norms: Vec<f64> = list(&step["norms"]).iter().map(number).collect();
        assert_eq!((norms.len(), count(&step["not_finite"])), (TOKENS, 0), "{step}");
        let total = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        assert!(total > 0.0 && (total - number(&step["norm"])).abs() < 1e-6 * total, "{step}");
        // The largest of `width` values is between their root mean square and their norm.
        let (largest, width) = (number(&step["largest"]), count(&step["width"]) as f64);
        assert!(
            largest <= total * 1.000_001 && largest * (width * TOKENS as f64).sqrt() >= total * 0.999,
            "{step}"
        );
    }
    let width = |name: &str| count(&steps.iter().find(|step| step["name"] == name).unwrap()["width"]);
    assert_eq!(width("2.gate"), size("intermediate_size"));
    assert_eq!(width("2.k"), size("num_key_value_heads") * size("head_dim"));
    assert_eq!(width("logits"), size("vocab_size"));
    assert_eq!(list(&document["top"]).len(), 3);
}

#[test]
fn the_saved_tensors() {
    let place = place();
    let document = place.json(&trace(&["--out", "out.safetensors"]));
    let saved = tensors(&place.path("out.safetensors"));
    let (layers, hidden, head) = (size("num_hidden_layers"), size("hidden_size"), size("head_dim"));
    let (queries, cached) = (size("num_attention_heads"), size("num_key_value_heads"));
    let mut expected = vec![
        ("logits".to_string(), vec![TOKENS, size("vocab_size")]),
        ("entropy".to_string(), vec![layers, queries, TOKENS]),
    ];
    expected.extend((0..=layers).map(|i| (format!("hidden.{i}"), vec![TOKENS, hidden])));
    for i in 0..layers {
        expected.push((format!("q.{i}"), vec![queries, TOKENS, head]));
        expected.extend(["k", "v"].map(|name| (format!("{name}.{i}"), vec![cached, TOKENS, head])));
    }
    expected.sort();
    let found: Vec<_> = saved.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect();
    assert_eq!(found, expected);

    // The saved tensors have the norms that are shown, token by token.
    let norms = |name: &str| -> Vec<f64> {
        let step = list(&document["steps"]).iter().find(|step| step["name"] == name).unwrap();
        list(&step["norms"]).iter().map(number).collect()
    };
    let squares = |rows: &[f32]| rows.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let last = format!("{}.output", layers - 1);
    for (name, step) in
        [("logits", "logits"), ("hidden.0", "embedding"), (&format!("hidden.{layers}"), &last)]
    {
        let values = saved[name].f32s();
        for (row, norm) in values.chunks_exact(values.len() / TOKENS).zip(norms(step)) {
            assert!((squares(row).sqrt() - norm).abs() < 1e-5 * norm, "{name}");
        }
    }
    // RoPE rotates queries and keys, so their norms stay the same. Saved tensors have the heads first.
    for (name, heads) in [("q", queries), ("k", cached), ("v", cached)] {
        let values = saved[&format!("{name}.1")].f32s();
        for (token, norm) in norms(&format!("1.{name}")).iter().enumerate() {
            let of_head = |h: usize| squares(&values[(h * TOKENS + token) * head..][..head]);
            let found = (0..heads).map(of_head).sum::<f64>().sqrt();
            assert!((found - norm).abs() < 1e-3 * norm, "{name}: {found}, not {norm}");
        }
    }
    // A token attends only to itself and to the tokens before it, which bounds the entropy.
    for row in saved["entropy"].f32s().chunks_exact(TOKENS) {
        let most = |i: usize| ((i + 1) as f32).log2() + 1e-4;
        assert!(row.iter().enumerate().all(|(i, bits)| (-1e-6..=most(i)).contains(bits)), "{row:?}");
    }
}

#[test]
fn the_most_likely_token_is_the_one_that_is_generated() {
    let place = place();
    let base = ["generate", "--model", MODEL, "--tokens", "tokens.json", "--greedy", "--max-tokens", "1"];
    for kv in ["f16", "f32"] {
        let next = place.json(&[&base[..], &["--kv", kv]].concat())["tokens"][0].clone();
        let document = place.json(&trace(&["--kv", kv]));
        assert_eq!(document["top"][0]["token"], next, "{kv}");
        let logits = logits(&place, &["--kv", kv]);
        let last = &logits[logits.len() - size("vocab_size")..];
        let best = (0..last.len()).max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap();
        assert_eq!(best, count(&next), "{kv}");
        assert_eq!(last[best], number(&document["top"][0]["logit"]) as f32);
    }
}

#[test]
fn a_cache_in_half_precision_differs_a_little() {
    let place = place();
    let (half, single) = (logits(&place, &["--kv", "f16"]), logits(&place, &["--kv", "f32"]));
    assert!(logits(&place, &[]) == single, "by default a trace does not round");
    let difference = difference(&half, &single);
    assert!(difference > 0.0 && difference < 0.02, "{difference}");
}

/// Steps, norms, logits and entropies of a folder without tokenizer, by either engine, against those computed
/// in Python.
#[test]
fn a_reference_implementation_agrees() {
    for name in ["packed-2b-aligned", "master-1bitllm-style", "packed-2b-untied-sharded", "master-llama-tied"]
    {
        for engine in ["fast", "reference"] {
            check_golden(name, engine);
        }
    }
}

fn check_golden(name: &str, engine: &str) {
    let place = Place::new();
    let (folder, bytes) = (golden(name), fs::read(golden(name).join("golden.safetensors")).unwrap());
    let expected = tensors(&folder.join("golden.safetensors"));
    place.write("tokens.json", format!("{:?}", expected["tokens"].ids()));
    let model = folder.to_str().unwrap();
    let with = ["trace", "--model", model, "--tokens", "tokens.json", "--engine", engine];
    let document = place.json(&[&with[..], &["--kv", "f32", "--out", "out.safetensors"]].concat());
    let found = tensors(&place.path("out.safetensors"));
    for tensor in ["logits", "entropy", "hidden.0", "hidden.1"] {
        let difference = difference(&found[tensor].f32s(), &expected[tensor].f32s());
        assert!(difference < 1e-4, "{name} by {engine}: {tensor} is off by {difference}");
    }
    let metadata = SafeTensors::read_metadata(&bytes).unwrap().1;
    let names: Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["steps"]).unwrap();
    let steps = list(&document["steps"]);
    assert_eq!(
        steps.iter().map(|step| &step["name"]).collect::<Vec<_>>(),
        list(&names).iter().collect::<Vec<_>>()
    );
    check_norms(name, steps, &expected["norms"]);
}

fn check_norms(model: &str, steps: &[Value], expected: &Tensor) {
    let all = expected.f32s();
    for (step, expected) in steps.iter().zip(all.chunks_exact(expected.shape[1])) {
        for (found, expected) in list(&step["norms"]).iter().map(number).zip(expected) {
            let expected = f64::from(*expected);
            assert!(
                (found - expected).abs() < 1e-4 * expected,
                "{model} {}: {found}, not {expected}",
                step["name"]
            );
        }
    }
}

/// Both engines show the same steps, and save the same tensors except for rounding in f32. With keys in f16,
/// a small difference may also change how an int8 code is rounded.
#[test]
fn the_reference_agrees_with_the_fast_path() {
    let place = place();
    for (kv, allowed) in [("f32", 1e-5), ("f16", 0.02)] {
        let traced = |engine: &str| {
            let more = ["--engine", engine, "--kv", kv, "--out", "out.safetensors"];
            let document = place.json(&trace(&more));
            assert_eq!(document["engine"], *engine);
            let metadata = fs::read(place.path("out.safetensors")).unwrap();
            let metadata = SafeTensors::read_metadata(&metadata).unwrap().1;
            assert_eq!(metadata.metadata().as_ref().unwrap()["engine"], *engine);
            (document, tensors(&place.path("out.safetensors")))
        };
        let ((fast, expected), (reference, found)) = (traced("fast"), traced("reference"));
        let steps = |document: &Value| {
            let name_and_width = |step: &Value| (step["name"].clone(), step["width"].clone());
            list(&document["steps"]).iter().map(name_and_width).collect::<Vec<_>>()
        };
        assert_eq!(steps(&reference), steps(&fast));
        let ids = |document: &Value| -> Vec<Value> {
            list(&document["top"]).iter().map(|next| next["token"].clone()).collect()
        };
        assert_eq!(ids(&reference), ids(&fast));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, tensor) in &expected {
            assert_eq!(found[name].shape, tensor.shape, "{name}");
            let difference = difference(&found[name].f32s(), &tensor.f32s());
            assert!(difference < allowed, "{kv}: {name} is off by {difference}");
        }
    }
}

#[test]
fn the_tables() {
    let place = place();
    let text = place.text(&trace(&["--top", "2"]));
    for part in
        [MODEL, "12 tokens", "3.attention_sub_norm", "final_norm", "The most likely next tokens", "norm: the"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let prompted = place.json(&["trace", "--model", MODEL, "--prompt", "the house"]);
    assert_eq!(prompted["tokens"][0], config()["bos_token_id"]);
    assert_eq!(list(&prompted["top"]).len(), 5);
}

#[test]
fn impossible_requests_are_refused() {
    let place = place();
    place.refuses(&["trace", "--model", MODEL], &["nothing to trace", "--prompt", "--tokens"]);
    place.refuses(
        &trace(&["--out", "no/where.safetensors"]),
        &["--out no/where.safetensors", "there is no folder no: make it first"],
    );
    let device = ["--engine", "reference", "--device", "cuda"];
    place.refuses(&trace(&device), &["device cuda cannot be used", "--features cuda", "cpu"]);
    place.refuses(&trace(&["--device", "metal"]), &["the fast path runs on the CPU", "--engine reference"]);
    place.write("outside.json", "[99999]");
    place.refuses(
        &["trace", "--model", MODEL, "--tokens", "outside.json"],
        &["99999", "outside the vocabulary"],
    );
}

//! How files are read: a plain Llama is marked, layouts can be forced, and damage is reported in one
//! sentence.

mod support;

use std::fs;

use serde_json::Value;
use support::{
    Place, list,
    model::{BUILT_IN, Copy, MODEL, SHARDS, original, tensors},
};

const GREEDY: [&str; 5] = ["--tokens", "tokens.json", "--greedy", "--max-tokens", "12"];

/// The trained model as a GGUF file, and a prompt.
fn place() -> Place {
    let place = Place::new();
    place.tokens("tokens.json", 24);
    place.text(&["convert", MODEL, "good.gguf", "--to", "i2_s"]);
    place
}

/// Returns the tokens that a model generates.
fn generated(place: &Place, model: &[&str]) -> Value {
    place.json(&[&["generate", "--model"], model, &GREEDY].concat())["tokens"].clone()
}

#[test]
fn a_plain_llama_is_marked_wherever_it_is_named() {
    let place = place();
    for (model, name) in [(MODEL, MODEL), ("good.gguf", "good")] {
        let marked = format!("{name}+plain-llama");
        let commands: [&[&str]; 4] = [
            &["generate", "--max-tokens", "1", "--tokens", "tokens.json"],
            &["profile", "--tokens", "tokens.json"],
            &["trace", "--tokens", "tokens.json"],
            &["memory"],
        ];
        for command in commands {
            let named = [command, &["--model", model]].concat();
            let document = place.json(&[&named[..], &["--as", "plain-llama"]].concat());
            assert_eq!(document["model"], *marked, "{command:?}");
            assert_eq!(place.json(&named)["model"], *name, "{command:?}");
        }
        let inspected = place.json(&["inspect", model, "--as", "plain-llama"]);
        assert_eq!(inspected["model"], *marked);
        assert!(place.text(&["inspect", model, "--summary", "--as", "plain-llama"]).starts_with(&marked));
    }
}

#[test]
fn a_plain_llama_has_other_steps_and_tokens() {
    let place = place();
    let plain_llama = generated(&place, &[MODEL, "--as", "plain-llama"]);
    assert_ne!(plain_llama, generated(&place, &[MODEL]));
    assert_eq!(plain_llama, generated(&place, &["good.gguf", "--as", "plain-llama"]));
    let trace = ["trace", "--model", MODEL, "--tokens", "tokens.json", "--as", "plain-llama"];
    let document = place.json(&trace);
    let names: Vec<&str> =
        list(&document["steps"]).iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"0.o") && !names.iter().any(|name| name.contains("sub_norm")), "{names:?}");
    let text = place.text(&[&["generate", "--model", MODEL, "--as", "plain-llama"], &GREEDY[..]].concat());
    assert!(text.starts_with("[first-gqa+plain-llama]\n"), "{text}");
    place.json(&[&trace[..], &["--out", "out.safetensors"]].concat());
    let saved = fs::read(place.path("out.safetensors")).unwrap();
    position(&saved, "\"model\":\"first-gqa+plain-llama\"");
}

#[test]
fn the_profile_of_a_plain_llama_is_not_a_profile_of_the_model() {
    let place = place();
    let plain_llama = ["--as", "plain-llama"];
    let profile = ["profile", "--model", MODEL, "--tokens", "tokens.json", "--out", "plain.json"];
    place.json(&[&profile[..], &plain_llama].concat());
    let with = [
        "--tokens",
        "tokens.json",
        "--policy",
        "entropy+recency",
        "--budget",
        "0.5",
        "--profile",
        "plain.json",
    ];
    for command in ["plan", "generate"] {
        let says = ["plain.json is a profile of first-gqa+plain-llama, not of first-gqa"];
        let of_model = [&[command, "--model", MODEL], &with[..]].concat();
        place.refuses(&of_model, &says);
        place.json(&[&of_model[..], &plain_llama].concat());
    }
}

#[test]
fn a_layout_can_be_forced() {
    let place = place();
    let right = generated(&place, &[MODEL]);
    assert_eq!(generated(&place, &["good.gguf"]), right);
    assert_eq!(generated(&place, &["good.gguf", "--i2s-layout", "x86"]), right);
    for wrong in ["arm", "four-row"] {
        assert_ne!(generated(&place, &["good.gguf", "--i2s-layout", wrong]), right, "{wrong}");
    }
    Copy::new(&place, "folder");
    for model in ["folder", BUILT_IN] {
        let given = ["inspect", model, "--i2s-layout", "x86"];
        place.refuses(&given, &[model, "not a .gguf file", "leave out --i2s-layout"]);
    }
}

/// Asserts that commands that read all weights of a model refuse it.
#[track_caller]
fn refused(place: &Place, model: &str, says: &[&str]) {
    let tokens = ["--tokens", "tokens.json"];
    place.refuses(&[&["generate", "--model", model], &tokens[..]].concat(), says);
    place.refuses(&[&["trace", "--model", model], &tokens[..]].concat(), says);
    place.refuses(&["convert", model, "out", "--to", "packed"], says);
}

/// Asserts that `inspect` refuses it too, although it does not run the model.
#[track_caller]
fn unreadable(place: &Place, model: &str, says: &[&str]) {
    refused(place, model, says);
    place.refuses(&["inspect", model], says);
}

/// Returns `bytes` with `old` replaced by `new`, which must have the same length.
fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let at = position(bytes, old);
    [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
}

#[track_caller]
fn position(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).expect(text)
}

#[test]
fn damaged_gguf_files() {
    let place = place();
    let good = fs::read(place.path("good.gguf")).unwrap();
    for length in [3, 20, 5000, good.len() / 2, good.len() - 1] {
        place.write("bad.gguf", &good[..length]);
        unreadable(&place, "bad.gguf", &["bad.gguf is not a usable GGUF file"]);
    }
    unreadable(&place, "bad.gguf", &["so it is truncated: download it again"]);
    place.write("bad.gguf", replaced(&good, "blk.1.attn_q.weight", "blk.1.attn_k.weight"));
    unreadable(&place, "bad.gguf", &["bad.gguf", "`blk.1.attn_k.weight` appears twice"]);
    place.write("bad.gguf", fs::read(original("model.safetensors")).unwrap());
    unreadable(&place, "bad.gguf", &["bad.gguf", "it is a safetensors file: put it as model.safetensors"]);
    // After the name come the number of dimensions (4 bytes), two dimensions (8 bytes each), and the type.
    let mut lookup = good.clone();
    lookup[position(&good, "blk.1.attn_q.weight") + 19 + 4 + 16] = 38;
    place.write("bad.gguf", &lookup);
    unreadable(&place, "bad.gguf", &["bad.gguf", "blk.1.attn_q.weight", "TL1"]);
    for name in ["good.bin", "good"] {
        place.write(name, &good);
        unreadable(&place, name, &[&format!("{name} is neither a folder nor a .gguf file"), "config.json"]);
    }
}

#[test]
fn damaged_safetensors_files() {
    let (place, good) = (place(), fs::read(original("model.safetensors")).unwrap());
    let bad = Copy::new(&place, "bad");
    for length in [5, 100, good.len() / 2, good.len() - 1] {
        bad.with("model.safetensors", &good[..length]);
        unreadable(
            &place,
            "bad",
            &["bad/model.safetensors is not a usable", "may be truncated: download it again"],
        );
    }
    for length in [good.len() as u64, 1 << 40, u64::MAX] {
        bad.with("model.safetensors", [&length.to_le_bytes(), &good[8..]].concat());
        unreadable(&place, "bad", &["bad/model.safetensors", &format!("header claims {length} bytes")]);
    }
    // One tensor has the name of another.
    let (k, v) = ["k", "v"].map(|part| format!("model.layers.1.self_attn.{part}_proj.weight\"")).into();
    bad.with("model.safetensors", replaced(&good, &k, &v));
    let twice = "`model.layers.1.self_attn.v_proj.weight` appears twice";
    unreadable(&place, "bad", &["bad/model.safetensors", twice]);
    bad.with("model.safetensors", with_entry_twice(&good));
    unreadable(&place, "bad", &["bad/model.safetensors", "`model.norm.weight` appears twice"]);
}

/// Returns the file with the entry of the final norm twice in its header.
fn with_entry_twice(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = std::str::from_utf8(header).unwrap().trim_end();
    let entry = &header[header.find("\"model.norm.weight\"").unwrap()..];
    let entry = &entry[..=entry.find('}').unwrap()];
    let header = format!("{},{entry}}}", header.strip_suffix('}').unwrap());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn an_index_of_missing_files_and_tensors() {
    let place = place();
    let bad = Copy::new(&place, "bad");
    let index = bad.shard();
    bad.without(SHARDS[1]);
    unreadable(
        &place,
        "bad",
        &["it lacks 1 of the 2 files", "such as model-00002-of-00002.safetensors: download"],
    );
    Copy::new(&place, "bad").shard();
    for (name, says) in [("../model.safetensors", "not a plain file name"), (SHARDS[0], "does not hold it")] {
        let mut odd = index.clone();
        odd["weight_map"]["model.norm.weight"] = name.into();
        bad.with("model.safetensors.index.json", odd.to_string());
        unreadable(&place, "bad", &["bad/model.safetensors.index.json", "`model.norm.weight`", says]);
    }
}

/// Some download tools allocate the whole file first; parts that never arrive stay zero.
#[test]
fn incomplete_downloads_are_refused() {
    let place = place();
    Copy::new(&place, "bad").change_tensors(|tensors| {
        let data = &mut tensors.get_mut("model.embed_tokens.weight").unwrap().data;
        let half = data.len() / 2;
        data[half..].fill(0);
    });
    let says = ["1024 of 2048 rows", "truncated or sparse download", "download it again"];
    refused(&place, "bad", &[&says[..], &["bad/model.safetensors", "model.embed_tokens.weight"]].concat());
    // The embedding's bytes are the same in both files.
    let embedding = &tensors(&original("model.safetensors"))["model.embed_tokens.weight"].data;
    let mut file = fs::read(place.path("good.gguf")).unwrap();
    let start = file.windows(64).position(|window| window == &embedding[..64]).unwrap();
    file[start + embedding.len() / 2..start + embedding.len()].fill(0);
    place.write("bad.gguf", &file);
    refused(&place, "bad.gguf", &[&says[..], &["bad.gguf", "token_embd.weight"]].concat());
    // Nothing has arrived after the embedding.
    let mut file = fs::read(place.path("good.gguf")).unwrap();
    file[start + embedding.len()..].fill(0);
    place.write("bad.gguf", &file);
    refused(&place, "bad.gguf", &["bad.gguf", "has the scale 0", "download it again"]);
}

//! `bitkv convert`: a conversion and back keeps every code and scale, and a failed conversion leaves no file.

mod support;

use std::fs;

use serde_json::Value;
use support::{
    Place, count, keys,
    model::{Copy, MODEL, golden, tensors},
    number,
};

/// Generates a text, and returns the ids of the prompt, the new tokens, and the text.
fn generated(place: &Place, model: &str) -> (Value, Value, Value) {
    let prompt = ["--prompt", "the house was", "--greedy", "--max-tokens", "24"];
    let document = place.json(&[&["generate", "--model", model], &prompt[..]].concat());
    ["prompt_tokens", "tokens", "text"].map(|key| document[key].clone()).into()
}

#[track_caller]
fn same_bytes(place: &Place, a: &str, b: &str) {
    assert!(fs::read(place.path(a)).unwrap() == fs::read(place.path(b)).unwrap(), "{a} is not {b}");
}

fn convert<'a>(model: &'a str, out: &'a str, to: &'a str) -> [&'a str; 5] {
    ["convert", model, out, "--to", to]
}

/// Runs every conversion, and asserts that it succeeds.
fn converted(place: &Place, all: &[[&str; 3]]) {
    for [model, out, to] in all {
        place.text(&convert(model, out, to));
    }
}

#[test]
fn i2s_and_back_keeps_every_bit() {
    let place = Place::new();
    for model in [MODEL, "first-mha"] {
        let [direct, file, again] = ["direct", "file.gguf", "again.gguf"].map(|end| format!("{model}-{end}"));
        // A GGUF file contains the name of its model, which is the name of the folder.
        let back = format!("back/{model}");
        let there = [[model, &direct, "packed"], [model, &file, "i2_s"], [&file, &back, "packed"]];
        converted(&place, &there);
        same_bytes(&place, &format!("{direct}/model.safetensors"), &format!("{back}/model.safetensors"));
        converted(&place, &[[&back, &again, "i2_s"]]);
        assert!(fs::read(place.path(&file)).unwrap().starts_with(b"GGUF"));
        same_bytes(&place, &file, &again);
        let original = generated(&place, model);
        for stage in [&direct, &file, &back, &again] {
            assert_eq!(generated(&place, stage), original, "{stage}");
        }
    }
}

#[test]
fn files_beside_the_weights_are_copied() {
    let place = Place::new();
    Copy::new(&place, "folder").with("generation_config.json", "{\"eos_token_id\": 1}");
    converted(&place, &[["folder", "out", "packed"]]);
    for file in ["tokenizer.json", "generation_config.json"] {
        same_bytes(&place, &format!("folder/{file}"), &format!("out/{file}"));
    }
    let (before, after) = ["folder", "out"].map(|f| tensors(&place.path(f).join("model.safetensors"))).into();
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, tensor) in before {
        let now = &after[&name];
        assert!((&tensor.dtype, &tensor.shape) == (&now.dtype, &now.shape), "{name}");
        assert!(tensor.data == now.data, "{name}");
    }
}

#[test]
fn rounding_scales_to_f16_needs_lossy() {
    let place = Place::new();
    for (to, type_name) in [("tq2_0", "TQ2_0"), ("tq1_0", "TQ1_0")] {
        let file = format!("{to}.gguf");
        let says = [".weight` cannot be written as", type_name, "its scale 0.0", "not exact in f16"];
        place.refuses(&convert(MODEL, &file, to), &says);
        place.text(&[&convert(MODEL, &file, to)[..], &["--lossy"]].concat());
        let back = format!("{to}-back");
        converted(&place, &[[&file, &back, "packed"]]);
        assert_eq!(generated(&place, &file).0, generated(&place, MODEL).0, "the tokenizer");
        // Only scales change, by less than half a unit in the last place of f16.
        let original = tensors(&support::model::original("model.safetensors"));
        for (name, tensor) in tensors(&place.path(&back).join("model.safetensors")) {
            if !name.ends_with("_scale") {
                assert!(tensor.data == original[&name].data, "{name}");
                continue;
            }
            let (now, before) = (tensor.f32s()[0], original[&name].f32s()[0]);
            assert!((now - before).abs() <= before / 2048.0, "{name}: {before} is {now}");
        }
    }
}

/// Scales that f16 holds exactly are written without `--lossy`.
#[test]
fn exact_scales_are_not_lossy() {
    let (place, model) = (Place::new(), golden("packed-2b-aligned").display().to_string());
    converted(&place, &[[&model, "direct", "packed"]]);
    for to in ["tq1_0", "tq2_0"] {
        let (file, back) = (format!("{to}.gguf"), format!("{to}-back"));
        converted(&place, &[[&model, &file, to], [&file, &back, "packed"]]);
        same_bytes(&place, "direct/model.safetensors", &format!("{back}/model.safetensors"));
    }
}

#[test]
fn rows_that_are_not_whole_blocks_are_refused() {
    let place = Place::new();
    for to in ["tq1_0", "tq2_0"] {
        let says = ["mlp.down_proj.weight", "640 weights", "not a multiple of 256"];
        place.refuses(&[&convert("first-mha", "out.gguf", to)[..], &["--lossy"]].concat(), &says);
    }
    let odd = golden("packed-2b-style").display().to_string();
    place.refuses(&convert(&odd, "out.gguf", "i2_s"), &["192 weights", "not a multiple of 128", "I2_S"]);
}

#[test]
fn existing_files_are_not_replaced() {
    let place = Place::new();
    place.write("there.gguf", "mine");
    place.refuses(&convert(MODEL, "there.gguf", "i2_s"), &["there.gguf already exists: choose another path"]);
    place.write("there/model.safetensors", "mine");
    place.refuses(&convert(MODEL, "there", "packed"), &["there already exists: choose another path"]);
    place.write("file", "mine");
    place.refuses(&convert(MODEL, "file", "packed"), &["file already exists: choose another path"]);
    for file in ["there.gguf", "there/model.safetensors", "file"] {
        assert_eq!(fs::read(place.path(file)).unwrap(), b"mine", "{file}");
    }
}

#[test]
fn failed_conversions_leave_no_file() {
    let place = Place::new();
    place.refuses(&convert(MODEL, "no/where.gguf", "i2_s"), &["cannot write no/where.gguf"]);
    let plain_llama = [&convert(MODEL, "out.gguf", "i2_s")[..], &["--as", "plain-llama"]].concat();
    place.refuses(&plain_llama, &["a plain Llama", "leave out --as"]);
    place.refuses(&convert("nowhere", "out", "packed"), &["there is no model nowhere: use"]);
    // The last tensor is refused after the others have been written.
    Copy::new(&place, "broken").change_tensors(|tensors| {
        let last = tensors.get_mut("model.layers.3.self_attn.v_proj.weight").unwrap();
        last.data[5] = 0xff;
    });
    for (out, to) in [("out.gguf", "i2_s"), ("out", "packed")] {
        let output = place.run(&convert("broken", out, to));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(
            message.contains("layers.3.self_attn.v_proj.weight` has the invalid ternary code 3"),
            "{message}"
        );
        assert!(!place.path("out.gguf").exists() && !place.path("out/model.safetensors").exists());
    }
    let half = place.entries().into_iter().find(|path| path.extension().is_some_and(|e| e == "tmp"));
    assert_eq!(half, None);
}

#[test]
fn a_sharded_folder() {
    let place = Place::new();
    Copy::new(&place, "sharded").shard();
    converted(
        &place,
        &[["sharded", "whole", "packed"], ["sharded", "whole.gguf", "i2_s"], [MODEL, "direct", "packed"]],
    );
    same_bytes(&place, "whole/model.safetensors", "direct/model.safetensors");
    for model in ["sharded", "whole", "whole.gguf"] {
        assert_eq!(generated(&place, model), generated(&place, MODEL), "{model}");
    }
}

/// Logits that `trace` writes.
fn logits(place: &Place, model: &str) -> Vec<f32> {
    place.write("few.json", "[1, 2, 3, 50, 60, 7]");
    let _ = fs::remove_file(place.path("logits.safetensors"));
    place.json(&["trace", "--model", model, "--tokens", "few.json", "--out", "logits.safetensors"]);
    let bytes = tensors(&place.path("logits.safetensors")).remove("logits").unwrap().data;
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Whether logits are equal except for the order of summation. The LM head of a GGUF file is f16, and the
/// type of an LM head decides in which order its products are summed.
fn equal_except_for_summation(a: &[f32], b: &[f32]) -> bool {
    let largest = b.iter().fold(0.0f32, |largest, z| largest.max(z.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * largest)
}

/// Every kind of checkpoint, masters included, computes the same logits to the last bit when it is packed;
/// and the same but for the order of sums through GGUF, where its rows are long enough.
#[test]
fn every_kind_of_checkpoint() {
    let place = Place::new();
    let long = ["packed-2b-aligned", "packed-llama-multiply"];
    for entry in fs::read_dir(golden("")).unwrap().map(|entry| entry.unwrap().path()) {
        if !entry.is_dir() {
            continue;
        }
        let (name, model) = (entry.file_name().unwrap().to_str().unwrap(), entry.to_str().unwrap());
        let expected = logits(&place, model);
        converted(&place, &[[model, name, "packed"]]);
        assert!(logits(&place, name) == expected, "{name}");
        if long.contains(&name) {
            let (file, back) = (format!("{name}.gguf"), format!("{name}-back"));
            converted(&place, &[[model, &file, "i2_s"], [&file, &back, "packed"]]);
            for model in [&file, &back] {
                assert!(equal_except_for_summation(&logits(&place, model), &expected), "{model}");
            }
            same_bytes(&place, &format!("{name}/model.safetensors"), &format!("{back}/model.safetensors"));
        }
    }
    assert!(long.iter().all(|name| place.path(name).join("model.safetensors").is_file()));
}

#[test]
fn the_document() {
    let place = Place::new();
    let document = place.json(&convert(MODEL, "out.gguf", "i2_s"));
    assert_eq!(keys(&document), ["out", "peak_rss_bytes", "tensor_bytes_read", "tensor_bytes_written"]);
    let written = count(&document["tensor_bytes_written"]);
    assert!(document["out"] == "out.gguf" && number(&document["peak_rss_bytes"]) > 0.0);
    // Codes keep their two bits. Only the scales take other sizes: 32 bytes per linear weight.
    assert!(written.abs_diff(count(&document["tensor_bytes_read"])) < 4096, "{document}");
    let length = fs::metadata(place.path("out.gguf")).unwrap().len() as usize;
    assert!(written < length && length < written + 200_000, "{length} bytes with {written} of tensors");
}

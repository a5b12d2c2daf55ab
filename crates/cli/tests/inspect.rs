//! `bitkv inspect`: the configuration, the metadata and the codes of every tensor, for every kind of
//! checkpoint.

mod support;

use std::collections::BTreeMap;

use serde_json::Value;
use support::{
    Place, count, keys, list,
    model::{BUILT_IN, Copy, MODEL, SHARDS, golden, original, size, tensors},
    number,
};

/// The trained model as a folder, in shards, and as a GGUF file.
fn kinds() -> Place {
    let place = Place::new();
    Copy::new(&place, "folder");
    Copy::new(&place, "sharded").shard();
    place.text(&["convert", MODEL, "file.gguf", "--to", "i2_s"]);
    place
}

/// Returns the linear layers of a document by their scale, which identifies them in every kind of checkpoint.
fn linears(document: &Value) -> BTreeMap<String, &Value> {
    let all = list(&document["tensors"]).iter().filter(|tensor| tensor.get("codes").is_some());
    all.map(|tensor| (tensor["scale"].to_string(), tensor)).collect()
}

fn counts(tensor: &Value) -> [usize; 4] {
    ["minus", "zero", "plus", "invalid"].map(|code| count(&tensor["codes"][code]))
}

#[test]
fn every_kind_of_checkpoint_has_the_same_counts() {
    let place = kinds();
    let trained = place.json(&["inspect", MODEL]);
    let expected = linears(&trained);
    assert_eq!(expected.len(), 7 * size("num_hidden_layers"), "every layer has a scale of its own");
    for model in ["folder", "sharded", "file.gguf"] {
        let document = place.json(&["inspect", model]);
        let found = linears(&document);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{model}");
        for (scale, tensor) in found {
            let (rows, columns) = (count(&tensor["rows"]), count(&tensor["columns"]));
            assert_eq!(counts(tensor).iter().sum::<usize>(), rows * columns, "{model}: {}", tensor["name"]);
            assert_eq!(counts(tensor), counts(expected[&scale]), "{model}: {}", tensor["name"]);
            assert_eq!((counts(tensor)[3], &tensor["masters"]), (0, &Value::Bool(false)));
        }
    }
}

#[test]
fn counts_and_scales_are_those_of_the_file() {
    let (place, stored) = (Place::new(), tensors(&original("model.safetensors")));
    let document = place.json(&["inspect", MODEL]);
    for tensor in list(&document["tensors"]) {
        let name = tensor["name"].as_str().unwrap();
        let file = &stored[name];
        assert_eq!(count(&tensor["bytes"]), file.data.len(), "{name}");
        assert_eq!(list(&tensor["shape"]).iter().map(count).collect::<Vec<_>>(), file.shape, "{name}");
        if tensor.get("codes").is_none() {
            continue;
        }
        let mut codes = [0; 4];
        for byte in &file.data {
            [0, 2, 4, 6].iter().for_each(|shift| codes[usize::from(byte >> shift & 3)] += 1);
        }
        assert_eq!(counts(tensor), codes, "{name}");
        let scale = number(&tensor["scale"]) as f32;
        assert_eq!(vec![scale], stored[&format!("{name}_scale")].f32s(), "{name}");
    }
    let names: Vec<_> = list(&document["tensors"]).iter().map(|tensor| tensor["name"].as_str()).collect();
    assert_eq!(names.len(), stored.len());
}

#[test]
fn the_table_of_a_built_in_model() {
    let text = Place::new().text(&["inspect", BUILT_IN, "--summary"]);
    for part in ["built in", "packed, multiplied by weight_scale", "begin / end tokens"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Packed(") && !text.contains("Some("), "{text}");
}

#[test]
fn the_document() {
    let place = kinds();
    let always = [
        "cannot_be_run",
        "config",
        "ignored",
        "model",
        "notes",
        "tensor_bytes",
        "tensors",
        "ternary_bytes",
        "tied",
        "unread",
    ];
    for (model, name, more) in [
        ("folder", "folder", &[][..]),
        ("sharded", "sharded", &[]),
        ("file.gguf", "file", &["i2s_layout", "metadata"]),
    ] {
        let document = place.json(&["inspect", model]);
        let mut expected = [&always[..], more].concat();
        expected.sort_unstable();
        assert_eq!((keys(&document), document["model"].as_str()), (expected, Some(name)));
        assert_eq!(count(&document["config"]["hidden_size"]), size("hidden_size"));
        let bytes: usize = list(&document["tensors"]).iter().map(|tensor| count(&tensor["bytes"])).sum();
        assert_eq!(bytes, count(&document["tensor_bytes"]), "{model}");
        let ternary: usize = linears(&document).values().map(|tensor| count(&tensor["bytes"])).sum();
        assert_eq!(ternary, count(&document["ternary_bytes"]), "{model}");
    }
    let sharded = place.json(&["inspect", "sharded"]);
    let tensors_in = |shard: &str| {
        list(&sharded["tensors"]).iter().filter(|t| t["file"].as_str().unwrap().ends_with(shard)).count()
    };
    assert!(SHARDS.iter().all(|shard| tensors_in(shard) > 10));
}

#[test]
fn metadata_of_a_gguf_file() {
    let place = kinds();
    let document = place.json(&["inspect", "file.gguf"]);
    let value = |key: &str| {
        let entry = list(&document["metadata"]).iter().find(|entry| entry["key"] == key);
        entry.unwrap_or_else(|| panic!("no {key}"))["value"].as_str().unwrap().to_string()
    };
    assert_eq!(value("general.architecture"), "\"bitnet-b1.58\"");
    assert_eq!(value("bitnet-b1.58.block_count"), size("num_hidden_layers").to_string());
    assert_eq!(value("general.file_type"), "40");
    assert_eq!(value("tokenizer.ggml.tokens"), format!("{} x string", size("vocab_size")));
    let layout = &document["i2s_layout"];
    assert_eq!((&layout["layout"], &layout["reason"]), (&"x86".into(), &"plausible".into()));
    let given = place.json(&["inspect", "file.gguf", "--i2s-layout", "arm"]);
    let layout = &given["i2s_layout"];
    assert_eq!((&layout["layout"], &layout["reason"]), (&"arm".into(), &"given".into()));
}

#[test]
fn settings_without_effect_and_notes_are_listed() {
    let place = Place::new();
    Copy::new(&place, "odd").change_json("config.json", |config| {
        config["favourite_colour"] = "blue".into();
        config["hidden_activation"] = "silu".into();
    });
    let document = place.json(&["inspect", "odd"]);
    let ignored = list(&document["ignored"]["settings"]);
    assert!(ignored.iter().any(|s| s["key"] == "favourite_colour" && s["value"] == "blue"), "{ignored:?}");
    assert!(list(&document["ignored"]["tensors"]).is_empty());
    let notes = list(&document["notes"]);
    let said = "`hidden_act` is relu2, but `hidden_activation` is silu: relu2 is used";
    assert!(notes.len() == 1 && notes[0].as_str().unwrap().contains(said), "{notes:?}");
    assert!(place.text(&["inspect", "odd", "--summary"]).contains("favourite_colour"));
    let given = place.json(&["inspect", "odd", "--activation", "silu"]);
    assert_eq!(given["config"]["hidden_act"], "silu");
}

#[test]
fn tables() {
    let place = kinds();
    let whole = place.text(&["inspect", "file.gguf"]);
    let parts =
        ["GGUF metadata", "tokenizer.ggml.merges", "Memory by type", "I2_S layout", "blk.3.attn_q.weight"];
    for part in parts {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    let folder = place.text(&["inspect", "folder"]);
    for part in ["model.layers.3.self_attn.q_proj.weight", "[64, 256]", "0.07849594", "relu2"] {
        assert!(folder.contains(part), "{part}: {folder}");
    }
    assert!(!folder.contains("GGUF metadata"));
    let short = place.text(&["inspect", "folder", "--summary"]);
    assert!(short.contains("Memory by type") && !short.contains("q_proj"), "{short}");
    assert!(folder.starts_with(short.trim_end()), "a summary is the start of the whole");
}

#[test]
fn a_summary_has_no_list_of_tensors() {
    let place = kinds();
    let whole = place.json(&["inspect", "file.gguf"]);
    let mut short = whole.clone();
    short.as_object_mut().unwrap().remove("tensors");
    assert_eq!(place.json(&["inspect", "file.gguf", "--summary"]), short);
}

/// Master weights are counted as the codes that they are quantised to.
#[test]
fn masters() {
    let place = Place::new();
    let model = golden("master-2b-style").display().to_string();
    place.text(&["convert", &model, "packed", "--to", "packed"]);
    let (masters, packed) = (place.json(&["inspect", &model]), place.json(&["inspect", "packed"]));
    let (masters, packed) = (linears(&masters), linears(&packed));
    assert!(!masters.is_empty());
    for (scale, tensor) in &masters {
        assert_eq!((&tensor["masters"], counts(tensor)[3]), (&Value::Bool(true), 0));
        let same = packed.get(scale).unwrap_or_else(|| panic!("no {scale}"));
        assert_eq!((counts(tensor), &same["masters"]), (counts(same), &Value::Bool(false)));
    }
}

#[test]
fn invalid_codes_are_counted() {
    let place = Place::new();
    let name = "model.layers.2.mlp.up_proj.weight";
    Copy::new(&place, "odd").change_tensors(|tensors| tensors.get_mut(name).unwrap().data[9] = 0xff);
    let document = place.json(&["inspect", "odd"]);
    let counts_of = |name: &str| list(&document["tensors"]).iter().find(|t| t["name"] == name).map(counts);
    assert_eq!(counts_of(name).unwrap()[3], 4);
    assert_eq!(counts_of("model.layers.1.mlp.up_proj.weight").unwrap()[3], 0);
    place.refuses(&["trace", "--model", "odd", "--prompt", "a"], &[name, "invalid ternary code 3"]);
}

/// A model that cannot be run can still be inspected.
#[test]
fn a_layer_that_cannot_be_read() {
    let place = Place::new();
    let name = "model.layers.2.mlp.up_proj.weight";
    Copy::new(&place, "odd").change_tensors(|tensors| drop(tensors.remove(name)));
    let document = place.json(&["inspect", "odd"]);
    let unread = list(&document["unread"]);
    assert!(unread.len() == 1 && unread[0].as_str().unwrap().contains(name), "{unread:?}");
    assert_eq!(linears(&document).len(), 7 * size("num_hidden_layers") - 1);
    assert!(
        place
            .text(&["inspect", "odd", "--summary"])
            .contains(&format!("unread: {}", unread[0].as_str().unwrap()))
    );
    place.refuses(&["trace", "--model", "odd", "--prompt", "a"], &[name]);
}

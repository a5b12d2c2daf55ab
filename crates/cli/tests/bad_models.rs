//! Every command that loads a damaged checkpoint refuses it in one sentence.

mod support;

use support::{
    Place,
    model::{BUILT_IN, Copy, size},
};

/// Asserts that every command that loads a model refuses `model`.
#[track_caller]
fn refused(place: &Place, model: &str, says: &[&str]) {
    place.tokens("tokens.json", 40);
    let budget = ["--policy", "uniform+recency", "--budget", "0.5"];
    let tokens = ["--tokens", "tokens.json"];
    for arguments in [
        ["plan", "--model", model].iter().chain(&tokens).chain(&budget).copied().collect::<Vec<_>>(),
        ["generate", "--model", model].iter().chain(&tokens).copied().collect(),
        ["profile", "--model", model].iter().chain(&tokens).copied().collect(),
        vec!["memory", "--model", model],
        vec!["verify", "--model", model, "--out", "run"],
    ] {
        place.refuses(&arguments, says);
    }
}

#[test]
fn a_model_that_is_not_there() {
    let place = Place::new();
    refused(&place, "nowhere", &["there is no model nowhere: use", BUILT_IN, "config.json"]);
    place.refuses(&["memory", "--model", "nowhere"], &["bitnet_b1_58-large", "BitNet-b1.58-2B-4T"]);
    for model in ["bitnet_b1_58-large", "LARGE"] {
        let says =
            format!("{model} has only a configuration, for `bitkv memory`: use 1bitLLM/bitnet_b1_58-large");
        place.refuses(&["profile", "--model", model], &[&says]);
    }
    let says =
        ["there is no file or folder runs/a/b here, and it is not a model on the hub (", "): name a folder"];
    refused(&place, "runs/a/b", &says);
    place.write("weights.gguf", "GGUF");
    refused(
        &place,
        "weights.gguf",
        &["weights.gguf is not a usable GGUF file", "it is truncated: download it again"],
    );
}

#[test]
fn a_folder_that_lacks_a_file() {
    let place = Place::new();
    for file in ["config.json", "model.safetensors"] {
        Copy::new(&place, "broken").without(file);
        refused(&place, "broken", &["broken has no", file, "a model's folder holds"]);
    }
}

#[test]
fn a_folder_of_another_kind() {
    let place = Place::new();
    let adapter = Copy::new(&place, "adapter");
    adapter.without("model.safetensors");
    adapter.without("config.json");
    adapter.with("adapter_config.json", "{}");
    adapter.with("adapter_model.safetensors", "");
    place.refuses(
        &["generate", "--model", "adapter", "--prompt", "a"],
        &["LoRA adapter", "merge the adapter"],
    );
    for file in ["pytorch_model.bin", "consolidated.00.pth"] {
        let pickled = Copy::new(&place, "pickled");
        pickled.without("model.safetensors");
        pickled.with(file, "");
        let says = ["pickle format of PyTorch", file, "save_pretrained"];
        place.refuses(&["generate", "--model", "pickled", "--prompt", "a"], &says);
        std::fs::remove_file(place.path("pickled").join(file)).unwrap();
    }
}

#[test]
fn settings_that_would_change_results() {
    let place = Place::new();
    let broken = Copy::new(&place, "broken");
    broken.change_json("config.json", |config| config["final_logit_softcapping"] = 30.into());
    refused(&place, "broken", &["broken/config.json", "`final_logit_softcapping` is 30", "remove the key"]);
    let layers = size("num_hidden_layers");
    broken.change_json("config.json", |config| config["num_hidden_layers"] = (layers - 1).into());
    let says = format!("`num_hidden_layers` is {}, but the weights have {layers} layers", layers - 1);
    refused(&place, "broken", &["broken/config.json", &says, &format!("use {layers}")]);
    let doctor = place.run(&["doctor", "broken"]);
    assert_eq!(doctor.status.code(), Some(1));
    let found = String::from_utf8_lossy(&doctor.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(found.contains(&says), "{found}");
    let twice = std::fs::read_to_string(support::model::original("config.json")).unwrap();
    broken.with("config.json", twice.replacen('{', "{\"hidden_size\": 5,", 1));
    refused(&place, "broken", &["broken/config.json", "the key `hidden_size` appears twice"]);
}

#[test]
fn a_configuration_without_a_needed_key() {
    let place = Place::new();
    for key in [
        "architectures",
        "hidden_size",
        "intermediate_size",
        "num_attention_heads",
        "num_hidden_layers",
        "vocab_size",
    ] {
        let lacks = |config: &mut serde_json::Value| drop(config.as_object_mut().unwrap().remove(key));
        Copy::new(&place, "broken").change_json("config.json", lacks);
        place.refuses(&["memory", "--model", "broken"], &["broken/config.json", &format!("`{key}`")]);
    }
    refused(&place, "broken", &["broken/config.json lacks the key `vocab_size`"]);
}

#[test]
fn a_configuration_that_makes_no_sense() {
    let place = Place::new();
    let broken = Copy::new(&place, "broken");
    broken.with("config.json", "{\"architectures\": [");
    refused(&place, "broken", &["broken/config.json is not valid JSON", "line 1"]);
    broken.change_json("config.json", |config| config["hidden_size"] = "wide".into());
    refused(&place, "broken", &["broken/config.json", "`hidden_size`", "\"wide\"", "integer"]);
}

#[test]
fn a_tensor_of_the_wrong_shape() {
    let place = Place::new();
    let (broken, width) = (Copy::new(&place, "broken"), size("hidden_size"));
    broken.change_tensors(|tensors| tensors.get_mut("model.norm.weight").unwrap().shape = vec![2, width / 2]);
    let found = format!("[2, {}]", width / 2);
    refused(&place, "broken", &["broken/model.safetensors", "`model.norm.weight`", &found, "config.json"]);
    let name = "model.layers.0.mlp.up_proj.weight";
    broken.change_tensors(|tensors| {
        let shape = &mut tensors.get_mut(name).unwrap().shape;
        *shape = vec![1, shape.iter().product()];
    });
    refused(&place, "broken", &["broken/model.safetensors", name, "shape", "config.json"]);
}

#[test]
fn a_tensor_that_is_missing() {
    let place = Place::new();
    let name = "model.layers.1.self_attn.k_proj.weight";
    Copy::new(&place, "broken").change_tensors(|tensors| drop(tensors.remove(name)));
    refused(&place, "broken", &["broken/model.safetensors", "lacks the tensor", name]);
}

#[test]
fn weights_that_are_not_finite() {
    let place = Place::new();
    let broken = Copy::new(&place, "broken");
    for name in ["model.norm.weight", "model.embed_tokens.weight"] {
        // A value with all bits set is NaN in every float type.
        broken.change_tensors(|tensors| tensors.get_mut(name).unwrap().data[..4].fill(0xff));
        refused(&place, "broken", &["broken/model.safetensors", name, "NaN", "index 0", "finite"]);
    }
}

#[test]
fn truncated_weights() {
    let place = Place::new();
    let whole = std::fs::read(support::model::original("model.safetensors")).unwrap();
    for length in [0, 100, whole.len() / 2, whole.len() - 1] {
        Copy::new(&place, "broken").with("model.safetensors", &whole[..length]);
        place.refuses(&["memory", "--model", "broken"], &["broken/model.safetensors"]);
    }
    refused(&place, "broken", &["broken/model.safetensors", "truncated", "download it again"]);
}

#[test]
fn a_tokenizer_of_another_model() {
    let place = Place::new();
    let (broken, vocabulary) = (Copy::new(&place, "broken"), size("vocab_size"));
    broken.change_json("tokenizer.json", |tokenizer| {
        let mut added = tokenizer["added_tokens"][0].clone();
        (added["id"], added["content"]) = (vocabulary.into(), "<one too many>".into());
        tokenizer["added_tokens"].as_array_mut().unwrap().push(added);
    });
    // One token that no text contains gives one note, in every command that reads the tokenizer.
    let generate =
        |prompt: &'static str| ["generate", "--model", "broken", "--max-tokens", "1", "--prompt", prompt];
    place.write("text.txt", "a few words ".repeat(40));
    place.tokens("tokens.json", 40);
    let plan = ["--policy", "uniform+recency", "--budget", "0.5", "--text", "text.txt"];
    for command in [
        &generate("a few words")[..],
        &["generate", "--model", "broken", "--max-tokens", "1", "--tokens", "tokens.json"],
        &["profile", "--model", "broken", "--context", "64"],
        &[&["plan", "--model", "broken"], &plan[..]].concat(),
        &["trace", "--model", "broken", "--prompt", "a few words"],
        &["trace", "--model", "broken", "--tokens", "tokens.json"],
        &["convert", "broken", "broken.gguf", "--to", "i2_s"],
    ] {
        let noted = place.run(command);
        let said = String::from_utf8_lossy(&noted.stderr).into_owned();
        assert!(noted.status.success(), "{command:?}: {said}");
        assert_eq!(said.matches("the token `<one too many>`").count(), 1, "{command:?}: {said}");
    }
    let refused = place.run(&generate("a<one too many>"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let [note, error] = lines[..] else { panic!("{said}") };
    assert!(refused.status.code() == Some(1) && note.starts_with("note: "), "{said}");
    assert!(error.starts_with("error: ") && error.contains("`<one too many>`"), "{said}");
    assert!(error.contains("leave the token out"), "{said}");
    broken.change_json("tokenizer.json", |tokenizer| {
        let added = tokenizer["added_tokens"].as_array_mut().unwrap();
        let last = added.pop().unwrap();
        added.extend((0..=vocabulary).map(|at| {
            let mut more = last.clone();
            (more["id"], more["content"]) = ((vocabulary + at).into(), format!("<{at} too many>").into());
            more
        }));
    });
    place.refuses(&generate("a few words"), &["broken/tokenizer.json", "do not belong together"]);
}

#[test]
fn a_broken_tokenizer_matters_only_for_texts() {
    let place = Place::new();
    Copy::new(&place, "broken").with("tokenizer.json", "{}");
    place.refuses(
        &["generate", "--model", "broken", "--prompt", "words"],
        &["broken/tokenizer.json", "not a usable tokenizer"],
    );
    place.tokens("tokens.json", 40);
    let tokens = ["--tokens", "tokens.json"];
    for command in [&["generate", "--max-tokens", "1"][..], &["profile"], &["trace"]] {
        let arguments = [command, &["--model", "broken"], &tokens].concat();
        let ran = place.run(&arguments);
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    place.text(&["inspect", "broken"]);
    let doctor = place.run(&["doctor", "broken"]);
    assert_eq!(doctor.status.code(), Some(1));
}

//! Finding the tokenizer in a model's folder.

use bitkv_tokenizer::Tokenizer;
use serde_json::json;

use crate::{
    corpus::{OPTIONS, byte_level, gpt_2_splitter, pieces, sentencepiece_json},
    model_file,
};

#[test]
fn the_json_comes_first_and_model_files_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let find = || Tokenizer::from_folder(folder.path(), &OPTIONS).unwrap();
    assert!(find().is_none());
    write("tokenizer.model", &model_file::tiktoken().0);
    assert!(find().unwrap().id("<|eot_id|>").is_some());
    write("tokenizer.model", &model_file::sentencepiece(&pieces()));
    assert_eq!(find().unwrap().id("</s>"), Some(2));
    write("tokenizer.json", byte_level(&gpt_2_splitter()).to_string().as_bytes());
    assert_eq!(find().unwrap().id("</s>"), Some(1));
    write("tokenizer.json", sentencepiece_json(&pieces()).to_string().as_bytes());
    assert_eq!(find().unwrap().id("</s>"), Some(2));
    let missing = Tokenizer::from_file(folder.path().join("other.json"), &OPTIONS).err().unwrap();
    assert!(missing.to_string().starts_with("cannot read") && missing.to_string().contains("other.json"));
}

#[test]
fn a_configuration_adds_tokens_to_a_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let count = pieces().len() as u32;
    std::fs::write(folder.path().join("tokenizer.model"), model_file::sentencepiece(&pieces())).unwrap();
    let config = json!({"added_tokens_decoder": {
        "0": {"content": "<unk>", "special": true},
        count.to_string(): {"content": "<pad>", "lstrip": false, "special": true},
        (count + 2).to_string(): {"content": "<late>", "rstrip": true, "special": false}}});
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path(), &OPTIONS).unwrap().unwrap();
    let the = tokenizer.id("▁the").unwrap();
    assert_eq!(tokenizer.encode_bare("the<pad>the<late>  the").unwrap(), [the, count, the, count + 2, the]);
    assert!(tokenizer.is_special(count) && !tokenizer.is_special(count + 2));
    assert_eq!(tokenizer.missing_ids(), [count + 1..count + 2, count + 3..2000]);
    assert_eq!(tokenizer.special_ids().unk, Some(0));
}

#[test]
fn older_configurations_list_added_tokens_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let count = pieces().len() as u32;
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::write(folder.path().join("tokenizer.model"), model_file::sentencepiece(&pieces())).unwrap();
    write("added_tokens.json", json!({"<pad>": count, "<mark>": count + 1, "=>": count + 2}).to_string());
    write("tokenizer_config.json", json!({"pad_token": {"content": "<pad>"}}).to_string());
    write("special_tokens_map.json", json!({"additional_special_tokens": ["<mark>"]}).to_string());
    let tokenizer = Tokenizer::from_folder(folder.path(), &OPTIONS).unwrap().unwrap();
    assert_eq!(
        ["<pad>", "<mark>", "=>"].map(|token| tokenizer.id(token).unwrap()),
        [count, count + 1, count + 2]
    );
    assert_eq!([0, 1, 2].map(|at| tokenizer.is_special(count + at)), [true, true, false]);

    write("added_tokens.json", json!({"<pad>": 4_000_000_000u32}).to_string());
    let error = Tokenizer::from_folder(folder.path(), &OPTIONS).err().unwrap().to_string();
    assert!(error.contains("`<pad>` is added as id 4000000000, far beyond the last one"), "{error}");
    write("added_tokens.json", "[]".into());
    let error = Tokenizer::from_folder(folder.path(), &OPTIONS).err().unwrap().to_string();
    assert!(error.contains("added_tokens.json is not valid JSON"), "{error}");
}

#[test]
fn the_special_tokens_of_llama_3_can_be_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, ranks) = model_file::tiktoken();
    let first = ranks.len() as u32;
    std::fs::write(folder.path().join("tokenizer.model"), file).unwrap();
    let config = json!({"added_tokens_decoder": {
        (first + 2).to_string(): {"content": "<|finetune_right_pad_id|>", "special": true}}});
    std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path(), &OPTIONS).unwrap().unwrap();
    assert_eq!(tokenizer.id("<|finetune_right_pad_id|>"), Some(first + 2));
    assert_eq!(tokenizer.id("<|reserved_special_token_0|>"), None);
    assert_eq!(tokenizer.id("<|reserved_special_token_1|>"), Some(first + 3));
}

//! Tokenizers that are accepted with a note or refused: tokens beyond the model, missing merges, expressions
//! that take too long, and files that are not tokenizers.

use bitkv_tokenizer::{Tokenizer, TokenizerOptions};
use serde_json::{Value, json};

use crate::corpus::{OPTIONS, byte_level, gpt_2_splitter, pieces, sentencepiece_json, vocabulary};

fn read(json: &Value, vocab_size: usize) -> Result<Tokenizer, String> {
    let options = TokenizerOptions { bos: None, vocab_size };
    let read = Tokenizer::from_json_bytes(json.to_string().as_bytes(), "tokenizer.json", &options);
    read.map_err(|error| error.to_string())
}

/// Returns a tokenizer with two added tokens, and the number of the other tokens.
fn padded() -> (Value, usize) {
    let mut json = byte_level(&gpt_2_splitter());
    let size = json["model"]["vocab"].as_object().unwrap().len();
    for (id, token) in [(size, "[PAD]"), (size + 1, "[PAD2]")] {
        let mut added = json["added_tokens"][0].clone();
        (added["id"], added["content"]) = (id.into(), token.into());
        json["added_tokens"].as_array_mut().unwrap().push(added);
    }
    (json, size)
}

#[test]
fn a_few_unused_tokens_beyond_the_model_give_a_note() {
    let (json, size) = padded();
    let tokenizer = read(&json, size).unwrap();
    let whole = read(&json, size + 2).unwrap();
    assert!(whole.notes().is_empty());
    let [note] = tokenizer.notes() else { panic!("{:?}", tokenizer.notes()) };
    assert!(note.contains(&format!("`[PAD]` ({size}) and 1 others is beyond the {size} ids")), "{note}");
    assert_eq!(tokenizer.encode("the cache").unwrap(), whole.encode("the cache").unwrap());
    assert!(tokenizer.missing_ids().is_empty());
    let error = tokenizer.encode("the[PAD2]").unwrap_err().to_string();
    assert!(error.contains("the token `[PAD2]`") && error.contains(&(size + 1).to_string()), "{error}");
    assert_eq!(whole.encode_bare("[PAD2]").unwrap(), [size as u32 + 1]);
    // The vocabulary of a GGUF file has only the tokens of the model.
    assert_eq!(tokenizer.vocabulary().unwrap().tokens.len(), size);
}

#[test]
fn a_tokenizer_that_mostly_lies_beyond_the_model_is_refused() {
    let (json, size) = padded();
    let error = read(&json, size / 3).err().unwrap();
    assert!(error.contains("they do not belong together"), "{error}");
}

#[test]
fn a_vocabulary_of_longer_tokens_needs_merges() {
    let without = |mut json: Value| {
        json["model"]["merges"] = json!([]);
        read(&json, 2000)
    };
    for json in [byte_level(&gpt_2_splitter()), sentencepiece_json(&pieces())] {
        let error = without(json).err().unwrap();
        assert!(error.contains("it has no merges, so the token"), "{error}");
    }
    let mut gguf = read(&byte_level(&gpt_2_splitter()), 2000).unwrap().vocabulary().unwrap();
    gguf.merges.clear();
    let error = Tokenizer::from_vocabulary(gguf, "model.gguf", &OPTIONS).err().unwrap().to_string();
    assert!(error.starts_with("model.gguf") && error.contains("it has no merges"), "{error}");
    let mut bytes = byte_level(&gpt_2_splitter());
    bytes["model"]["vocab"]
        .as_object_mut()
        .unwrap()
        .retain(|token, id| token.chars().count() == 1 || id.as_u64().unwrap() < 3);
    let tokenizer = without(bytes).unwrap();
    assert_eq!(tokenizer.encode_bare("the").unwrap().len(), 3);
}

#[test]
fn an_expression_that_takes_too_long_is_an_error() {
    let text = format!("{}!", "a".repeat(40));
    let split =
        json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false});
    let mut splits = byte_level(&gpt_2_splitter());
    splits["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [split, gpt_2_splitter()]});
    let mut replaces = byte_level(&gpt_2_splitter());
    replaces["normalizer"] = json!({"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"});
    for json in [splits, replaces] {
        let tokenizer = read(&json, 2000).unwrap();
        let error = tokenizer.encode(&text).unwrap_err().to_string();
        assert!(error.contains("cannot encode the text") && error.contains("takes too long"), "{error}");
        assert!(tokenizer.encode("the").is_ok());
    }
}

#[test]
fn parts_that_crash_the_library_are_refused() {
    let mut empty = byte_level(&gpt_2_splitter());
    empty["normalizer"] = json!({"type": "Replace", "pattern": {"String": ""}, "content": "b"});
    let error = read(&empty, 2000).err().unwrap();
    assert!(error.contains("its normalizer replaces the empty text"), "{error}");
    let mut map = byte_level(&gpt_2_splitter());
    map["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
    let error = read(&map, 2000).and_then(|tokenizer| tokenizer.encode("the").map_err(|e| e.to_string()));
    let error = error.err().unwrap();
    assert!(error.starts_with("tokenizer.json") && !error.contains('\n'), "{error}");
}

#[test]
fn files_that_are_no_tokenizers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let utf_16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain("{}".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
    let files: [(&[u8], &str); 6] = [
        (pointer, "it is a git-lfs pointer, not the file itself: run `git lfs pull`"),
        (b"<!DOCTYPE html><html></html>", "it is an HTML page"),
        (b"", "it is empty: download it again"),
        (&utf_16, "it is text in UTF-16: save it as UTF-8"),
        (b"{\"error\": \"Repository not found\"}", "it is the error message of a server"),
        (b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "it is compressed with gzip: unpack it first"),
    ];
    for name in ["tokenizer.model", "tokenizer.json", "tokenizer_config.json"] {
        for (bytes, expected) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let error = Tokenizer::from_folder(folder.path(), &OPTIONS).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(expected), "{error}");
        }
        let json = byte_level(&gpt_2_splitter()).to_string();
        let content = if name == "tokenizer_config.json" { "{}" } else { json.as_str() };
        // A byte order mark of UTF-8 is skipped.
        std::fs::write(folder.path().join(name), format!("\u{feff}{content}")).unwrap();
        assert_eq!(Tokenizer::from_folder(folder.path(), &OPTIONS).unwrap().unwrap().id("</s>"), Some(1));
    }
}

#[test]
fn settings_that_are_not_understood_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", byte_level(&gpt_2_splitter()).to_string());
    for (config, expected) in [
        (json!({"add_bos_token": "yes"}), "`add_bos_token` is \"yes\", but must be true or false"),
        (json!({"bos_token": 5}), "`bos_token`"),
        (json!({"added_tokens_decoder": []}), "`added_tokens_decoder`"),
        (json!([]), "it is not an object"),
    ] {
        write("tokenizer_config.json", config.to_string());
        let error = Tokenizer::from_folder(folder.path(), &OPTIONS).err().unwrap().to_string();
        assert!(error.contains("tokenizer_config.json") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_gguf_file_that_asks_for_a_token_it_does_not_name_gives_a_note() {
    let mut keys = vocabulary(&pieces());
    keys.special.eos = Some(u32::MAX);
    keys.add_eos = Some(true);
    let tokenizer = Tokenizer::from_vocabulary(keys, "model.gguf", &OPTIONS).unwrap();
    assert!(tokenizer.notes()[0].contains("`add_eos_token` is true"), "{:?}", tokenizer.notes());
    assert!(tokenizer.special_tokens().after.is_empty());
}

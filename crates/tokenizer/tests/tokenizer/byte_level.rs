//! Byte-level BPE, read from a `tokenizer.json`.

use bitkv_tokenizer::{Error, Tokenizer, TokenizerOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::corpus::{
    OPTIONS, byte_level, digits_splitter, from_json, gpt_2_splitter, llama_3_splitter, oracle, texts,
};

fn all() -> [Value; 3] {
    [gpt_2_splitter(), digits_splitter(), llama_3_splitter()].map(|splitter| byte_level(&splitter))
}

#[test]
fn texts_are_encoded_as_hf_does_and_survive() {
    for json in all() {
        let (tokenizer, oracle) = (from_json(&json), oracle(&json));
        proptest!(|(text in texts())| {
            let ids = tokenizer.encode_bare(&text).unwrap();
            let expected = oracle.encode_fast(text.as_str(), false).unwrap();
            prop_assert_eq!(&ids, expected.get_ids());
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), oracle.decode(&ids, true).unwrap());
            let plain = tokenizer.encode_plain(&text).unwrap();
            prop_assert!(plain.iter().all(|id| !tokenizer.is_special(*id)));
            prop_assert_eq!(tokenizer.decode(&plain).unwrap(), text);
        });
    }
}

#[test]
fn special_tokens_are_parsed_unless_the_text_is_plain() {
    let tokenizer = from_json(&byte_level(&llama_3_splitter()));
    let mark = tokenizer.id("<|eot_id|>").unwrap();
    let chat = tokenizer.encode_bare("hi<|eot_id|>").unwrap();
    assert_eq!(chat.last(), Some(&mark));
    assert_eq!(tokenizer.decode(&chat).unwrap(), "hi");
    let text = tokenizer.encode_plain("hi<|eot_id|>").unwrap();
    assert!(!text.contains(&mark));
    assert_eq!(tokenizer.decode(&text).unwrap(), "hi<|eot_id|>");
}

#[test]
fn special_tokens_are_added_even_if_the_text_begins_with_them() {
    let json = byte_level(&gpt_2_splitter()).to_string();
    let options = TokenizerOptions { bos: Some(0), ..OPTIONS };
    let tokenizer = Tokenizer::from_json_bytes(json.as_bytes(), "tokenizer.json", &options).unwrap();
    let without = tokenizer.encode_bare("the cache").unwrap();
    assert_eq!(tokenizer.encode("the cache").unwrap(), [&[0], &without[..]].concat());
    assert_eq!(tokenizer.encode("<s>the cache").unwrap(), [&[0, 0], &without[..]].concat());
    assert_eq!(tokenizer.encode_bare("<s>the cache").unwrap(), [&[0], &without[..]].concat());
    assert!(!tokenizer.encode_plain("<s>").unwrap().contains(&0));
    assert_eq!(tokenizer.encode("").unwrap(), [0]);
    assert_eq!(tokenizer.encode_bare("").unwrap(), [0u32; 0]);
    assert_eq!(
        (&tokenizer.special_tokens().before[..], &tokenizer.special_tokens().after[..]),
        (&[0][..], &[][..])
    );
    assert_eq!(tokenizer.special_ids().bos, Some(0));
}

#[test]
fn settings_for_training_are_ignored() {
    let mut json = byte_level(&gpt_2_splitter());
    let plain = from_json(&json).encode_bare("the entropy of a head is low").unwrap();
    json["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 1, "pad_type_id": 0, "pad_token": "</s>"});
    json["model"]["dropout"] = json!(0.9);
    assert_eq!(from_json(&json).encode_bare("the entropy of a head is low").unwrap(), plain);
}

#[test]
fn older_files_write_merges_as_lines() {
    let json = byte_level(&llama_3_splitter());
    let mut older = json.clone();
    let lines = json["model"]["merges"].as_array().unwrap().iter();
    let lines = lines.map(|pair| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    older["model"]["merges"] = std::iter::once("#version: 0.2".to_string()).chain(lines).collect();
    let text = "The entropy of a head isn't 1024.";
    let ids = from_json(&json).encode_bare(text).unwrap();
    assert_eq!(from_json(&older).encode_bare(text).unwrap(), ids);
    assert!(ids.len() < text.len() / 2);
}

#[test]
fn tokens_and_gaps_are_counted() {
    let mut json = byte_level(&gpt_2_splitter());
    let added = json!({"id": 700, "content": "<late>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": false});
    json["added_tokens"].as_array_mut().unwrap().push(added);
    let tokenizer = from_json(&json);
    assert_eq!((tokenizer.len(), tokenizer.largest_id(), tokenizer.vocab_size()), (501, 700, 2000));
    assert_eq!(tokenizer.missing_ids(), [500..700, 701..2000]);
    // Ids are those of the file even where `tokenizers` would close the gap.
    assert_eq!(tokenizer.encode_bare("<late>").unwrap(), [700]);
    assert_eq!(tokenizer.decode(&[700, 650, 1999]).unwrap(), "<late>");
    assert_eq!((tokenizer.id("<late>"), tokenizer.token(700)), (Some(700), Some("<late>".into())));
    assert_eq!(
        (tokenizer.id("Ġthe").is_some(), tokenizer.id(" the"), tokenizer.token(650)),
        (true, None, None)
    );
    let error = tokenizer.decode(&[0, 2000]).unwrap_err();
    assert_eq!(error.to_string(), "token id 2000 at index 1 is outside the model's vocabulary of 2000");
}

#[test]
fn a_model_with_far_fewer_ids_is_refused() {
    let json = byte_level(&gpt_2_splitter()).to_string();
    let fits = |vocab_size| {
        let options = TokenizerOptions { bos: None, vocab_size };
        Tokenizer::from_json_bytes(json.as_bytes(), "tokenizer.json", &options).map(|t| t.missing_ids())
    };
    assert_eq!(fits(500).unwrap(), []);
    assert_eq!(fits(250).unwrap(), []);
    let error = fits(249).unwrap_err();
    assert!(matches!(error, Error::TokenizerVocabulary { largest: 499, vocab_size: 249, .. }), "{error}");
}

//! Tests that tokenizers can be exported as the vocabulary of a GGUF file and read back.

use std::{collections::BTreeSet, path::Path};

use bitkv_tokenizer::{SpecialIds, TokenType, Tokenizer, TokenizerOptions, Vocabulary};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::corpus::{
    OPTIONS, byte_level, digits_splitter, from_json, gpt_2_splitter, llama_3_splitter, pieces,
    sentencepiece_json, texts, vocabulary,
};

/// Checks that a tokenizer and the one that is read back give the same ids for all texts and have the same
/// vocabulary.
fn assert_same(tokenizer: &Tokenizer) -> Vocabulary {
    let vocabulary = tokenizer.vocabulary().unwrap();
    let options = TokenizerOptions { bos: None, vocab_size: tokenizer.vocab_size() };
    let other = Tokenizer::from_vocabulary(vocabulary.clone(), "model.gguf", &options).unwrap();
    proptest!(|(text in texts())| {
        prop_assert_eq!(tokenizer.encode(&text).unwrap(), other.encode(&text).unwrap());
        let ids = tokenizer.encode_plain(&text).unwrap();
        prop_assert_eq!(&ids, &other.encode_plain(&text).unwrap());
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), other.decode(&ids).unwrap());
    });
    assert_eq!(other.vocabulary().unwrap(), vocabulary);
    vocabulary
}

/// Checks that a tokenizer survives being written as a `tokenizer.json`.
fn assert_survives_json(tokenizer: &Tokenizer) {
    let options = TokenizerOptions { bos: None, vocab_size: tokenizer.vocab_size() };
    let other =
        Tokenizer::from_json_bytes(&tokenizer.to_json().unwrap(), "tokenizer.json", &options).unwrap();
    proptest!(|(text in texts())| {
        let ids = tokenizer.encode_bare(&text).unwrap();
        prop_assert_eq!(&ids, &other.encode_bare(&text).unwrap());
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), other.decode(&ids).unwrap());
    });
}

#[test]
fn written_files_are_read_as_the_same_tokenizer() {
    for splitter in [gpt_2_splitter(), digits_splitter(), llama_3_splitter()] {
        assert_survives_json(&from_json(&byte_level(&splitter)));
    }
    assert_survives_json(&from_json(&sentencepiece_json(&pieces())));
    assert_survives_json(&Tokenizer::from_vocabulary(vocabulary(&pieces()), "x", &OPTIONS).unwrap());
}

#[test]
fn byte_level_vocabularies_give_the_same_ids() {
    for (splitter, pre) in
        [(gpt_2_splitter(), "gpt-2"), (digits_splitter(), "starcoder"), (llama_3_splitter(), "llama-bpe")]
    {
        let mut json = byte_level(&splitter);
        json["model"]["ignore_merges"] = (pre == "llama-bpe").into();
        let vocabulary = assert_same(&from_json(&json));
        assert_eq!((vocabulary.model.as_str(), vocabulary.pre.as_deref()), ("gpt2", Some(pre)));
        assert_eq!(vocabulary.merges.len(), json["model"]["merges"].as_array().unwrap().len());
        assert_eq!((vocabulary.add_bos, vocabulary.add_space_prefix), (Some(true), None));
    }
}

#[test]
fn sentencepiece_vocabularies_give_the_same_ids() {
    let pieces = pieces();
    let original = Tokenizer::from_vocabulary(vocabulary(&pieces), "x", &OPTIONS).unwrap();
    let kept = assert_same(&original);
    assert_eq!(kept.scores[..pieces.len()], vocabulary(&pieces).scores);
    // A tokenizer.json has no scores, so other scores with the same order are derived.
    let from_tokenizer_json = from_json(&sentencepiece_json(&pieces));
    let derived = assert_same(&from_tokenizer_json);
    assert_eq!((&derived.tokens, &derived.token_types), (&kept.tokens, &kept.token_types));
    assert_eq!(derived.add_space_prefix, Some(true));
    let read_back = Tokenizer::from_vocabulary(derived, "x", &OPTIONS).unwrap();
    let text = "The entropy of a head is low  when it looks at few tokens; 世界 🦀";
    assert_eq!(read_back.encode_bare(text).unwrap(), original.encode_bare(text).unwrap());
}

/// In Llama 2, several pieces that consist of spaces have the same score. Hugging Face's converter mixes the
/// merges of such pieces.
#[test]
fn pieces_that_share_a_score_share_the_derived_score() {
    let mut tied = pieces();
    for (_, score, _) in
        tied.iter_mut().filter(|(_, score, kind)| *kind == TokenType::Normal && *score > -40.0)
    {
        *score = -20.0;
    }
    let from_tokenizer_json = from_json(&sentencepiece_json(&tied));
    let scores = assert_same(&from_tokenizer_json).scores;
    let from_scores = Tokenizer::from_vocabulary(vocabulary(&tied), "x", &OPTIONS).unwrap();
    proptest!(|(text in texts())| {
        prop_assert_eq!(from_tokenizer_json.encode_bare(&text).unwrap(), from_scores.encode_bare(&text).unwrap());
    });
    let distinct = |scores: &[f32]| scores.iter().map(|score| *score as i32).collect::<BTreeSet<_>>().len();
    let apart = from_json(&sentencepiece_json(&pieces())).vocabulary().unwrap().scores;
    assert!(distinct(&scores) < distinct(&apart), "{} {}", distinct(&scores), distinct(&apart));
}

#[test]
fn ids_without_a_token_are_unused() {
    let tokenizer = from_json(&byte_level(&gpt_2_splitter()));
    let vocabulary = tokenizer.vocabulary().unwrap();
    assert_eq!((vocabulary.tokens.len(), vocabulary.token_types.len()), (2000, 2000));
    assert_eq!(
        (vocabulary.tokens[0].as_str(), vocabulary.token_types[0]),
        ("<s>", TokenType::Control as i32)
    );
    assert_eq!(vocabulary.token_types[3], TokenType::Normal as i32);
    assert_eq!(vocabulary.tokens[499..501], [tokenizer.token(499).unwrap(), "[PAD500]".into()]);
    assert!(vocabulary.token_types[500..].iter().all(|kind| *kind == TokenType::Unused as i32));
    let read_back = Tokenizer::from_vocabulary(vocabulary, "x", &OPTIONS).unwrap();
    assert_eq!(read_back.len(), 500);
    assert_eq!(read_back.missing_ids().first(), Some(&(500..2000)));
    assert_eq!(read_back.id("[PAD500]"), None);
}

#[test]
fn types_distinguish_special_tokens_from_added_text() {
    let mut json = sentencepiece_json(&pieces());
    let id = pieces().len();
    let added = json!({"id": id, "content": "=>the", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": false});
    json["added_tokens"].as_array_mut().unwrap().push(added);
    let types = assert_same(&from_json(&json)).token_types;
    use TokenType::*;
    let expected =
        [(0, Unknown), (1, Control), (2, Control), (3, Byte), (258, Byte), (259, Normal), (id, UserDefined)];
    assert!(expected.into_iter().all(|(id, kind)| types[id] == kind as i32), "{:?}", &types[..260]);
}

/// The tokenizers of the models that come with the suite.
#[test]
fn the_tokenizers_of_the_suite_can_be_exported() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut written = 0;
    for folder in std::fs::read_dir(models).unwrap() {
        let options = TokenizerOptions { bos: Some(0), vocab_size: 2048 };
        let Some(tokenizer) = Tokenizer::from_folder(folder.unwrap().path(), &options).unwrap() else {
            continue;
        };
        let vocabulary = assert_same(&tokenizer);
        assert_eq!(vocabulary.pre.as_deref(), Some("starcoder"));
        assert_eq!((vocabulary.special.bos, vocabulary.add_bos), (Some(0), Some(true)));
        assert_eq!(vocabulary.special, SpecialIds { bos: Some(0), ..SpecialIds::default() });
        written += 1;
    }
    assert!(written > 0);
}

/// Returns the reason why a tokenizer cannot be exported.
fn refusal(json: &Value) -> String {
    from_json(json).vocabulary().unwrap_err().to_string()
}

#[test]
fn byte_level_tokenizers_without_an_equal_vocabulary_are_refused() {
    let refusal_after = |change: fn(&mut Value)| {
        let mut json = byte_level(&gpt_2_splitter());
        change(&mut json);
        refusal(&json)
    };
    let prefixed = refusal_after(|json| json["pre_tokenizer"]["add_prefix_space"] = true.into());
    assert!(prefixed.contains("its pre-tokenizer has no name in GGUF files: {"), "{prefixed}");
    let composed = refusal_after(|json| json["normalizer"] = json!({"type": "NFC"}));
    assert!(composed.contains("it changes texts before splitting them"), "{composed}");
    let stripping = refusal_after(|json| json["added_tokens"][2]["rstrip"] = true.into());
    assert!(stripping.contains("its token `<|eot_id|>` depends on the text around it"), "{stripping}");
    let whole = refusal_after(|json| {
        json["model"]["ignore_merges"] = true.into();
        json["model"]["merges"].as_array_mut().unwrap().pop();
    });
    assert!(whole.contains("depends on `ignore_merges`, for which `gpt-2` has the other setting"), "{whole}");
    assert!(whole.starts_with("tokenizer.json cannot be written as a GGUF vocabulary"), "{whole}");
}

#[test]
fn ignore_merges_is_irrelevant_if_merging_makes_the_same_tokens() {
    let mut json = byte_level(&gpt_2_splitter());
    json["model"]["ignore_merges"] = true.into();
    assert_same(&from_json(&json));
}

#[test]
fn merges_without_equal_scores_are_refused() {
    let refusal_after = |change: fn(&mut Value)| {
        let mut json = sentencepiece_json(&pieces());
        change(&mut json);
        refusal(&json)
    };
    let lacking = refusal_after(|json| drop(json["model"]["merges"].as_array_mut().unwrap().remove(40)));
    assert!(lacking.contains("it never merges `"), "{lacking}");
    let apart = refusal_after(|json| {
        let merges = json["model"]["merges"].as_array_mut().unwrap();
        let merged = |pair: &Value| format!("{}{}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let twice = (1..merges.len()).find(|at| merged(&merges[*at]) == merged(&merges[at - 1])).unwrap();
        let moved = merges.remove(twice);
        merges.push(moved);
    });
    assert!(apart.contains("no scores give the merge of `"), "{apart}");
    let metaspace = refusal_after(|json| {
        json["normalizer"] = Value::Null;
        json["pre_tokenizer"] =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
    });
    assert!(metaspace.contains("it treats spaces in a way that GGUF files cannot describe"), "{metaspace}");
    let whole = refusal_after(|json| json["model"]["ignore_merges"] = true.into());
    assert!(whole.contains("it looks up whole texts as tokens"), "{whole}");
}

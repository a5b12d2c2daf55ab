//! Tests that tokenizers can be exported as the vocabulary of a GGUF file and read back.

use std::{collections::BTreeSet, path::Path};

use bitkv_tokenizer::{Options, SpecialIds, TokenType, Tokenizer, Vocabulary};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::corpus::{
    ROOM, byte_level, digits_cut, from_json, gpt_2_cut, llama_3_cut, pieces, sentencepiece_json, texts,
    vocabulary,
};

/// Both give the same ids on all texts, and the vocabulary of both is the same.
fn assert_same(one: &Tokenizer) -> Vocabulary {
    let vocabulary = one.vocabulary().unwrap();
    let options = Options { bos: None, vocab_size: one.vocab_size() };
    let other = Tokenizer::from_vocabulary(vocabulary.clone(), "model.gguf", &options).unwrap();
    proptest!(|(text in texts())| {
        prop_assert_eq!(one.encode(&text, true).unwrap(), other.encode(&text, true).unwrap());
        let ids = one.encode_plain(&text, true).unwrap();
        prop_assert_eq!(&ids, &other.encode_plain(&text, true).unwrap());
        prop_assert_eq!(one.decode(&ids).unwrap(), other.decode(&ids).unwrap());
    });
    assert_eq!(other.vocabulary().unwrap(), vocabulary);
    vocabulary
}

/// Also by way of a `tokenizer.json`.
fn assert_survives_json(one: &Tokenizer) {
    let options = Options { bos: None, vocab_size: one.vocab_size() };
    let other = Tokenizer::from_json_bytes(&one.to_json().unwrap(), "tokenizer.json", &options).unwrap();
    proptest!(|(text in texts())| {
        let ids = one.encode(&text, false).unwrap();
        prop_assert_eq!(&ids, &other.encode(&text, false).unwrap());
        prop_assert_eq!(one.decode(&ids).unwrap(), other.decode(&ids).unwrap());
    });
}

#[test]
fn written_files_are_read_as_the_same_tokenizer() {
    for cut in [gpt_2_cut(), digits_cut(), llama_3_cut()] {
        assert_survives_json(&from_json(&byte_level(&cut)));
    }
    assert_survives_json(&from_json(&sentencepiece_json(&pieces())));
    assert_survives_json(&Tokenizer::from_vocabulary(vocabulary(&pieces()), "x", &ROOM).unwrap());
}

#[test]
fn byte_level_vocabularies_give_the_same_ids() {
    for (cut, pre) in [(gpt_2_cut(), "gpt-2"), (digits_cut(), "starcoder"), (llama_3_cut(), "llama-bpe")] {
        let mut json = byte_level(&cut);
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
    let of_vocabulary = Tokenizer::from_vocabulary(vocabulary(&pieces), "x", &ROOM).unwrap();
    let kept = assert_same(&of_vocabulary);
    assert_eq!(kept.scores[..pieces.len()], vocabulary(&pieces).scores);
    // A tokenizer.json has no scores, so that others with the same order are made up.
    let of_json = from_json(&sentencepiece_json(&pieces));
    let made_up = assert_same(&of_json);
    assert_eq!((&made_up.tokens, &made_up.token_types), (&kept.tokens, &kept.token_types));
    assert_eq!(made_up.add_space_prefix, Some(true));
    let back = Tokenizer::from_vocabulary(made_up, "x", &ROOM).unwrap();
    let text = "The entropy of a head is low  when it looks at few tokens; 世界 🦀";
    assert_eq!(back.encode(text, false).unwrap(), of_vocabulary.encode(text, false).unwrap());
}

/// In Llama 2, several pieces that consist of spaces have the same score. Hugging Face's converter mixes the
/// merges of such pieces.
#[test]
fn pieces_of_one_score_have_one_score_again() {
    let mut tied = pieces();
    for (_, score, _) in
        tied.iter_mut().filter(|(_, score, kind)| *kind == TokenType::Normal && *score > -40.0)
    {
        *score = -20.0;
    }
    let of_json = from_json(&sentencepiece_json(&tied));
    let scores = assert_same(&of_json).scores;
    let of_pieces = Tokenizer::from_vocabulary(vocabulary(&tied), "x", &ROOM).unwrap();
    proptest!(|(text in texts())| {
        prop_assert_eq!(of_json.encode(&text, false).unwrap(), of_pieces.encode(&text, false).unwrap());
    });
    let distinct = |scores: &[f32]| scores.iter().map(|score| *score as i32).collect::<BTreeSet<_>>().len();
    let apart = from_json(&sentencepiece_json(&pieces())).vocabulary().unwrap().scores;
    assert!(distinct(&scores) < distinct(&apart), "{} {}", distinct(&scores), distinct(&apart));
}

#[test]
fn ids_without_a_token_are_unused() {
    let tokenizer = from_json(&byte_level(&gpt_2_cut()));
    let vocabulary = tokenizer.vocabulary().unwrap();
    assert_eq!((vocabulary.tokens.len(), vocabulary.token_types.len()), (2000, 2000));
    assert_eq!(
        (vocabulary.tokens[0].as_str(), vocabulary.token_types[0]),
        ("<s>", TokenType::Control as i32)
    );
    assert_eq!(vocabulary.token_types[3], TokenType::Normal as i32);
    assert_eq!(vocabulary.tokens[499..501], [tokenizer.token(499).unwrap(), "[PAD500]".into()]);
    assert!(vocabulary.token_types[500..].iter().all(|kind| *kind == TokenType::Unused as i32));
    let back = Tokenizer::from_vocabulary(vocabulary, "x", &ROOM).unwrap();
    assert_eq!(back.len(), 500);
    assert_eq!(back.missing_ids().first(), Some(&(500..2000)));
    assert_eq!(back.id("[PAD500]"), None);
}

#[test]
fn types_tell_special_tokens_from_added_text() {
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
fn the_models_of_the_suite_can_be_written() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut written = 0;
    for folder in std::fs::read_dir(models).unwrap() {
        let options = Options { bos: Some(0), vocab_size: 2048 };
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
fn what_a_vocabulary_cannot_say_is_refused() {
    let with = |change: fn(&mut Value)| {
        let mut json = byte_level(&gpt_2_cut());
        change(&mut json);
        refusal(&json)
    };
    let prefixed = with(|json| json["pre_tokenizer"]["add_prefix_space"] = true.into());
    assert!(prefixed.contains("its pre-tokenizer has no name there: {"), "{prefixed}");
    let composed = with(|json| json["normalizer"] = json!({"type": "NFC"}));
    assert!(composed.contains("it changes texts before cutting them"), "{composed}");
    let stripping = with(|json| json["added_tokens"][2]["rstrip"] = true.into());
    assert!(stripping.contains("its token `<|eot_id|>` depends on the text around it"), "{stripping}");
    let whole = with(|json| {
        json["model"]["ignore_merges"] = true.into();
        json["model"]["merges"].as_array_mut().unwrap().pop();
    });
    assert!(whole.contains("depends on `ignore_merges`, which `gpt-2` has otherwise"), "{whole}");
    assert!(whole.starts_with("tokenizer.json cannot be written as a GGUF vocabulary"), "{whole}");
}

#[test]
fn whole_tokens_need_no_merging_where_merging_makes_them_anyway() {
    let mut json = byte_level(&gpt_2_cut());
    json["model"]["ignore_merges"] = true.into();
    assert_same(&from_json(&json));
}

#[test]
fn what_scores_cannot_say_is_refused() {
    let with = |change: fn(&mut Value)| {
        let mut json = sentencepiece_json(&pieces());
        change(&mut json);
        refusal(&json)
    };
    let lacking = with(|json| drop(json["model"]["merges"].as_array_mut().unwrap().remove(40)));
    assert!(lacking.contains("it never merges `"), "{lacking}");
    let apart = with(|json| {
        let merges = json["model"]["merges"].as_array_mut().unwrap();
        let whole = |pair: &Value| format!("{}{}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let twice = (1..merges.len()).find(|at| whole(&merges[*at]) == whole(&merges[at - 1])).unwrap();
        let moved = merges.remove(twice);
        merges.push(moved);
    });
    assert!(apart.contains("no scores would merge `"), "{apart}");
    let metaspace = with(|json| {
        json["normalizer"] = Value::Null;
        json["pre_tokenizer"] =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
    });
    assert!(metaspace.contains("it treats spaces in its own way"), "{metaspace}");
    let whole = with(|json| json["model"]["ignore_merges"] = true.into());
    assert!(whole.contains("it takes whole texts for tokens"), "{whole}");
}

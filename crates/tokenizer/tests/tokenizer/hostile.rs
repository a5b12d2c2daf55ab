//! Damaged and hostile files. Each gives a message of one sentence.

use bitkv_tokenizer::{SpecialIds, TokenType, Tokenizer, TokenizerOptions, Vocabulary};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    corpus::{OPTIONS, byte_level, gpt_2_splitter, pieces, sentencepiece_json, vocabulary},
    model_file::{self, Field, message},
};

/// Returns the error message for a `tokenizer.json`.
fn json_error(json: &str) -> String {
    let read = Tokenizer::from_json_bytes(json.as_bytes(), "tokenizer.json", &OPTIONS);
    let error = read.err().expect("it is wrong").to_string();
    assert!(error.starts_with("tokenizer.json") && !error.contains('\n'), "{error}");
    error
}

/// Returns the error message for a modified `tokenizer.json`.
fn error_after(change: impl FnOnce(&mut Value)) -> String {
    let mut json = byte_level(&gpt_2_splitter());
    change(&mut json);
    json_error(&json.to_string())
}

#[test]
fn invalid_parts_of_a_tokenizer_json_are_named() {
    assert!(json_error("{}").contains("missing field `model`"));
    assert!(json_error("not json").contains("is not a usable tokenizer"));
    let unigram =
        error_after(|json| json["model"] = json!({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}));
    assert!(unigram.contains("the model `Unigram` is not supported (known: BPE)"), "{unigram}");
    let affix = error_after(|json| json["model"]["end_of_word_suffix"] = json!("</w>"));
    assert!(affix.contains("the end_of_word_suffix `</w>` is not supported"), "{affix}");
    let decoder = error_after(|json| json["decoder"] = json!({"type": "CTC"}));
    assert!(decoder.contains("the decoder `CTC` is not supported"), "{decoder}");
    let splitter = error_after(|json| json["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}));
    assert!(splitter.contains("pieces of length 0"), "{splitter}");
    let splitter = error_after(|json| json["pre_tokenizer"] = json!({"type": "Guess"}));
    assert!(splitter.contains("its pre_tokenizer is not understood"), "{splitter}");
}

#[test]
fn invalid_tokens_and_merges_of_a_tokenizer_json_are_named() {
    let id = error_after(|json| json["model"]["vocab"]["!"] = 7.into());
    assert!(id.contains("share the id 7"), "{id}");
    let twice = byte_level(&gpt_2_splitter()).to_string().replacen(r#""vocab":{"#, r#""vocab":{"!":900,"#, 1);
    assert!(json_error(&twice).contains("the token `!` has the ids 900 and"), "{}", json_error(&twice));
    let added = error_after(|json| json["added_tokens"][1]["id"] = 99.into());
    assert!(added.contains("the token `</s>` has the ids 1 and 99"), "{added}");
    let empty = error_after(|json| json["added_tokens"][1]["content"] = "".into());
    assert!(empty.contains("the added token with id 1 is empty"), "{empty}");
    let merge = error_after(|json| json["model"]["merges"][0] = json!(["Ġ", "qqq"]));
    assert!(
        merge.contains("the merge of `Ġ` and `qqq` needs the token `qqq`, which the file lacks"),
        "{merge}"
    );
    // The merged text is longer than any token.
    let whole = error_after(|json| {
        let longest =
            json["model"]["vocab"].as_object().unwrap().keys().max_by_key(|token| token.len()).cloned();
        json["model"]["merges"][0] = json!([longest, longest]);
    });
    assert!(whole.contains("which the file lacks"), "{whole}");
    let line = error_after(|json| json["model"]["merges"] = json!(["a b c"]));
    assert!(line.contains("`a b c` is not two tokens"), "{line}");
    let far = error_after(|json| json["model"]["vocab"]["far"] = 4_000_000_000u32.into());
    assert!(far.contains("has token id 4000000000"), "{far}");
    let mut json = byte_level(&gpt_2_splitter());
    json["model"]["vocab"]["far"] = 4_000_000_000u32.into();
    let room = TokenizerOptions { bos: None, vocab_size: usize::MAX };
    assert!(Tokenizer::from_json_bytes(json.to_string().as_bytes(), "x", &room).is_err());
}

/// Returns the error message for a `tokenizer.model`.
fn model_error(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.model");
    std::fs::write(&path, bytes).unwrap();
    let error = Tokenizer::from_file(&path, &OPTIONS).err().expect("it is wrong").to_string();
    assert!(error.contains("tokenizer.model") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn truncated_sentencepiece_models_are_refused() {
    let whole = model_file::sentencepiece(&pieces());
    for end in (1..whole.len()).step_by(7) {
        // A truncation between two fields removes only the settings.
        let error = model_error(&whole[..end]);
        let known = [
            "truncated or damaged, at byte",
            "the model type `unigram`",
            "`remove_extra_whitespaces`",
            "is empty",
        ];
        assert!(known.iter().any(|reason| error.contains(reason)), "{end}: {error}");
    }
    assert!(model_error(b"").contains("is empty"));
    let pointer = b"version https://git-lfs.github.com/spec/v1\n";
    assert!(
        model_error(pointer).contains("it is a git-lfs pointer, not the file itself: run `git lfs pull`")
    );
}

#[test]
fn sentencepiece_models_of_other_kinds_are_refused() {
    let identity = message(&[Field::Integer(4, 0)]);
    let bpe = message(&[Field::Integer(3, 2)]);
    let error_with = |trainer: &[u8], normalizer: &[u8]| {
        model_error(&model_file::sentencepiece_with(&pieces(), trainer, normalizer))
    };
    assert!(error_with(&message(&[Field::Integer(3, 3)]), &identity).contains("the model type `word`"));
    assert!(error_with(&message(&[Field::Integer(3, 99)]), &identity).contains("the model type `99`"));
    let suffix = message(&[Field::Integer(3, 2), Field::Integer(24, 1)]);
    assert!(error_with(&suffix, &identity).contains("treat_whitespace_as_suffix"));
    let rules = message(&[Field::Integer(4, 0), Field::Bytes(1, b"nmt_nfkc"), Field::Bytes(2, b"rules")]);
    assert!(error_with(&bpe, &rules).contains("the normalizer `nmt_nfkc`"));
    assert!(error_with(&bpe, &[]).contains("the normalizer `remove_extra_whitespaces`"));
    let raw = message(&[Field::Integer(4, 0), Field::Integer(5, 0)]);
    assert!(error_with(&bpe, &raw).contains("the normalizer `escape_whitespaces = false`"));
}

#[test]
fn invalid_tiktoken_files_are_refused() {
    let (file, _) = model_file::tiktoken();
    let text = String::from_utf8(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let error_with = |line: &str| model_error(format!("{}\n{line}\n", lines.join("\n")).as_bytes());
    let next = lines.len();
    assert!(
        error_with("YWFhYQ==").contains(&format!("line {} is not a token in base64 and its rank", next + 1))
    );
    assert!(error_with("!!!! 3").contains("is not a token in base64"));
    assert!(error_with("enp6 7").contains(&format!("has the rank 7, but {next} is next")));
    assert!(error_with(&format!("dGhl {next}")).contains("the token `the` has the ranks"));
    let few = model_error(lines[..200].join("\n").as_bytes());
    assert!(few.contains("no token represents the byte"), "{few}");
    assert!(model_error(b"YQ== 0\n\xff\xfe").contains("line 2"));
}

/// Returns the error message for a modified vocabulary.
fn vocabulary_error(change: impl FnOnce(&mut Vocabulary)) -> String {
    let mut vocabulary = vocabulary(&pieces());
    change(&mut vocabulary);
    let error = Tokenizer::from_vocabulary(vocabulary, "model.gguf", &OPTIONS)
        .err()
        .expect("it is wrong")
        .to_string();
    assert!(error.starts_with("model.gguf") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn invalid_vocabularies_are_refused() {
    let error = |change: fn(&mut Vocabulary)| vocabulary_error(change);
    assert!(error(|v| v.scores.truncate(9)).contains("scores"));
    assert!(error(|v| v.token_types.truncate(9)).contains("types"));
    assert!(error(|v| v.scores.clear()).contains("it has no scores"));
    assert!(error(|v| v.scores.fill(-1000.0)).contains("its scores are all the same"));
    assert!(error(|v| v.token_types[5] = 9).contains("token 5 has the type 9"));
    assert!(error(|v| v.tokens[5] = "<0xZZ>".into()).contains("byte piece 5 is `<0xZZ>`"));
    assert!(error(|v| v.tokens[300] = v.tokens[301].clone()).contains("has the ids 300 and 301"));
    assert!(error(|v| v.token_types[300] = TokenType::UserDefined as i32).contains("may not contain spaces"));
    assert!(error(|v| v.tokens[300] = "a".repeat(4096)).contains("a token of 4096 bytes"));
    assert!(
        error(|v| v.model = "bert".into())
            .contains("the vocabulary `bert` is not supported (known: gpt2, llama)")
    );
    assert!(
        error(|v| *v = Vocabulary { model: "gpt2".into(), ..Vocabulary::default() })
            .contains("it has no tokens")
    );
    let gpt_2 = |change: fn(&mut Vocabulary)| {
        vocabulary_error(|v| {
            (v.model, v.pre) = ("gpt2".into(), None);
            change(v);
        })
    };
    assert!(
        gpt_2(|v| v.pre = Some("viking".into()))
            .contains("the pre-tokenizer `viking` is not supported (known:")
    );
    assert!(gpt_2(|v| v.merges = vec!["ab".into()]).contains("the merge `ab` is not two tokens"));
    assert!(gpt_2(|v| v.merges = vec!["t qqq".into()]).contains("needs the token `qqq`"));
    let neither = vocabulary_error(|v| {
        v.token_types[..259].fill(TokenType::Control as i32);
        v.special = SpecialIds::default();
    });
    assert!(neither.contains("neither byte pieces nor an unknown token"), "{neither}");
}

#[test]
fn no_damage_causes_a_panic() {
    let files = [
        byte_level(&gpt_2_splitter()).to_string().into_bytes(),
        sentencepiece_json(&pieces()).to_string().into_bytes(),
        model_file::sentencepiece(&pieces()),
        model_file::tiktoken().0,
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer");
    for file in files {
        let changes = proptest::collection::vec((0..file.len(), any::<u8>()), 1..4);
        proptest!(ProptestConfig::with_cases(64), |(changes in changes)| {
            let mut file = file.clone();
            for (at, byte) in changes {
                file[at] = byte;
            }
            std::fs::write(&path, file).unwrap();
            match Tokenizer::from_file(&path, &OPTIONS) {
                Ok(tokenizer) => {
                    let ids = tokenizer.encode("the entropy 1024 🦀 <s>");
                    if let Ok(ids) = ids {
                        prop_assert!(tokenizer.decode(&ids).is_ok());
                    }
                    let _ = tokenizer.vocabulary();
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        });
    }
}

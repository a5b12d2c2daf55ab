//! The special tokens before and after texts, compared with transformers; see `testdata/special-tokens`.

use base64::{Engine, engine::general_purpose::STANDARD};
use bitkv_tokenizer::{SpecialIds, Tokenizer, TokenizerOptions, Vocabulary};
use serde::Deserialize;
use std::collections::BTreeMap;

const CASES: &str = include_str!("../../../../testdata/special-tokens/cases.json");
const OPTIONS: TokenizerOptions = TokenizerOptions { bos: None, vocab_size: 300 };

#[derive(Deserialize)]
struct Cases {
    texts: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    vocabulary: Option<Keys>,
    texts: Option<Vec<String>>,
    ids: Vec<Vec<u32>>,
    bare: Vec<Vec<u32>>,
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(crate) struct Keys {
    model: String,
    pre: Option<String>,
    unk: Option<u32>,
    tokens: Vec<String>,
    scores: Vec<f32>,
    token_types: Vec<i32>,
    merges: Vec<String>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: Option<bool>,
    add_eos: Option<bool>,
    add_space_prefix: Option<bool>,
}

impl Keys {
    pub(crate) fn vocabulary(self) -> Vocabulary {
        Vocabulary {
            model: self.model,
            pre: self.pre,
            tokens: self.tokens,
            scores: self.scores,
            token_types: self.token_types,
            merges: self.merges,
            special: SpecialIds { bos: self.bos, eos: self.eos, unk: self.unk, pad: None },
            add_bos: self.add_bos,
            add_eos: self.add_eos,
            add_space_prefix: self.add_space_prefix,
        }
    }
}

impl Case {
    fn read(&self) -> Tokenizer {
        if let Some(keys) = self.vocabulary.clone() {
            return Tokenizer::from_vocabulary(keys.vocabulary(), "model.gguf", &OPTIONS).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in &self.files {
            let bytes = match file.ends_with(".model") {
                true => STANDARD.decode(content).unwrap(),
                false => content.clone().into_bytes(),
            };
            std::fs::write(folder.path().join(file), bytes).unwrap();
        }
        Tokenizer::from_folder(folder.path(), &OPTIONS).unwrap().unwrap()
    }
}

fn cases() -> Cases {
    serde_json::from_str(CASES).unwrap()
}

#[test]
fn texts_get_the_special_tokens_that_the_files_ask_for() {
    let cases = cases();
    assert!(cases.cases.len() >= 60 && cases.cases.iter().any(|case| case.kind == "gguf"));
    for case in &cases.cases {
        let tokenizer = case.read();
        let texts = case.texts.as_ref().unwrap_or(&cases.texts);
        assert_eq!(texts.len(), case.ids.len());
        for (text, (ids, bare)) in texts.iter().zip(case.ids.iter().zip(&case.bare)) {
            assert_eq!(tokenizer.encode_bare(text).unwrap(), *bare, "{}: {text:?}, bare", case.name);
            assert_eq!(tokenizer.encode(text).unwrap(), *ids, "{}: {text:?}", case.name);
        }
    }
}

#[test]
fn special_tokens_survive_conversion_in_both_directions() {
    let cases = cases();
    let (mut to_gguf, mut to_json) = (0, 0);
    for case in &cases.cases {
        let tokenizer = case.read();
        let texts = case.texts.as_ref().unwrap_or(&cases.texts);
        let written = tokenizer.to_json().unwrap();
        let again = Tokenizer::from_json_bytes(&written, "tokenizer.json", &OPTIONS).unwrap();
        for text in texts {
            assert_eq!(
                again.encode(text).unwrap(),
                tokenizer.encode(text).unwrap(),
                "{}: {text:?}",
                case.name
            );
        }
        to_json += 1;
        // A GGUF file cannot describe every tokenizer; those are refused.
        let Ok(vocabulary) = tokenizer.vocabulary() else { continue };
        let read = Tokenizer::from_vocabulary(vocabulary, "model.gguf", &OPTIONS).unwrap();
        for text in texts {
            assert_eq!(
                read.encode(text).unwrap(),
                tokenizer.encode(text).unwrap(),
                "{}: {text:?}",
                case.name
            );
        }
        assert_eq!(read.special_tokens(), tokenizer.special_tokens(), "{}", case.name);
        to_gguf += 1;
    }
    assert!(to_json >= 60 && to_gguf >= 30, "{to_json} {to_gguf}");
}

#[test]
fn several_tokens_before_a_text_have_no_gguf_form() {
    let cases = cases();
    let case = cases.cases.iter().find(|case| case.name == "template with two tokens before").unwrap();
    let error = case.read().vocabulary().unwrap_err().to_string();
    assert!(error.contains("every text begins with several tokens (<s>, <sep>)"), "{error}");
}

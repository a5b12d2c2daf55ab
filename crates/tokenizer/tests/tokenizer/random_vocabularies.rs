//! Ids of random small vocabularies, compared with Hugging Face's and Google's libraries; see
//! `testdata/tokenizers/random_vocabularies.py`.

use std::collections::BTreeMap;

use bitkv_tokenizer::{Tokenizer, TokenizerOptions};
use serde::Deserialize;

use crate::special_tokens::Keys;

const SAMPLE: &str = include_str!("../../../../testdata/tokenizers/sample.json");

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    vocabulary: Option<Keys>,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
    bare: Vec<Vec<u32>>,
}

#[test]
fn random_vocabularies_give_the_ids_of_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(SAMPLE).unwrap();
    let mut texts = 0;
    for case in cases {
        let options = TokenizerOptions { bos: None, vocab_size: 1 << 20 };
        let tokenizer = match case.vocabulary {
            Some(keys) => Tokenizer::from_vocabulary(keys.vocabulary(), "model.gguf", &options).unwrap(),
            None => {
                let folder = tempfile::tempdir().unwrap();
                for (file, content) in &case.files {
                    std::fs::write(folder.path().join(file), content).unwrap();
                }
                Tokenizer::from_folder(folder.path(), &options).unwrap().unwrap()
            }
        };
        for ((text, ids), bare) in case.texts.iter().zip(&case.ids).zip(&case.bare) {
            assert_eq!(tokenizer.encode(text).unwrap(), *ids, "{}: {text:?}", case.name);
            assert_eq!(tokenizer.encode_bare(text).unwrap(), *bare, "{}: {text:?}", case.name);
            texts += 1;
        }
    }
    assert!(texts > 300, "{texts}");
}

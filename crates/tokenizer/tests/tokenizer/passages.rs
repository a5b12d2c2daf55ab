//! Long texts are split into passages, and have the ids that the library gives to the whole text.

use bitkv_tokenizer::Tokenizer;
use serde_json::Value;

use crate::corpus::{
    OPTIONS, TEXT, byte_level, digits_splitter, gpt_2_splitter, llama_3_splitter, pieces, sentencepiece_json,
};

/// Asserts that a long text has the ids of the library, and that a prefix of them is the same.
fn same_ids(json: &Value, text: &str) {
    let json = json.to_string();
    let tokenizer = Tokenizer::from_json_bytes(json.as_bytes(), "tokenizer.json", &OPTIONS).unwrap();
    let library = tokenizers::Tokenizer::from_bytes(json.as_bytes()).unwrap();
    let expected = library.encode_fast(text, true).unwrap();
    assert!(tokenizer.encode(text).unwrap() == expected.get_ids(), "the ids differ");
    let (first, is_all) = tokenizer.encode_beginning(text, 100).unwrap();
    assert!(!is_all && first.len() > 100 && first.len() < expected.len() / 2, "a part is enough");
    assert_eq!(first[..], expected.get_ids()[..first.len()]);
    let (all, is_all) = tokenizer.encode_beginning(&text[..100], usize::MAX).unwrap();
    assert!(is_all && !all.is_empty());
}

#[test]
fn passages_have_the_ids_of_the_whole_text() {
    // The first borders are at different places of the text, because the copies have different lengths.
    let copies = (0..300).map(|i| format!("{TEXT}{}", "x ".repeat(i % 7)));
    let text: String = copies.collect();
    for splitter in [gpt_2_splitter(), digits_splitter(), llama_3_splitter()] {
        same_ids(&byte_level(&splitter), &text);
    }
    same_ids(&sentencepiece_json(&pieces()), &text);
}

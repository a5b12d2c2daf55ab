//! SentencePiece's BPE from a vocabulary, a model file and a `tokenizer.json`.

use std::cell::Cell;

use bitkv_tokenizer::{TokenType, Tokenizer, TokenizerOptions};
use proptest::prelude::*;

use crate::{
    corpus::{OPTIONS, from_json, oracle, pieces, sentencepiece_json, texts, vocabulary},
    model_file, reference,
};

#[test]
fn texts_are_encoded_as_sentencepiece_describes_and_survive() {
    let pieces = pieces();
    let from_vocabulary = Tokenizer::from_vocabulary(vocabulary(&pieces), "x.gguf", &OPTIONS).unwrap();
    let from_model =
        Tokenizer::from_sentencepiece_bytes(&model_file::sentencepiece(&pieces), "tokenizer.model", &OPTIONS)
            .unwrap();
    let from_tokenizer_json = from_json(&sentencepiece_json(&pieces));
    let merged = Cell::new(0);
    proptest!(|(text in texts())| {
        let expected = reference::sentencepiece(&pieces, &text);
        for tokenizer in [&from_vocabulary, &from_model, &from_tokenizer_json] {
            let ids = tokenizer.encode_plain(&text).unwrap();
            prop_assert_eq!(&ids, &expected);
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.replace('▁', " "));
        }
        merged.set(merged.get() + usize::from(expected.len() < text.chars().count()));
    });
    assert!(merged.get() > 50, "{merged:?}");
}

#[test]
fn special_tokens_are_parsed_as_hf_does() {
    let pieces = pieces();
    let json = sentencepiece_json(&pieces);
    let (oracle, tokenizer) =
        (oracle(&json), Tokenizer::from_vocabulary(vocabulary(&pieces), "x", &OPTIONS).unwrap());
    proptest!(|(text in texts())| {
        let ids = tokenizer.encode_bare(&text).unwrap();
        let expected = oracle.encode_fast(text.as_str(), false).unwrap();
        prop_assert_eq!(&ids, expected.get_ids());
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), oracle.decode(&ids, true).unwrap());
    });
    // Encoding puts a space before every stretch of text; decoding removes only the one at the start.
    let ids = tokenizer.encode("the</s>the").unwrap();
    let the = tokenizer.id("▁the").unwrap();
    assert_eq!(ids, [1, the, 2, the]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "the the");
}

#[test]
fn spaces_at_the_start_are_kept() {
    let tokenizer = Tokenizer::from_vocabulary(vocabulary(&pieces()), "x", &OPTIONS).unwrap();
    for text in ["", " ", "  ", " the", "  the  ", "\n the", "the"] {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
    let mut plain = vocabulary(&pieces());
    plain.add_space_prefix = Some(false);
    let tokenizer = Tokenizer::from_vocabulary(plain, "x", &OPTIONS).unwrap();
    for text in ["", " ", " the", "the"] {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
    assert_eq!(tokenizer.encode_bare(" the").unwrap(), [tokenizer.id("▁the").unwrap()]);
}

#[test]
fn characters_without_a_piece_are_bytes() {
    let tokenizer = Tokenizer::from_vocabulary(vocabulary(&pieces()), "x", &OPTIONS).unwrap();
    let space = tokenizer.id("▁").unwrap();
    let crab: Vec<u32> = "🦀".bytes().map(|byte| 3 + u32::from(byte)).collect();
    assert_eq!(tokenizer.encode_bare("🦀").unwrap(), [&[space], &crab[..]].concat());
    assert_eq!(tokenizer.decode(&crab).unwrap(), "🦀");
    assert_eq!(tokenizer.decode(&crab[..3]).unwrap(), "\u{FFFD}");
    assert_eq!(tokenizer.decode(&[3 + 10]).unwrap(), "\n");
}

#[test]
fn without_byte_pieces_a_run_of_unknown_characters_is_one_token() {
    let mut pieces = pieces();
    pieces.retain(|(.., kind)| *kind != TokenType::Byte);
    let tokenizer = Tokenizer::from_vocabulary(vocabulary(&pieces), "x", &OPTIONS).unwrap();
    let ids = tokenizer.encode_bare("🦀🦀 the").unwrap();
    assert_eq!(ids, [tokenizer.id("▁").unwrap(), 0, tokenizer.id("▁the").unwrap()]);
}

#[test]
fn the_roles_of_ids_are_read() {
    let read = Tokenizer::from_sentencepiece_bytes(
        &model_file::sentencepiece(&pieces()),
        "tokenizer.model",
        &OPTIONS,
    )
    .unwrap();
    let special = read.special_ids();
    assert_eq!((special.unk, special.bos, special.eos, special.pad), (Some(0), Some(1), Some(2), None));
    let mut none = vocabulary(&pieces());
    none.special.bos = Some(u32::MAX);
    let read_none = Tokenizer::from_vocabulary(none, "x", &OPTIONS).unwrap();
    assert_eq!((read_none.special_ids().bos, read_none.encode("").unwrap()), (None, vec![]));
    let options = TokenizerOptions { bos: Some(2), ..OPTIONS };
    let read = Tokenizer::from_sentencepiece_bytes(
        &model_file::sentencepiece(&pieces()),
        "tokenizer.model",
        &options,
    )
    .unwrap();
    // The configuration of a model names ids, and the tokenizer's own files decide what is added.
    assert_eq!((read.special_ids().bos, read.encode("").unwrap()), (Some(2), vec![1]));
}

#[test]
fn user_defined_pieces_are_never_split() {
    let mut pieces = pieces();
    pieces.push(("=>the".into(), 0.0, TokenType::UserDefined));
    let id = pieces.len() as u32 - 1;
    let tokenizer =
        Tokenizer::from_sentencepiece_bytes(&model_file::sentencepiece(&pieces), "tokenizer.model", &OPTIONS)
            .unwrap();
    for ids in [tokenizer.encode_bare("=>then").unwrap(), tokenizer.encode_plain("=>then").unwrap()] {
        assert_eq!(ids[0], id);
        assert_eq!(tokenizer.decode(&ids).unwrap(), "=>the n");
    }
}

#[test]
fn shared_scores_merge_in_the_order_of_transformers_with_a_note() {
    let read = |scores: [f32; 2]| {
        let [ab, ba] = scores;
        let normal = ["▁", "a", "b"].map(|piece| (piece.to_string(), -9.0, TokenType::Normal));
        let made = [("ab", ab), ("ba", ba), ("aba", -3.0)];
        let made = made.map(|(piece, score)| (piece.to_string(), score, TokenType::Normal));
        let special = ["<unk>", "<s>", "</s>"].map(|piece| (piece.to_string(), 0.0, TokenType::Control));
        let mut pieces = [&special[..], &normal, &made].concat();
        pieces[0].2 = TokenType::Unknown;
        Tokenizer::from_vocabulary(vocabulary(&pieces), "x.gguf", &OPTIONS).unwrap()
    };
    // transformers 5.23 prefers `b ab`; sentencepiece and llama.cpp merge the leftmost pair, [3, 7, 5].
    let shared = read([-1.0, -1.0]);
    let [note] = shared.notes() else { panic!("{:?}", shared.notes()) };
    assert!(note.starts_with("x.gguf: pieces share a score, such as `ab` and `ba`"), "{note}");
    assert_eq!(shared.encode_bare("bab").unwrap(), [3, 5, 6]);
    for distinct in [[-1.0, -2.0], [-2.0, -1.0]] {
        assert!(read(distinct).notes().is_empty());
    }
}

//! Decoding token by token.

use std::cell::Cell;

use bitkv_tokenizer::Tokenizer;
use proptest::prelude::*;

use crate::corpus::{OPTIONS, byte_level, from_json, gpt_2_splitter, pieces, vocabulary};

fn families() -> [Tokenizer; 2] {
    let sentencepiece = Tokenizer::from_vocabulary(vocabulary(&pieces()), "x", &OPTIONS).unwrap();
    [from_json(&byte_level(&gpt_2_splitter())), sentencepiece]
}

/// Returns the pieces of a stream, followed by the text that `finish` returns.
fn pieces_of(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = tokenizer.stream();
    let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    pieces
}

#[test]
fn the_pieces_of_any_ids_join_to_the_decoded_text() {
    for tokenizer in families() {
        let largest = tokenizer.largest_id();
        // Low ids are special tokens and bytes, which can make invalid UTF-8. Ids above the largest one have
        // no token.
        let ids = proptest::collection::vec(prop_oneof![0..259u32, 0..=largest + 2], 0..40);
        let broken = Cell::new(0);
        proptest!(|(ids in ids)| {
            let whole = tokenizer.decode(&ids).unwrap();
            prop_assert_eq!(pieces_of(&tokenizer, &ids).concat(), whole.as_str());
            broken.set(broken.get() + usize::from(whole.contains('\u{FFFD}')));
        });
        assert!(broken.get() > 50, "{broken:?}");
    }
}

#[test]
fn no_decoded_token_contains_its_spelling() {
    for tokenizer in families() {
        for id in 0..tokenizer.largest_id() {
            let text = tokenizer.decode(&[id]).unwrap();
            assert!(
                !["<0x", "▁", "Ġ", "Ċ", "<s>", "</s>", "<|"].iter().any(|mark| text.contains(mark)),
                "{text}"
            );
            let only_the_space = ["▁", "<0x20>"].contains(&tokenizer.token(id).unwrap().as_str());
            assert_eq!(text.is_empty(), tokenizer.is_special(id) || only_the_space);
        }
    }
}

#[test]
fn characters_come_whole_and_at_once() {
    for tokenizer in families() {
        let text = "Grüße, 世界! 🦀🦀 naïve";
        let ids = tokenizer.encode_bare(text).unwrap();
        let pieces = pieces_of(&tokenizer, &ids);
        assert_eq!(pieces.concat(), text);
        // Every character is returned as soon as its ids are complete.
        for end in 0..ids.len() {
            let shown = pieces[..end].concat();
            assert_eq!(shown, tokenizer.decode(&ids[..end]).unwrap().trim_end_matches('\u{FFFD}'));
        }
        let crab = tokenizer.encode_bare("a🦀").unwrap();
        let unfinished = pieces_of(&tokenizer, &crab[..crab.len() - 1]);
        assert_eq!(
            (unfinished.concat().as_str(), unfinished.last().unwrap().as_str()),
            ("a\u{FFFD}", "\u{FFFD}")
        );
    }
}

#[test]
fn only_the_first_space_is_dropped() {
    let [_, tokenizer] = families();
    let the = tokenizer.id("▁the").unwrap();
    assert_eq!(pieces_of(&tokenizer, &[1, the, 1, the]), ["", "the", "", " the", ""]);
    let space = tokenizer.id("▁").unwrap();
    assert_eq!(pieces_of(&tokenizer, &[space, the]), ["", " the", ""]);
    let digit = tokenizer.id("1").unwrap();
    assert_eq!(pieces_of(&tokenizer, &[digit, the]), ["1", " the", ""]);
    assert!(tokenizer.stream().push(2000).is_err());
}

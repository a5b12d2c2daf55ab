//! Tests published vocabularies against the ids in the test cases of llama.cpp.
//!
//! The vocabularies are too large for this repository. The variable `BITKV_TOKENIZERS` names a folder with
//! `llama2/tokenizer.model`, `llama3/tokenizer.model` and, from llama.cpp's `models`,
//! `llama.cpp/ggml-vocab-*.gguf` with their test cases.

use std::path::PathBuf;

use bitkv_tokenizer::{Tokenizer, TokenizerOptions, Vocabulary};

use crate::gguf;

/// Returns the folder of the vocabularies. If it is not set, prints a line that says why nothing is tested.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("BITKV_TOKENIZERS");
    if folder.is_none() {
        println!("skipped: BITKV_TOKENIZERS is not set");
    }
    folder.map(PathBuf::from)
}

fn options(vocab_size: usize) -> TokenizerOptions {
    TokenizerOptions { bos: None, vocab_size }
}

/// Returns the test cases of a vocabulary: texts and their ids.
fn cases(folder: &std::path::Path, name: &str) -> Vec<(String, Vec<u32>)> {
    let read = |kind: &str| {
        std::fs::read_to_string(folder.join(format!("llama.cpp/ggml-vocab-{name}.gguf.{kind}"))).unwrap()
    };
    let (texts, ids) = (read("inp"), read("out"));
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let ids: Vec<Vec<u32>> =
        ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect()).collect();
    // The last text ends with a separator, so an empty text may follow it.
    assert!(texts.len() == ids.len() || (texts.len() == ids.len() + 1 && texts.last() == Some(&"")));
    texts.into_iter().map(String::from).zip(ids).collect()
}

fn check(tokenizer: &Tokenizer, cases: &[(String, Vec<u32>)]) {
    assert!(cases.len() > 40, "{}", cases.len());
    for (text, ids) in cases {
        assert_eq!(tokenizer.encode_bare(text).unwrap(), *ids, "{text:?}");
        assert_eq!(tokenizer.decode(ids).unwrap(), *text, "{ids:?}");
    }
}

/// Checks that the ids are the same after exporting a GGUF vocabulary and reading it back.
fn check_round_trip(tokenizer: &Tokenizer, cases: &[(String, Vec<u32>)]) -> Vocabulary {
    let vocabulary = tokenizer.vocabulary().unwrap();
    let back = Tokenizer::from_vocabulary(vocabulary.clone(), "x", &options(tokenizer.vocab_size())).unwrap();
    check(&back, cases);
    assert_eq!(back.vocabulary().unwrap(), vocabulary);
    vocabulary
}

#[test]
fn llama_2_gives_the_ids_of_llama_cpp() {
    let Some(folder) = folder() else { return };
    let cases = cases(&folder, "llama-spm");
    let tokenizer = Tokenizer::from_file(folder.join("llama2/tokenizer.model"), &options(32000)).unwrap();
    check(&tokenizer, &cases);
    let exported = check_round_trip(&tokenizer, &cases);

    let stored =
        gguf::vocabulary(&std::fs::read(folder.join("llama.cpp/ggml-vocab-llama-spm.gguf")).unwrap());
    assert_eq!(
        (&exported.tokens, &exported.scores, &exported.token_types),
        (&stored.tokens, &stored.scores, &stored.token_types)
    );
    let tokenizer = Tokenizer::from_vocabulary(stored, "llama-spm", &options(32000)).unwrap();
    check(&tokenizer, &cases);
    let hello = tokenizer.encode("Hello").unwrap();
    assert_eq!(hello, [1, 15043]);
}

#[test]
fn llama_2_finds_the_added_tokens_of_phi_3() {
    let Some(folder) = folder() else { return };
    let stored = gguf::vocabulary(&std::fs::read(folder.join("llama.cpp/ggml-vocab-phi-3.gguf")).unwrap());
    let tokenizer = Tokenizer::from_vocabulary(stored, "phi-3", &options(32064)).unwrap();
    check(&tokenizer, &cases(&folder, "llama-spm"));
    let chat = tokenizer.encode_bare("<|user|>Hello<|end|>").unwrap();
    assert_eq!(chat, [32010, 15043, 32007]);
    assert!(tokenizer.encode_plain("<|user|>").unwrap().iter().all(|id| *id < 32000));
}

#[test]
fn gpt_2_gives_the_ids_of_llama_cpp() {
    let Some(folder) = folder() else { return };
    let cases = cases(&folder, "gpt-2");
    let stored = gguf::vocabulary(&std::fs::read(folder.join("llama.cpp/ggml-vocab-gpt-2.gguf")).unwrap());
    let tokenizer = Tokenizer::from_vocabulary(stored.clone(), "gpt-2", &options(50257)).unwrap();
    check(&tokenizer, &cases);
    let exported = check_round_trip(&tokenizer, &cases);
    assert_eq!((exported.tokens, exported.merges, exported.pre), (stored.tokens, stored.merges, stored.pre));
}

#[test]
fn llama_3_gives_the_ids_of_llama_cpp() {
    let Some(folder) = folder() else { return };
    let cases = cases(&folder, "llama-bpe");
    let tokenizer = Tokenizer::from_file(folder.join("llama3/tokenizer.model"), &options(128_256)).unwrap();
    check(&tokenizer, &cases);
    let vocabulary = check_round_trip(&tokenizer, &cases);
    // Hugging Face's tokenizer.json lists this number of merges, and so does the GGUF file of BitNet b1.58
    // 2B-4T.
    assert_eq!(vocabulary.merges.len(), 280_147);
    let ids =
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];
    assert_eq!(ids.map(|token| tokenizer.id(token).unwrap()), [128_000, 128_001, 128_006, 128_007, 128_009]);
    assert_eq!(tokenizer.id("<|reserved_special_token_250|>"), Some(128_255));
    // These are from Meta's tests of its own tokenizer.
    let sentence = tokenizer.encode("This is a test sentence.<|end_of_text|>").unwrap();
    assert_eq!(sentence, [128_000, 2028, 374, 264, 1296, 11914, 13, 128_001]);
    let header =
        tokenizer.encode_bare("<|start_header_id|>user<|end_header_id|>\n\nThis is a response.<|eot_id|>");
    assert_eq!(header.unwrap(), [128_006, 882, 128_007, 271, 2028, 374, 264, 2077, 13, 128_009]);
    assert_eq!(tokenizer.encode("The capital of France is").unwrap(), [128_000, 791, 6864, 315, 9822, 374]);
}

/// bitnet.cpp splits texts differently from Hugging Face if a file does not name its pre-tokenizer.
#[test]
fn llama_3_split_as_in_bitnet_cpp_gives_other_ids() {
    let Some(folder) = folder() else { return };
    let tokenizer = Tokenizer::from_file(folder.join("llama3/tokenizer.model"), &options(128_256)).unwrap();
    let mut vocabulary = tokenizer.vocabulary().unwrap();
    vocabulary.pre = Some("default".into());
    let other = Tokenizer::from_vocabulary(vocabulary.clone(), "x", &options(128_256)).unwrap();
    let ids = other.encode("1 + 1 =").unwrap();
    assert_eq!(ids, [128_000, 16, 220, 10, 220, 16, 220, 28]);
    assert_ne!(ids, tokenizer.encode("1 + 1 =").unwrap());
    vocabulary.pre = None;
    let unnamed = Tokenizer::from_vocabulary(vocabulary, "x", &options(128_256)).unwrap();
    assert_eq!(unnamed.encode("1 + 1 =").unwrap(), tokenizer.encode("1 + 1 =").unwrap());
    assert!(unnamed.assumes_pre_tokenizer() && !tokenizer.assumes_pre_tokenizer());
}

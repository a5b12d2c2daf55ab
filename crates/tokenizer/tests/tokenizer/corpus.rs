//! Trains small tokenizers of both families, and generates texts to test them with.

use bitkv_tokenizer::{SpecialIds, TokenType, Tokenizer, TokenizerOptions, Vocabulary};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

pub(crate) const TEXT: &str = "\
The cache keeps the keys and the values of every token; it's what makes a long context dear.
We've measured it twice: 1024 tokens of 30 layers took 78643200 bytes, 4096 took 314572800.
    for head in heads:\n        scores[head] = entropy(weights[head])\n\n\tif scores: return scores
Don't drop the first tokens, she said; they'll hold what the others don't want to look at.
Über die Größe der Schlüssel: naïve Maße täuschen. Où est passé l'élève? Там, где тепло.
世界和平 世界 and 世界 again; a+b==c, x <= y, (a, b, c) --- ====== ... !!! ??? 3.14159 2.71828
The entropy of a head is low when it looks at few tokens and high when it looks at many of them.
the then there these those this that than thank thought through though tough enough rough
";

/// Options that all of these tokenizers fit.
pub(crate) const OPTIONS: TokenizerOptions = TokenizerOptions { bos: None, vocab_size: 2000 };

pub(crate) fn gpt_2_splitter() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})
}

/// Returns the pre-tokenizer of the suite's control models.
pub(crate) fn digits_splitter() -> Value {
    let digits = json!({"type": "Digits", "individual_digits": true});
    json!({"type": "Sequence", "pretokenizers": [digits, gpt_2_splitter()]})
}

pub(crate) fn llama_3_splitter() -> Value {
    let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let split =
        json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    json!({"type": "Sequence", "pretokenizers": [split, bytes]})
}

/// Returns a `tokenizer.json` of byte-level BPE that splits texts with a given pre-tokenizer and puts `<s>`
/// before every text.
pub(crate) fn byte_level(splitter: &Value) -> Value {
    let mut tokenizer = tokenizers::Tokenizer::new(BPE::default());
    let splitter: PreTokenizerWrapper = serde_json::from_value(splitter.clone()).unwrap();
    tokenizer.with_pre_tokenizer(Some(splitter));
    tokenizer.with_decoder(Some(DecoderWrapper::ByteLevel(ByteLevel::default())));
    let special = ["<s>", "</s>", "<|eot_id|>"].map(|token| AddedToken::from(token, true));
    train(&mut tokenizer, 500, special.to_vec(), ByteLevel::alphabet().into_iter().collect());
    let template = json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}});
    let template: PostProcessorWrapper = serde_json::from_value(template).unwrap();
    tokenizer.with_post_processor(Some(template));
    serde_json::to_value(&tokenizer).unwrap()
}

fn train(
    tokenizer: &mut tokenizers::Tokenizer,
    size: usize,
    special: Vec<AddedToken>,
    alphabet: std::collections::HashSet<char>,
) {
    let trainer = BpeTrainerBuilder::new().vocab_size(size).show_progress(false).special_tokens(special);
    let mut trainer = TrainerWrapper::BpeTrainer(trainer.initial_alphabet(alphabet).build());
    tokenizer.train(&mut trainer, TEXT.lines().map(String::from)).unwrap();
}

/// Returns the pieces of a SentencePiece model: the unknown, first and last tokens, all bytes, merged pieces
/// from the best score down, and then characters.
pub(crate) fn pieces() -> Vec<(String, f32, TokenType)> {
    let mut tokenizer = tokenizers::Tokenizer::new(BPE::default());
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let spaces: NormalizerWrapper = serde_json::from_value(spaces).unwrap();
    tokenizer.with_normalizer(Some(spaces)).unwrap();
    let words =
        json!({"type": "Split", "pattern": {"Regex": "▁+[^▁]*"}, "behavior": "Isolated", "invert": false});
    let words: PreTokenizerWrapper = serde_json::from_value(words).unwrap();
    tokenizer.with_pre_tokenizer(Some(words));
    train(&mut tokenizer, 400, Vec::new(), Default::default());
    let json = serde_json::to_value(&tokenizer).unwrap();

    let merged = json["model"]["merges"].as_array().unwrap().iter();
    let mut merged: Vec<String> =
        merged.map(|pair| format!("{}{}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
    let mut seen = std::collections::HashSet::new();
    merged.retain(|piece| seen.insert(piece.clone()));
    let mut characters: Vec<String> = json["model"]["vocab"].as_object().unwrap().keys().cloned().collect();
    characters.retain(|piece| piece.chars().count() == 1);

    let control = [("<unk>", TokenType::Unknown), ("<s>", TokenType::Control), ("</s>", TokenType::Control)];
    let control = control.map(|(piece, kind)| (piece.to_string(), 0.0, kind));
    let bytes = (0..=255u8).map(|byte| (format!("<{byte:#04X}>"), 0.0, TokenType::Byte));
    let rest = merged.into_iter().chain(characters).enumerate();
    let rest = rest.map(|(rank, piece)| (piece, -(rank as f32), TokenType::Normal));
    control.into_iter().chain(bytes).chain(rest).collect()
}

/// Returns the vocabulary of a GGUF file with these pieces.
pub(crate) fn vocabulary(pieces: &[(String, f32, TokenType)]) -> Vocabulary {
    Vocabulary {
        model: "llama".into(),
        pre: Some("default".into()),
        tokens: pieces.iter().map(|(piece, ..)| piece.clone()).collect(),
        scores: pieces.iter().map(|(_, score, _)| *score).collect(),
        token_types: pieces.iter().map(|(.., kind)| *kind as i32).collect(),
        special: SpecialIds { bos: Some(1), eos: Some(2), unk: Some(0), pad: None },
        add_bos: Some(true),
        add_space_prefix: Some(true),
        ..Vocabulary::default()
    }
}

/// Returns the `tokenizer.json` that Hugging Face's converter makes from these pieces.
pub(crate) fn sentencepiece_json(pieces: &[(String, f32, TokenType)]) -> Value {
    let vocab: serde_json::Map<String, Value> =
        pieces.iter().enumerate().map(|(id, (piece, ..))| (piece.clone(), id.into())).collect();
    let mut merges = Vec::new();
    for (piece, score, _) in pieces.iter().filter(|(.., kind)| *kind == TokenType::Normal) {
        let splits = piece.char_indices().skip(1).map(|(at, _)| piece.split_at(at));
        let known = splits.filter(|(a, b)| vocab.contains_key(*a) && vocab.contains_key(*b));
        merges.extend(known.map(|(a, b)| (*score, a, b)));
    }
    let length = |(_, left, right): &(f32, &str, &str)| (left.chars().count(), right.chars().count());
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(length(b).cmp(&length(a))));
    let merges: Vec<Value> = merges.into_iter().map(|(_, a, b)| json!([a, b])).collect();
    let added = |id: usize| {
        json!({"id": id, "content": pieces[id].0, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    json!({"version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null, "post_processor": null,
        "added_tokens": [added(0), added(1), added(2)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocab, "merges": merges}})
}

pub(crate) fn from_json(json: &Value) -> Tokenizer {
    Tokenizer::from_json_bytes(json.to_string().as_bytes(), "tokenizer.json", &OPTIONS).unwrap()
}

/// Returns the tokenizer that the crate `tokenizers` reads from the same JSON, for comparison.
pub(crate) fn oracle(json: &Value) -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap()
}

/// Returns texts that are hard for tokenizers: words of the corpus, white space, digits, punctuation, special
/// tokens and arbitrary characters.
pub(crate) fn texts() -> impl Strategy<Value = String> {
    let words: Vec<&str> = TEXT.split_inclusive(' ').collect();
    let part = prop_oneof![
        4 => proptest::sample::select(words).prop_map(String::from),
        2 => "[ \t\n\r\u{a0}\u{3000}]{1,6}",
        2 => "[0-9]{1,7}",
        1 => "('S|'re|'VE|n't|'LL|'d)[a-z ]{0,3}",
        1 => "[.!?+=<>|$^~`(),-]{1,5}",
        1 => "[a-e=\\- ]{1,12}",
        2 => "\\PC{1,4}",
        1 => any::<char>().prop_map(String::from),
        1 => proptest::sample::select(vec!["<s>", "</s>", "<|eot_id|>", "<0x0A>", "▁", "Ġ", "🦙🏽‍🌾", "e\u{301}"])
            .prop_map(String::from),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

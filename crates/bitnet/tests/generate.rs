//! Generation and the tokenizer.

mod common;

use bitkv_bitnet::{
    Architecture, Config, Error, GenerationOptions, KvCache, Model, Observe, Sampling, Stop, Tokenizer,
    generate,
};
use common::{BOTH, Random};

/// Untied, because a random tied model repeats its last token for ever.
fn untied(architecture: Architecture) -> Model {
    let config = Config { tie_word_embeddings: false, ..common::config(architecture) };
    common::load_masters(&config, &common::masters(&config, 6))
}

fn options(max_tokens: usize) -> GenerationOptions {
    GenerationOptions { max_tokens, stop: vec![], sampling: Sampling::Greedy, repetition_penalty: 1.0 }
}

fn run(model: &Model, options: &GenerationOptions) -> (Vec<u32>, Stop) {
    let prompt = Random(1).tokens(20, 61);
    let done = generate(model, &prompt, &mut model.new_cache(), options, None, &mut |_| true).unwrap();
    (done.tokens, done.stop)
}

/// Greedy generation without a cache: the whole text again for every token.
fn naive(model: &Model, count: usize) -> Vec<u32> {
    let mut tokens = Random(1).tokens(20, 61);
    for _ in 0..count {
        let logits = model.prefill(&tokens, &mut model.new_cache(), None).unwrap().0;
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        tokens.push(best as u32);
    }
    tokens.split_off(20)
}

#[test]
fn greedy_is_repeated_prefill() {
    for architecture in BOTH {
        let model = untied(architecture);
        assert_eq!(run(&model, &options(25)), (naive(&model, 25), Stop::MaxTokens));
    }
}

#[test]
fn it_stops_for_every_reason() {
    let model = untied(BOTH[0]);
    let all = naive(&model, 25);
    let at = (1..25).find(|i| !all[..*i].contains(&all[*i])).expect("some token is new");
    let stopping = GenerationOptions { stop: vec![all[at]], ..options(25) };
    assert_eq!(run(&model, &stopping), (all[..at].to_vec(), Stop::Token(all[at])));
    assert_eq!(run(&model, &options(0)), (vec![], Stop::MaxTokens));
    let (tokens, stop) = run(&model, &options(10_000));
    // 300 positions hold the prompt and 280 tokens; one more comes from the last position.
    assert_eq!((tokens.len(), stop), (281, Stop::ContextFull));
    let mut seen = 0;
    let mut enough = |_| {
        seen += 1;
        seen < 3
    };
    let done = generate(&model, &[1, 2], &mut model.new_cache(), &options(9), None, &mut enough).unwrap();
    assert_eq!((done.tokens.len(), done.stop), (3, Stop::Caller));
}

#[test]
fn the_hook_sees_the_prompt_and_may_evict() {
    let model = untied(BOTH[0]);
    let prompt = Random(1).tokens(40, 61);
    let observe = Observe { entropy: true, windows: vec![4], ..Observe::default() };
    let mut cache = model.new_cache();
    let mut hook = |observed: &bitkv_bitnet::Observed, cache: &mut dyn KvCache| {
        assert_eq!((observed.entropy[0][0].len(), observed.windows[&4].len()), (40, 18));
        cache.keep(&|_, _| (30..40).collect())?;
        Ok(())
    };
    generate(&model, &prompt, &mut cache, &options(5), Some((&observe, &mut hook)), &mut |_| true).unwrap();
    // The fifth token is never run.
    assert_eq!((cache.len(0, 0), cache.tokens_seen()), (14, 44));
    let mut failing = |_: &bitkv_bitnet::Observed, _: &mut dyn KvCache| Err("no plan".into());
    let error = generate(
        &model,
        &prompt,
        &mut model.new_cache(),
        &options(5),
        Some((&observe, &mut failing)),
        &mut |_| true,
    );
    assert!(error.unwrap_err().to_string().contains("no plan"));
}

#[test]
fn seeds_decide() {
    let model = untied(BOTH[1]);
    let sampled = |seed| {
        let sampling = Sampling::Random { temperature: 3.0, top_k: 0, top_p: 0.95, seed };
        run(&model, &GenerationOptions { sampling, ..options(30) }).0
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
}

/// A byte-level tokenizer of three special tokens and 256 bytes, as the byte-level alphabet spells them.
fn byte_tokenizer() -> String {
    let printable = |b: u32| (33..=126).contains(&b) || (161..=172).contains(&b) || (174..=255).contains(&b);
    let mut next = 256;
    let mut vocab = serde_json::Map::new();
    for (i, special) in ["<unk>", "<s>", "</s>"].iter().enumerate() {
        vocab.insert((*special).into(), i.into());
    }
    for b in 0..256u32 {
        let spelt = if printable(b) {
            b
        } else {
            next += 1;
            next - 1
        };
        vocab.insert(char::from_u32(spelt).unwrap().into(), (b + 3).into());
    }
    let special = |id: u32, content: &str| {
        serde_json::json!({"id": id, "content": content, "single_word": false,
        "lstrip": false, "rstrip": false, "normalized": false, "special": true})
    };
    let byte_level = serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []}})
    .to_string()
}

fn config(vocab_size: usize) -> Config {
    Config { vocab_size, ..common::config(BOTH[0]) }
}

const TEXT: &str = "Grüße, 世界! 🦀🦀 naïve\n";

#[test]
fn text_survives_and_bos_comes_once() {
    let tokenizer = Tokenizer::from_bytes(byte_tokenizer().as_bytes(), &config(259)).unwrap();
    let ids = tokenizer.encode(TEXT, true).unwrap();
    assert_eq!((ids[0], ids.len(), tokenizer.id("</s>")), (1, TEXT.len() + 1, Some(2)));
    assert_eq!(tokenizer.encode(TEXT, false).unwrap(), ids[1..]);
    assert_eq!(tokenizer.encode("<s>a", true).unwrap(), tokenizer.encode("<s>a", false).unwrap());
    assert_eq!(tokenizer.decode(&ids).unwrap(), TEXT);
}

#[test]
fn streams_break_only_between_characters() {
    let tokenizer = Tokenizer::from_bytes(byte_tokenizer().as_bytes(), &config(259)).unwrap();
    let ids = tokenizer.encode(TEXT, true).unwrap();
    let mut stream = tokenizer.stream();
    let pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert_eq!(pieces.concat(), TEXT);
    assert!(pieces.iter().all(|piece| piece.chars().count() <= 1), "{pieces:?}");
    assert_eq!(stream.finish().unwrap(), "");
    let mut cut = tokenizer.stream();
    let crab = tokenizer.encode("a🦀", false).unwrap();
    let shown: String = crab[..3].iter().map(|id| cut.push(*id).unwrap()).collect();
    assert_eq!((shown.as_str(), cut.finish().unwrap().contains('\u{FFFD}')), ("a", true));
}

#[test]
fn tokenizers_that_do_not_fit_are_refused() {
    let error = Tokenizer::from_bytes(byte_tokenizer().as_bytes(), &config(258)).err().unwrap();
    assert!(matches!(error, Error::TokenizerVocabulary { largest: 258, vocab_size: 258, .. }), "{error}");
    assert!(matches!(Tokenizer::from_bytes(b"{}", &config(9)), Err(Error::Tokenizer { .. })));
    let missing = Tokenizer::from_file("/nonexistent/tokenizer.json", &config(9)).err().unwrap();
    assert!(missing.to_string().contains("tokenizer.json"), "{missing}");
}

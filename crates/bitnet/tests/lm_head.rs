//! The int8 LM head chooses the same tokens as the exact one.

mod common;

use bitkv_bitnet::{
    Architecture, Config, Error, Generated, GenerationOptions, LmHeadPrecision, Model, Sampling, generate,
};
use common::{BOTH, Random, masters};

const VOCAB: usize = 900;

/// Returns a model whose LM head has many equal or nearly equal rows.
fn model(architecture: Architecture, tied: bool, precision: LmHeadPrecision) -> Model {
    let config = Config { tie_word_embeddings: tied, vocab_size: VOCAB, ..common::config(architecture) };
    let mut masters = masters(&config, 8);
    let name = if tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
    let (_, lm_head) = masters.get_mut(name).unwrap();
    let width = config.hidden_size;
    for row in (1..VOCAB).step_by(2) {
        let (from, to) = lm_head.split_at_mut(row * width);
        to[..width].copy_from_slice(&from[(row - 1) * width..]);
        if row % 3 == 0 {
            to[row % width] = to[row % width].next_up();
        }
    }
    common::load_masters(&config, &masters).with_lm_head(precision).unwrap()
}

fn hidden(model: &Model, seed: u64) -> Vec<f32> {
    let tokens = Random(seed).tokens(5, VOCAB);
    let output = model.forward(&tokens, &mut model.new_cache(), None).unwrap();
    output.hidden.get(4).unwrap().to_vec1().unwrap()
}

#[test]
fn the_most_probable_tokens_are_those_of_the_exact_lm_head() {
    for (architecture, tied) in [(BOTH[0], true), (BOTH[1], false)] {
        let (exact, int8) = (
            model(architecture, tied, LmHeadPrecision::Exact),
            model(architecture, tied, LmHeadPrecision::Int8),
        );
        let mut multiplied = 0;
        for seed in 0..30 {
            let hidden = hidden(&exact, seed);
            let (token, all) = exact.greedy_token(&hidden).unwrap();
            let (same, some) = int8.greedy_token(&hidden).unwrap();
            assert_eq!((token, all), (same, VOCAB));
            multiplied += some;
            for k in [1, 2, 17, VOCAB, VOCAB + 1] {
                let top = exact.top_k(&hidden, k).unwrap();
                assert_eq!(int8.top_k(&hidden, k).unwrap(), top);
                assert_eq!((top[0].0, top.len()), (token, k.min(VOCAB)));
            }
        }
        assert!(multiplied < 30 * VOCAB / 8, "{multiplied} rows");
    }
}

#[test]
fn logits_are_close_and_the_error_is_measured() {
    let (exact, int8) =
        (model(BOTH[0], false, LmHeadPrecision::Exact), model(BOTH[0], false, LmHeadPrecision::Int8));
    let hidden = hidden(&exact, 3);
    let logits = |model: &Model| -> Vec<f32> {
        let row = candle_core::Tensor::from_slice(&hidden, (1, hidden.len()), &candle_core::Device::Cpu);
        model.logits(&row.unwrap()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    let (a, b) = (logits(&exact), logits(&int8));
    let range = a.iter().copied().fold(f32::MIN, f32::max) - a.iter().copied().fold(f32::MAX, f32::min);
    let max = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / range;
    let error = int8.lm_head_error(&hidden).unwrap();
    assert!((error.max - f64::from(max)).abs() < 1e-6, "{error:?} {max}");
    assert!(0.0 < error.rms && error.rms < error.max && error.max < 0.01, "{error:?}");
    assert_eq!(exact.lm_head_error(&hidden).unwrap().max, 0.0);
    assert!(matches!(int8.greedy_token(&hidden[1..]), Err(Error::HiddenShape { .. })));
}

#[test]
fn bytes_of_both_lm_heads_are_counted() {
    for tied in [true, false] {
        let (exact, int8) =
            (model(BOTH[0], tied, LmHeadPrecision::Exact), model(BOTH[0], tied, LmHeadPrecision::Int8));
        let (before, after) = (exact.weight_breakdown(), int8.weight_breakdown());
        // A row of 36 columns takes 64 bytes, plus 16 bytes for four numbers.
        assert_eq!(after.lm_head, VOCAB * (64 + 16));
        assert_eq!(after.embedding, before.embedding + before.lm_head);
        assert_eq!(int8.weight_bytes(), exact.weight_bytes() + after.lm_head);
        assert_eq!((after.linear, after.norms), (before.linear, before.norms));
        let back = int8.with_lm_head(LmHeadPrecision::Exact).unwrap();
        assert_eq!((back.weight_breakdown(), back.lm_head_precision()), (before, LmHeadPrecision::Exact));
    }
}

fn run(model: &Model, sampling: Sampling, repetition_penalty: f32) -> bitkv_bitnet::Result<Generated> {
    let options = GenerationOptions { max_tokens: 40, stop: vec![], sampling, repetition_penalty };
    generate(model, &Random(1).tokens(20, VOCAB), &mut model.new_cache(), &options, None, &mut |_| true)
}

#[test]
fn texts_are_those_of_the_exact_lm_head() {
    let (exact, int8) =
        (model(BOTH[1], false, LmHeadPrecision::Exact), model(BOTH[1], false, LmHeadPrecision::Int8));
    let random = |top_k| Sampling::Random { temperature: 1.5, top_k, top_p: 0.9, seed: 5 };
    for sampling in [Sampling::Greedy, random(1), random(12)] {
        for penalty in [1.0, 1.7, 0.6] {
            let (a, b) = (run(&exact, sampling, penalty).unwrap(), run(&int8, sampling, penalty).unwrap());
            assert_eq!((&a.tokens, a.lm_head), (&b.tokens, None), "{sampling:?} {penalty}");
            assert!(b.lm_head.unwrap().rescored >= 40);
        }
    }
    let message = run(&int8, random(0), 1.0).unwrap_err().to_string();
    assert!(message.starts_with("`top_k` is 0, but an int8 LM head finds only"), "{message}");
}

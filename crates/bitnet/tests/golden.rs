//! Compares the fast path with references from outside this project: every step, logits, entropies and greedy
//! tokens of every fixture in `testdata/golden`.

mod common;

use bitkv_bitnet::{
    GenerationOptions, Model, Precision, Sampling, generate,
    trace::{Detail, Trace},
};
use common::golden::{CACHES, Golden, relative};

#[test]
fn every_step_of_every_fixture_is_the_reference_s() {
    for golden in Golden::all() {
        let model = Model::load(&golden.checkpoint).unwrap();
        for (precision, mark) in CACHES {
            let tokens = golden.tokens("tokens", "");
            let trace = Trace::from_model(&model, &tokens, precision, Detail::Tensors).unwrap();
            golden.check("fast", &trace, mark);
        }
    }
}

#[test]
fn greedy_tokens_are_the_reference_s() {
    for golden in Golden::all() {
        let model = Model::load(&golden.checkpoint).unwrap();
        for (precision, mark) in CACHES {
            let (tokens, expected) = (golden.tokens("tokens", ""), golden.tokens("greedy", mark));
            let made = greedy(&model, &tokens, expected.len(), precision);
            assert_eq!(made, expected, "{} greedy{mark}", golden.name);
        }
    }
}

/// The greedy continuation, token by token.
fn greedy(model: &Model, tokens: &[u32], count: usize, precision: Precision) -> Vec<u32> {
    let options = GenerationOptions {
        max_tokens: count,
        stop: vec![],
        sampling: Sampling::Greedy,
        repetition_penalty: 1.0,
    };
    let mut cache = model.new_cache_of(precision);
    generate(model, tokens, &mut cache, &options, None, &mut |_| true).unwrap().tokens
}

/// BitNet weights that run as a plain Llama, as in the published verification, exceed every bound by far.
#[test]
fn the_plain_llama_is_another_model() {
    let golden = Golden::named("master-2b-style");
    let tokens = golden.tokens("tokens", "");
    let expected = golden.get("logits", "").to_vec();
    let plain_llama = Model::load(&golden.checkpoint.as_plain_llama()).unwrap();
    let trace = Trace::from_model(&plain_llama, &tokens, Precision::F16, Detail::Norms).unwrap();
    assert!(relative(&trace.logits, &expected) > 0.3);
}

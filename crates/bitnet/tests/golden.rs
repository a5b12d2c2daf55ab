//! Compares the fast path with references from outside this project: every step, logits, entropies and greedy
//! tokens of every fixture in `testdata/golden`.

mod common;

use bitkv_bitnet::{
    CachePrecision, GenerationOptions, Model, Sampling, generate,
    trace::{Detail, Trace},
};
use common::golden::{CACHES, Golden, relative};

#[test]
fn every_step_of_every_fixture_matches_the_reference() {
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
fn greedy_tokens_match_the_reference() {
    for golden in Golden::all() {
        let model = Model::load(&golden.checkpoint).unwrap();
        for (precision, mark) in CACHES {
            let (tokens, expected) = (golden.tokens("tokens", ""), golden.tokens("greedy", mark));
            let generated = greedy(&model, &tokens, expected.len(), precision);
            assert_eq!(generated, expected, "{} greedy{mark}", golden.name);
        }
    }
}

/// Returns `count` tokens generated greedily after `tokens`.
fn greedy(model: &Model, tokens: &[u32], count: usize, precision: CachePrecision) -> Vec<u32> {
    let options = GenerationOptions {
        max_tokens: count,
        stop: vec![],
        sampling: Sampling::Greedy,
        repetition_penalty: 1.0,
    };
    let mut cache = model.new_cache_with_precision(precision);
    generate(model, tokens, &mut cache, &options, None, &mut |_| true).unwrap().tokens
}

/// BitNet weights that run as a plain Llama, as in the published verification, exceed every bound by far.
#[test]
fn a_plain_llama_computes_something_else() {
    let golden = Golden::named("master-2b-style");
    let tokens = golden.tokens("tokens", "");
    let expected = golden.get("logits", "").to_vec();
    let plain_llama = Model::load(&golden.checkpoint.as_plain_llama()).unwrap();
    let trace = Trace::from_model(&plain_llama, &tokens, CachePrecision::F16, Detail::Norms).unwrap();
    assert!(relative(&trace.logits, &expected) > 0.3);
}

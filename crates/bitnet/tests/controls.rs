//! Compares full-precision and mixed models with transformers, and with the reference model in plain candle.

mod common;

use bitkv_bitnet::{
    Arithmetic, CachePrecision, GenerationOptions, Model, Sampling, WeightKind, generate,
    reference::Reference,
    trace::{Detail, Trace},
};
use candle_core::Device;
use common::golden::{Golden, check_engines, relative};

fn trace(model: &Model, golden: &Golden) -> Trace {
    Trace::from_model(model, &golden.tokens("tokens", ""), CachePrecision::F32, Detail::Tensors).unwrap()
}

#[test]
fn every_step_matches_transformers() {
    for golden in Golden::controls() {
        let model = Model::load(&golden.checkpoint).unwrap();
        golden.check("fast", &trace(&model, &golden), "");
    }
}

#[test]
fn greedy_tokens_match_transformers() {
    for golden in Golden::controls() {
        let model = Model::load(&golden.checkpoint).unwrap();
        let (tokens, expected) = (golden.tokens("tokens", ""), golden.tokens("greedy", ""));
        let options = GenerationOptions {
            max_tokens: expected.len(),
            stop: vec![],
            sampling: Sampling::Greedy,
            repetition_penalty: 1.0,
        };
        let mut cache = model.new_cache_with_precision(CachePrecision::F32);
        let generated = generate(&model, &tokens, &mut cache, &options, None, &mut |_| true).unwrap();
        assert_eq!(generated.tokens, expected, "{}", golden.name);
    }
}

#[test]
fn the_reference_matches_transformers_and_the_fast_path() {
    for golden in Golden::controls() {
        let model = Model::load(&golden.checkpoint).unwrap();
        let reference = Reference::load(&golden.checkpoint, &Device::Cpu).unwrap();
        let tokens = golden.tokens("tokens", "");
        let plain = Trace::from_reference(&reference, &tokens, Detail::Tensors).unwrap();
        golden.check("reference", &plain, "");
        check_engines(&golden.name, &trace(&model, &golden), &plain);
    }
}

#[test]
fn a_model_knows_the_kind_of_its_weights() {
    for golden in Golden::controls() {
        let model = Model::load(&golden.checkpoint).unwrap();
        let mixed = golden.name == "mixed-ternary";
        let expected = if mixed { WeightKind::Mixed } else { WeightKind::Control };
        assert_eq!(model.weight_kind(), expected, "{}", golden.name);
    }
    let bitnet = Model::load(&Golden::named("packed-2b-style").checkpoint).unwrap();
    assert_eq!(bitnet.weight_kind(), WeightKind::Ternary);
}

/// Arithmetic in bf16 changes results by about its precision, 2^-9, and not more.
#[test]
fn bf16_arithmetic_is_close_to_f32() {
    for golden in Golden::controls().into_iter().filter(|golden| golden.name != "mixed-ternary") {
        let model = Model::load(&golden.checkpoint).unwrap().with_arithmetic(Arithmetic::Bf16);
        assert_eq!(model.arithmetic(), Arithmetic::Bf16);
        let error = relative(&trace(&model, &golden).logits, golden.get("logits", ""));
        eprintln!("{}: bf16 {error:.1e}", golden.name);
        assert!(error > 1e-4 && error < 3e-2, "{}: {error}", golden.name);
    }
    let bitnet = Model::load(&Golden::named("packed-2b-style").checkpoint).unwrap();
    assert_eq!(bitnet.with_arithmetic(Arithmetic::Bf16).arithmetic(), Arithmetic::F32, "a BitNet has none");
}

//! Compares the reference in plain candle with transformers and with the fast path.

mod common;

use bitkv_bitnet::{
    Architecture, CachePrecision, Checkpoint, Config, Error, Model,
    reference::{Reference, tensors},
    trace::{Detail, Trace},
};
use bitkv_checkpoint::gguf::{self, Target, WriteOptions};
use candle_core::{DType, Device, Module as _, Tensor};
use candle_nn::VarBuilder;
use common::golden::{CACHES, Golden, check_engines};

const CPU: Device = Device::Cpu;

fn load(checkpoint: &Checkpoint) -> Reference {
    Reference::load(checkpoint, &CPU).unwrap()
}

/// Returns the traces of the same tokens from the reference and from the fast path.
fn trace_both(checkpoint: &Checkpoint, tokens: &[u32], precision: CachePrecision) -> (Trace, Trace) {
    let reference = load(checkpoint).with_kv_precision(precision);
    let model = Model::load(checkpoint).unwrap();
    (
        Trace::from_reference(&reference, tokens, Detail::Tensors).unwrap(),
        Trace::from_model(&model, tokens, precision, Detail::Tensors).unwrap(),
    )
}

fn logits(reference: &Reference, tokens: &[u32]) -> Vec<Vec<f32>> {
    reference.logits(tokens).unwrap().to_vec2().unwrap()
}

#[test]
fn every_fixture_matches_transformers_and_the_fast_path() {
    for golden in Golden::all() {
        for (precision, mark) in CACHES {
            let (reference, fast) = trace_both(&golden.checkpoint, &golden.tokens("tokens", ""), precision);
            golden.check("reference", &reference, mark);
            check_engines(&format!("{}{mark}", golden.name), &reference, &fast);
        }
    }
}

/// A plain Llama has no rounding to int8 that would absorb small differences, so the reference computes in
/// f64.
#[test]
fn a_plain_llama_matches_the_fast_path() {
    for golden in Golden::all() {
        let tokens = golden.tokens("tokens", "");
        let plain = golden.checkpoint.as_plain_llama();
        let vb = VarBuilder::from_tensors(tensors(&plain, &CPU).unwrap(), DType::F64, &CPU);
        let config = Config { tie_word_embeddings: plain.is_tied(), ..plain.config().clone() };
        let reference = Reference::new(&config, &vb).unwrap();
        let expected = Trace::from_reference(&reference, &tokens, Detail::Tensors).unwrap();
        let model = Model::load(&plain).unwrap();
        let fast = Trace::from_model(&model, &tokens, CachePrecision::F32, Detail::Tensors).unwrap();
        check_engines(&format!("{} as a plain Llama", golden.name), &expected, &fast);
    }
}

/// GGUF files hold scales as f32 or as f16.
#[test]
fn every_ternary_coding_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Golden::named("packed-2b-aligned");
    let tokens = golden.tokens("tokens", "");
    let expected = golden.get("logits", "");
    for target in Target::all() {
        let path = folder.path().join(format!("{}.gguf", target.name()));
        let options =
            WriteOptions { target, embedding: None, vocabulary: None, name: "fixture", lossy: true };
        gguf::write(&path, &golden.checkpoint, &options, &bitkv_progress::Silent).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let (reference, fast) = trace_both(&checkpoint, &tokens, CachePrecision::F32);
        check_engines(target.name(), &reference, &fast);
        let error = common::golden::error_over_range(&reference.logits, expected);
        assert!(error < 1e-3, "{}: a scale in f16 changes little, not {error}", target.name());
    }
}

#[test]
fn a_safetensors_file_can_be_the_var_builder() {
    let config = common::config(Architecture::BitNet);
    let bytes = common::safetensors_of(&common::as_f32(&common::masters(&config, 3)));
    let checkpoint = Checkpoint::from_bytes(&config.to_json(), bytes.clone()).unwrap();
    let vb = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &CPU).unwrap();
    let (tokens, reference) = ([5, 17, 3, 60], Reference::new(&config, &vb).unwrap());
    assert_eq!(logits(&reference, &tokens), logits(&load(&checkpoint), &tokens));
    let ids = Tensor::new(&tokens, &CPU).unwrap();
    assert_eq!(reference.forward(&ids).unwrap().to_vec2::<f32>().unwrap(), logits(&reference, &tokens));
}

#[test]
fn later_tokens_do_not_change_earlier_logits() {
    let golden = Golden::named("packed-falcon-style");
    let (tokens, reference) = (golden.tokens("tokens", ""), load(&golden.checkpoint));
    let (whole, part) = (logits(&reference, &tokens), logits(&reference, &tokens[..7]));
    let difference = |(a, b): (&f32, &f32)| (a - b).abs();
    let worst = whole.iter().zip(&part).map(|(a, b)| a.iter().zip(b).map(difference).fold(0.0, f32::max));
    assert!(worst.fold(0.0, f32::max) < 1e-4);
    assert_ne!(whole[6], whole[5]);
}

#[test]
fn invalid_tokens_and_missing_weights_are_errors() {
    let golden = Golden::named("master-2b-odd");
    let reference = load(&golden.checkpoint);
    assert!(matches!(reference.logits(&[]), Err(Error::NoTokens)));
    let outside = reference.logits(&[1, 80]).unwrap_err();
    assert!(matches!(outside, Error::TokenOutOfVocabulary { id: 80, index: 1, .. }), "{outside}");
    let limit = reference.config().max_position_embeddings;
    let long = reference.logits(&vec![1; limit + 1]).unwrap_err();
    assert!(matches!(long, Error::ContextTooLong { .. }), "{long}");
    let vb = VarBuilder::from_tensors(Default::default(), DType::F32, &CPU);
    let missing = Reference::new(golden.checkpoint.config(), &vb).unwrap_err();
    assert!(missing.to_string().contains("model.embed_tokens.weight"), "{missing}");
}

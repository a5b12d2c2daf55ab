//! Numbers that are not finite, or too large for the cache, are errors that name where they arose.

mod common;

use bitkv_bitnet::{
    Architecture, CachePrecision, Config, Error, GenerationOptions, KvCache, LmHeadPrecision, Model, Place,
    Quantisation, Sampling, Sequence, generate,
    trace::{Detail, Trace},
};
use common::Random;

/// Returns a model in which the weights of one tensor are multiplied by `factor`.
fn scaled(tensor: &str, factor: f32) -> Model {
    let config = Config { tie_word_embeddings: false, ..common::config(Architecture::BitNet) };
    let mut masters = common::masters(&config, 7);
    masters.get_mut(tensor).unwrap().1.iter_mut().for_each(|weight| *weight *= factor);
    common::load_masters(&config, &masters)
}

fn large_keys() -> Model {
    scaled("model.layers.1.self_attn.k_proj.weight", 1e6)
}

#[test]
fn a_key_beyond_f16_is_an_error_of_an_f16_cache_only() {
    let (model, tokens) = (large_keys(), Random(1).tokens(20, 61));
    for quantisation in [Quantisation::None, Quantisation::Int8, Quantisation::Int4, Quantisation::kivi(4)] {
        let mut cache = model.new_cache();
        cache.quantise(quantisation).unwrap();
        let error = model.forward(&tokens, &mut cache, None).unwrap_err();
        let Error::CacheOverflow { place, position, value, limit } = error else { panic!("{error}") };
        assert!(matches!(place, Place::Key { layer: 1, head: 0 }), "{place}");
        assert_eq!((position, limit), (0, 65504.0));
        assert!(value.abs() > 65504.0);
    }
    let mut wide = model.new_cache_with_precision(CachePrecision::F32);
    model.forward(&tokens, &mut wide, None).unwrap();
    let error = wide.quantise(Quantisation::Int8).unwrap_err();
    assert!(matches!(error, Error::CacheOverflow { place: Place::Key { layer: 1, head: 0 }, .. }), "{error}");
    for value in ["model.layers.2.self_attn.v_proj.weight", "model.layers.0.self_attn.v_proj.weight"] {
        let error = scaled(value, 1e6).forward(&tokens, &mut model.new_cache(), None).unwrap_err();
        assert!(matches!(error, Error::CacheOverflow { place: Place::Value { .. }, .. }), "{error}");
    }
}

/// The first tokens are small enough; the error names the position of the one that is not.
#[test]
fn decoding_and_batches_name_the_position() {
    let model = scaled("model.layers.1.self_attn.k_proj.weight", 1.0);
    let tokens = Random(1).tokens(20, 61);
    let mut cache = model.new_cache_with_precision(CachePrecision::F32);
    model.forward(&tokens, &mut cache, None).unwrap();
    let largest =
        cache.keys_f32(1, 0).iter().chain(&cache.keys_f32(1, 1)).fold(0.0f32, |a, b| a.max(b.abs()));
    let model = scaled("model.layers.1.self_attn.k_proj.weight", 65504.0 * 0.999 / largest);
    let mut cache = model.new_cache();
    model.forward(&tokens, &mut cache, None).unwrap();
    let model = large_keys();
    let mut other = model.new_cache();
    let two: [&[u32]; 2] = [&tokens[..1], &tokens[..1]];
    let mut sequences: Vec<Sequence<'_>> = [&mut cache, &mut other]
        .into_iter()
        .zip(two)
        .map(|(cache, tokens)| Sequence { tokens, cache: cache as &mut dyn KvCache })
        .collect();
    let error = model.forward_batch(&mut sequences).unwrap_err();
    assert!(matches!(error, Error::CacheOverflow { position: 20, .. }), "{error}");
}

#[test]
fn hidden_states_and_logits_must_be_finite() {
    let tokens = Random(1).tokens(20, 61);
    for (tensor, place) in [
        ("model.layers.1.self_attn.o_proj.weight", Place::Hidden { layer: 1 }),
        ("model.layers.0.mlp.down_proj.weight", Place::Hidden { layer: 0 }),
        ("model.layers.2.mlp.gate_proj.weight", Place::Hidden { layer: 2 }),
        ("lm_head.weight", Place::Logits),
    ] {
        let model = scaled(tensor, 3e38);
        let error = model.prefill(&tokens, &mut model.new_cache(), None).unwrap_err();
        assert!(
            matches!(error, Error::NotFinite { place: found, .. } if found == place),
            "{tensor}: {error}"
        );
        for precision in [LmHeadPrecision::Exact, LmHeadPrecision::Int8] {
            let model = scaled(tensor, 3e38).with_lm_head(precision).unwrap();
            let options = GenerationOptions {
                max_tokens: 4,
                stop: vec![],
                sampling: Sampling::Greedy,
                repetition_penalty: 1.0,
            };
            let mut cache = model.new_cache();
            let error = generate(&model, &tokens, &mut cache, &options, None, &mut |_| true).unwrap_err();
            assert!(matches!(error, Error::NotFinite { place: found, .. } if found == place), "{error}");
        }
    }
}

#[test]
fn a_trace_of_either_engine_names_the_same_place() {
    let config = Config { tie_word_embeddings: false, ..common::config(Architecture::BitNet) };
    let mut masters = common::masters(&config, 7);
    let keys = masters.get_mut("model.layers.1.self_attn.k_proj.weight").unwrap();
    keys.1.iter_mut().for_each(|weight| *weight *= 1e6);
    let bytes = common::safetensors_of(&common::as_f32(&masters));
    let checkpoint = bitkv_bitnet::Checkpoint::from_bytes(&config.to_json(), bytes).unwrap();
    let tokens = Random(1).tokens(20, 61);
    let reference = bitkv_bitnet::reference::Reference::load(&checkpoint, &candle_core::Device::Cpu).unwrap();
    Trace::from_reference(&reference, &tokens, Detail::Norms).unwrap();
    let rounded = reference.with_kv_precision(CachePrecision::F16);
    let slow = Trace::from_reference(&rounded, &tokens, Detail::Norms).unwrap_err();
    let model = Model::load(&checkpoint).unwrap();
    let fast = Trace::from_model(&model, &tokens, CachePrecision::F16, Detail::Norms).unwrap_err();
    for error in [slow, fast] {
        let Error::CacheOverflow { place, .. } = error else { panic!("{error}") };
        assert!(matches!(place, Place::Key { layer: 1, .. }), "{place}");
    }
}

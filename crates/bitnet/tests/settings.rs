//! Settings that files store in several places give the logits of a plain model, and settings that would
//! change results are refused.

mod common;

use std::collections::BTreeMap;

use bitkv_bitnet::{Activation, Architecture, Checkpoint, Config, Model, WeightKind};
use common::{EXACT, Random, as_f32, bytes_of, masters, safetensors_of};
use safetensors::Dtype;
use serde_json::{Value, json};

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn logits(checkpoint: &Checkpoint) -> Vec<Vec<f32>> {
    let model = Model::load(checkpoint).unwrap();
    let hidden = model.forward(&Random(5).tokens(30, 61), &mut model.new_cache(), None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

/// Opens a model with its configuration changed.
fn open(config: &Config, tensors: &Tensors, change: impl FnOnce(&mut Value)) -> Checkpoint {
    let mut json: Value = serde_json::from_str(&config.to_json()).unwrap();
    change(&mut json);
    Checkpoint::from_bytes(&json.to_string(), safetensors_of(tensors)).unwrap()
}

fn remove(config: &mut Value, key: &str) {
    config.as_object_mut().unwrap().remove(key);
}

#[test]
fn every_place_of_the_rope_base_gives_the_same_logits() {
    let config = Config { rope_theta: 12345.0, ..common::config(Architecture::BitNet) };
    let tensors = as_f32(&masters(&config, 1));
    let plain = logits(&open(&config, &tensors, |_| ()));
    let settings = [
        json!({"rope_scaling": {"rope_type": "default", "rope_theta": 12345.0}}),
        json!({"rope_parameters": {"rope_type": "default", "rope_theta": 12345.0}}),
        json!({"rope_parameters": {"full_attention": {"rope_theta": 12345.0}}}),
        json!({"rope_scaling": {"type": "linear", "factor": 1.0}, "rope_theta": 12345.0}),
        json!({"rope_scaling": {}, "rope_theta": 12345.0}),
    ];
    for settings in settings {
        let checkpoint = open(&config, &tensors, |json| {
            remove(json, "rope_theta");
            json.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        });
        assert!(logits(&checkpoint) == plain, "{settings}");
    }
    assert!(logits(&open(&config, &tensors, |json| remove(json, "rope_theta"))) != plain);
}

#[test]
fn a_given_activation_replaces_that_of_the_files() {
    let config = common::config(Architecture::BitNet);
    let tensors = as_f32(&masters(&config, 1));
    let silu = open(&config, &tensors, |json| json["hidden_act"] = "silu".into());
    let (named, unnoted) = (logits(&silu), silu.notes().is_empty());
    let given = open(&config, &tensors, |_| ()).with_activation(Activation::Silu);
    assert!(unnoted && logits(&given) == named);
    assert!(given.notes()[0].contains("is relu2, but silu is used"), "{:?}", given.notes());
    assert!(logits(&open(&config, &tensors, |_| ())) != named);
}

#[test]
fn an_lm_head_that_differs_from_a_tied_embedding_is_used() {
    let untied = Config { tie_word_embeddings: false, ..common::config(Architecture::BitNet) };
    let tensors = as_f32(&masters(&untied, 2));
    let tie = |json: &mut Value| json["tie_word_embeddings"] = true.into();
    let contradicting = open(&untied, &tensors, tie);
    assert!(logits(&contradicting) == logits(&open(&untied, &tensors, |_| ())));
    assert!(!contradicting.is_tied() && contradicting.notes()[0].contains("`lm_head.weight` is used"));
    let mut same = tensors.clone();
    same.insert("lm_head.weight".into(), tensors["model.embed_tokens.weight"].clone());
    let tied = open(&untied, &same, tie);
    assert!(tied.is_tied() && tied.notes().is_empty());
}

#[test]
fn wrapped_names_are_read_with_a_note() {
    let config = common::config(Architecture::BitNet);
    let tensors = as_f32(&masters(&config, 3));
    let plain = logits(&open(&config, &tensors, |_| ()));
    for wrapper in ["_orig_mod.", "module.", "base_model.model.", "language_model."] {
        let wrapped = tensors.iter().map(|(name, t)| (format!("{wrapper}{name}"), t.clone())).collect();
        let checkpoint = open(&config, &wrapped, |_| ());
        assert!(logits(&checkpoint) == plain, "{wrapper}");
        assert!(checkpoint.notes()[0].contains(wrapper), "{:?}", checkpoint.notes());
    }
}

/// Returns the tensors of a Llama whose linear layers hold floats that are ternary, and the checkpoint with
/// the same weights packed.
fn ternary_llama() -> (Config, Tensors, Checkpoint) {
    let config = common::config(Architecture::Llama);
    let folder = tempfile::tempdir().unwrap();
    let weights = masters(&config, 4);
    common::pack_into(folder.path(), &config, &weights, EXACT);
    let packed = Checkpoint::open(folder.path()).unwrap();
    let mut tensors = as_f32(&weights);
    for shape in config.all_linears() {
        let (linear, mut values) = (packed.linear(&shape).unwrap(), vec![0.0; shape.rows * shape.cols]);
        values.chunks_exact_mut(shape.cols).enumerate().for_each(|(row, out)| linear.floats(row, out));
        let stored = (Dtype::F32, vec![shape.rows, shape.cols], bytes_of(&values));
        tensors.insert(format!("{}.weight", shape.name), stored);
    }
    (config, tensors, packed)
}

#[test]
fn ternary_floats_of_a_llama_are_recognised_and_keep_their_values() {
    let (config, tensors, packed) = ternary_llama();
    let checkpoint = open(&config, &tensors, |json| remove(json, "quantization_config"));
    assert!(logits(&checkpoint) == logits(&packed));
    assert!(checkpoint.notes()[0].contains("the weights are ternary"), "{:?}", checkpoint.notes());
    let ordinary = safetensors_of(&as_f32(&masters(&config, 4)));
    let mut json: Value = serde_json::from_str(&config.to_json()).unwrap();
    remove(&mut json, "quantization_config");
    let ordinary = Checkpoint::from_bytes(&json.to_string(), ordinary).unwrap();
    assert_eq!(Model::load(&ordinary).unwrap().weight_kind(), WeightKind::Control);
}

#[test]
fn a_scale_of_any_number_of_dimensions_is_one_number() {
    let (_, _, packed) = ternary_llama();
    let config = packed.config().clone();
    let stored = packed.tensors().unwrap();
    let tensors = |dimensions: usize| -> Tensors {
        let tensor = |t: &bitkv_checkpoint::StoredTensor| {
            let is_scale = t.name.ends_with("weight_scale");
            let shape = if is_scale { vec![1; dimensions] } else { t.shape.clone() };
            let dtype = if t.name.ends_with("_proj.weight") { Dtype::U8 } else { Dtype::F32 };
            (t.name.clone(), (dtype, shape, t.bytes.to_vec()))
        };
        stored.iter().map(tensor).collect()
    };
    let expected = logits(&packed);
    for dimensions in 0..3 {
        assert!(logits(&open(&config, &tensors(dimensions), |_| ())) == expected, "{dimensions}");
    }
}

#[test]
fn layers_biases_and_norms_that_would_be_left_out_are_refused() {
    let config = common::config(Architecture::BitNet);
    let tensors = as_f32(&masters(&config, 5));
    let refusal = |checkpoint: Checkpoint| Model::load(&checkpoint).err().expect("refused").to_string();
    let shallow = refusal(open(&config, &tensors, |json| json["num_hidden_layers"] = 2.into()));
    assert!(shallow.contains("`num_hidden_layers` is 2, but the weights have 3 layers"), "{shallow}");
    for name in ["model.layers.1.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight"] {
        let mut more = tensors.clone();
        more.insert(name.into(), (Dtype::F32, vec![6], bytes_of(&[0.0; 6])));
        assert!(refusal(open(&config, &more, |_| ())).contains(name));
    }
    let mut more = tensors.clone();
    let name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    more.insert(name.into(), (Dtype::F32, vec![3], bytes_of(&[1.0; 3])));
    let harmless = open(&config, &more, |_| ());
    assert_eq!(harmless.ignored_tensors(), [name]);
    Model::load(&harmless).unwrap();
}

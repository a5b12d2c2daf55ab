//! A packed checkpoint gives the same results as its masters, and the error about a damaged checkpoint names
//! the tensor.

mod common;

use std::{borrow::Cow, collections::BTreeMap};

use bitkv_bitnet::{
    Architecture, Checkpoint, Config, Error, FloatType, Model, PackedTypes, ScaleRule, WeightFormat,
    write_packed,
};
use common::{BOTH, EXACT, Random};
use half::{bf16, f16};
use safetensors::Dtype;

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn logits(model: &Model) -> Vec<Vec<f32>> {
    let hidden = model.forward(&Random(5).tokens(30, 61), &mut model.new_cache(), None).unwrap().hidden;
    model.logits(&hidden).unwrap().to_vec2().unwrap()
}

fn packed_tensors(config: &Config, seed: u64) -> (Config, Tensors) {
    let folder = tempfile::tempdir().unwrap();
    common::pack_into(folder.path(), config, &common::masters(config, seed), EXACT);
    let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensors =
        file.tensors().into_iter().map(|(n, t)| (n, (t.dtype(), t.shape().to_vec(), t.data().to_vec())));
    (Config::from_folder(folder.path()).unwrap(), tensors.collect())
}

fn load(config: &Config, tensors: &Tensors) -> Result<Model, Error> {
    Model::load(&Checkpoint::from_bytes(&config.to_json(), common::safetensors_of(tensors))?)
}

#[test]
fn packed_equals_masters() {
    for (architecture, tied) in BOTH.into_iter().flat_map(|a| [true, false].map(|tied| (a, tied))) {
        // A layer of 50 rows is not a multiple of four rows.
        let config = Config { tie_word_embeddings: tied, ..common::config(architecture) };
        let masters = common::masters(&config, 1);
        let expected = logits(&common::load_masters(&config, &masters));
        let folder = tempfile::tempdir().unwrap();
        common::pack_into(folder.path(), &config, &masters, EXACT);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(checkpoint.config().weights, WeightFormat::Packed(ScaleRule::Multiply));
        assert_eq!(logits(&Model::load(&checkpoint).unwrap()), expected, "{architecture:?} tied {tied}");
        let mut files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["config.json", "model.safetensors"], "no temporary file is left");
    }
}

/// Checks the logits of two models whose values are equal but stored as different types. The LM head may sum
/// products in an order that depends on the type.
fn assert_same_up_to_summation_order(a: &[Vec<f32>], b: &[Vec<f32>]) {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().flatten().fold(0.0f32, |largest, z| largest.max(z.abs()));
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        assert!((a - b).abs() <= 1e-6 * largest, "{a} for {b}");
    }
}

#[test]
fn half_embeddings_match_rounded_masters() {
    let config = common::config(Architecture::BitNet);
    let masters = common::masters(&config, 2);
    for kind in [FloatType::F16, FloatType::Bf16] {
        let round = |v: f32| {
            if kind == FloatType::F16 { f16::from_f32(v).to_f32() } else { bf16::from_f32(v).to_f32() }
        };
        let mut rounded = masters.clone();
        for (name, (_, values)) in &mut rounded {
            if name.contains("embed") || name.contains("norm") {
                values.iter_mut().for_each(|v| *v = round(*v));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        common::pack_into(folder.path(), &config, &masters, PackedTypes { embedding: kind, norms: kind });
        let model = Model::load(&Checkpoint::open(folder.path()).unwrap()).unwrap();
        assert_same_up_to_summation_order(&logits(&model), &logits(&common::load_masters(&config, &rounded)));
    }
}

#[test]
fn masters_may_be_half_floats() {
    let config = common::config(Architecture::OneBitLlm);
    let mut masters = common::masters(&config, 3);
    masters
        .values_mut()
        .for_each(|(_, values)| values.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32()));
    let halves: Tensors = masters
        .iter()
        .map(|(n, (s, v))| {
            let bytes = v.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
            (n.clone(), (Dtype::BF16, s.clone(), bytes))
        })
        .collect();
    assert_same_up_to_summation_order(
        &logits(&load(&config, &halves).unwrap()),
        &logits(&common::load_masters(&config, &masters)),
    );
}

#[test]
fn packing_matches_the_row_strided_reference() {
    let (config, tensors) = packed_tensors(&common::config(Architecture::BitNet), 1);
    let masters = common::masters(&config, 1);
    for shape in config.linears(0) {
        let weights = &masters[&format!("{}.weight", shape.name)].1;
        let mean = weights.iter().map(|w| f64::from(w.abs())).sum::<f64>() / weights.len() as f64;
        let (dtype, found, bytes) = &tensors[&format!("{}.weight", shape.name)];
        let stride = shape.rows.div_ceil(4);
        assert_eq!((*dtype, found.as_slice()), (Dtype::U8, &[stride, shape.cols][..]));
        for (i, w) in weights.iter().enumerate() {
            let (row, col) = (i / shape.cols, i % shape.cols);
            let code = (bytes[row % stride * shape.cols + col] >> (2 * (row / stride))) & 3;
            let expected = (f64::from(*w) / mean).round_ties_even().clamp(-1.0, 1.0);
            assert_eq!(f64::from(code) - 1.0, expected, "{} {row} {col}", shape.name);
        }
    }
}

#[test]
fn dividing_by_the_reciprocal_scale_equals_multiplying() {
    let (config, tensors) = packed_tensors(&common::config(Architecture::BitNet), 4);
    let mut reciprocal = tensors.clone();
    for (name, (_, _, bytes)) in &mut reciprocal {
        if name.ends_with("weight_scale") {
            let scale = f32::from_le_bytes(bytes[..].try_into().unwrap());
            *bytes = (1.0 / scale).to_le_bytes().to_vec();
        }
    }
    let divide = Config { weights: WeightFormat::Packed(ScaleRule::Divide), ..config.clone() };
    let (a, b) = (logits(&load(&config, &tensors).unwrap()), logits(&load(&divide, &reciprocal).unwrap()));
    // The reciprocal is rounded twice, so a few activations may round to a neighbouring integer.
    let worst = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let wrong = logits(&load(&divide, &tensors).unwrap());
    let off = a.iter().flatten().zip(wrong.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 0.2 && off > 5.0 * worst, "{worst} {off}");
}

const Q: &str = "model.layers.1.self_attn.q_proj.weight";
const SCALE: &str = "model.layers.1.self_attn.q_proj.weight_scale";

/// Returns the message of the error when a damaged checkpoint is loaded.
fn load_error(packed: bool, damage: impl Fn(&mut Tensors)) -> String {
    let base = common::config(Architecture::BitNet);
    let (config, mut tensors) = if packed {
        packed_tensors(&base, 1)
    } else {
        (base.clone(), common::as_f32(&common::masters(&base, 1)))
    };
    damage(&mut tensors);
    load(&config, &tensors).err().expect("a damaged checkpoint does not load").to_string()
}

fn contains(message: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn errors_about_missing_tensors_name_them() {
    for name in
        [Q, SCALE, "model.norm.weight", "model.embed_tokens.weight", "model.layers.2.mlp.ffn_sub_norm.weight"]
    {
        contains(&load_error(true, |t| drop(t.remove(name))), &["lacks the tensor", name]);
    }
    let untied = Config { tie_word_embeddings: false, ..common::config(Architecture::BitNet) };
    let mut tensors = common::as_f32(&common::masters(&untied, 1));
    tensors.remove("lm_head.weight");
    contains(&load(&untied, &tensors).err().unwrap().to_string(), &["lm_head.weight"]);
    let untied = Config { tie_word_embeddings: false, ..common::config(Architecture::OneBitLlm) };
    let mut tensors = common::as_f32(&common::masters(&untied, 1));
    tensors.remove("lm_head.weight");
    assert!(load(&untied, &tensors).is_ok(), "this family falls back to the embedding");
}

#[test]
fn errors_about_shapes_name_found_and_expected() {
    let shape = |t: &mut Tensors| t.get_mut(Q).unwrap().1 = vec![36, 9];
    contains(&load_error(true, shape), &[Q, "[36, 9]", "[9, 36]"]);
    let norm = |t: &mut Tensors| t.get_mut("model.norm.weight").unwrap().1 = vec![6, 6];
    contains(&load_error(true, norm), &["model.norm.weight", "[6, 6]", "[36]"]);
    let masters = |t: &mut Tensors| t.get_mut("model.layers.0.mlp.up_proj.weight").unwrap().1 = vec![36, 50];
    contains(&load_error(false, masters), &["up_proj", "[36, 50]", "[50, 36]"]);
}

#[test]
fn errors_about_types_name_the_type() {
    let signed = |t: &mut Tensors| t.get_mut(Q).unwrap().0 = Dtype::I8;
    contains(&load_error(true, signed), &[Q, "I8", "U8"]);
    let integers = |t: &mut Tensors| t.get_mut("model.norm.weight").unwrap().0 = Dtype::I32;
    contains(&load_error(true, integers), &["model.norm.weight", "I32", "BF16"]);
    let base = common::config(Architecture::BitNet);
    let (packed, tensors) = packed_tensors(&base, 1);
    let masters = Config { weights: WeightFormat::Masters, ..packed.clone() };
    contains(&load(&masters, &tensors).err().unwrap().to_string(), &["U8", "quantization_config"]);
    let floats = common::as_f32(&common::masters(&base, 1));
    contains(&load(&packed, &floats).err().unwrap().to_string(), &["F32", "U8", "quantization_config"]);
}

#[test]
fn invalid_values_are_errors() {
    let write_value = |name: &'static str, index: usize, value: f32| {
        move |t: &mut Tensors| {
            t.get_mut(name).unwrap().2[4 * index..][..4].copy_from_slice(&value.to_le_bytes())
        }
    };
    contains(
        &load_error(true, write_value("model.norm.weight", 7, f32::NAN)),
        &["model.norm.weight", "NaN", "index 7"],
    );
    let embedding = write_value("model.embed_tokens.weight", 40, f32::INFINITY);
    contains(&load_error(true, embedding), &["embed_tokens", "inf", "index 40"]);
    contains(&load_error(true, write_value(SCALE, 0, f32::NAN)), &[SCALE, "NaN"]);
    contains(&load_error(true, write_value(SCALE, 0, 0.0)), &[SCALE, "positive"]);
    contains(&load_error(true, write_value(SCALE, 0, -1.0)), &[SCALE, "positive"]);
    contains(&load_error(false, write_value(Q, 100, f32::NEG_INFINITY)), &[Q, "-inf", "index 100"]);
    let code = |t: &mut Tensors| t.get_mut(Q).unwrap().2[36 * 2 + 5] = 0b0101_1101;
    contains(&load_error(true, code), &[Q, "code 3", "row 11", "column 5"]);
}

#[test]
fn errors_about_missing_or_truncated_files_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let message = |folder: &std::path::Path| Checkpoint::open(folder).err().unwrap().to_string();
    contains(&message(folder.path()), &["config.json"]);
    let config = common::config(Architecture::BitNet);
    std::fs::write(folder.path().join("config.json"), config.to_json()).unwrap();
    contains(&message(folder.path()), &["model.safetensors"]);
    common::pack_into(folder.path(), &config, &common::masters(&config, 1), EXACT);
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 5, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let text = message(folder.path());
        assert!(
            text.contains("model.safetensors") && (text.contains("truncated") || keep == 0),
            "{keep}: {text}"
        );
    }
}

#[test]
fn write_packed_checks_its_masters() {
    let config = common::config(Architecture::BitNet);
    let good = common::masters(&config, 1);
    let write = |masters: &common::Masters| {
        let folder = tempfile::tempdir().unwrap();
        let get = |name: &str| masters.get(name).map(|(_, v)| Cow::Borrowed(&v[..]));
        let result = write_packed(folder.path(), &config, PackedTypes::default(), get);
        (result, std::fs::read_dir(folder.path()).unwrap().count())
    };
    assert!(write(&good).0.is_ok());
    let mut bad = good.clone();
    bad.remove(Q);
    let (result, files) = write(&bad);
    contains(&result.unwrap_err().to_string(), &[Q]);
    assert_eq!(files, 0);
    let mut bad = good.clone();
    bad.get_mut(Q).unwrap().1[3] = f32::NAN;
    contains(&write(&bad).0.unwrap_err().to_string(), &[Q, "NaN"]);
    let mut bad = good;
    bad.get_mut(Q).unwrap().1.pop();
    contains(&write(&bad).0.unwrap_err().to_string(), &[Q, "1295"]);
}

#[test]
fn tensors_that_the_loader_would_ignore_are_errors() {
    for name in ["model.layers.1.self_attn.q_proj.bias", "model.layers.0.mlp.up_proj.rms_norm.weight"] {
        let add = |t: &mut Tensors| drop(t.insert(name.into(), (Dtype::F32, vec![1], vec![0; 4])));
        contains(&load_error(true, add), &[name, "run a different model"]);
    }
    let buffer = "model.layers.0.self_attn.rotary_emb.inv_freq";
    let (config, mut tensors) = packed_tensors(&common::config(Architecture::BitNet), 1);
    tensors.insert(buffer.into(), (Dtype::F32, vec![1], vec![0; 4]));
    assert!(load(&config, &tensors).is_ok(), "a buffer that the model does not need is skipped");
}

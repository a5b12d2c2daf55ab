//! A tensor file that a policy cannot use is refused in one sentence that names the file and the tensor.

mod support;

use std::collections::{BTreeMap, HashMap};

use safetensors::Dtype;
use support::{Place, model::Tensor};

const TOKENS: usize = 12;

fn tensor(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let data = (0..count).flat_map(|i| ((i % 7) as f32 - 2.5).to_le_bytes()).collect();
    Tensor { dtype: Dtype::F32, shape: shape.to_vec(), data }
}

/// The tensors of two layers, each with two query heads that share one KV head.
fn whole() -> BTreeMap<String, Tensor> {
    let layer = |l: usize| {
        let queries = ["q", "q_pre"].map(|name| (format!("{name}.{l}"), tensor(&[2, TOKENS, 4])));
        let cache = ["k", "v"].map(|name| (format!("{name}.{l}"), tensor(&[1, TOKENS, 4])));
        let output = [(format!("o_proj.{l}"), tensor(&[8, 8])), (format!("attn_sub_norm.{l}"), tensor(&[8]))];
        queries.into_iter().chain(cache).chain(output)
    };
    (0..2).flat_map(layer).collect()
}

fn write(place: &Place, tensors: &BTreeMap<String, Tensor>, about: &[(&str, &str)]) {
    let about: HashMap<String, String> = about.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    place.write("t.safetensors", safetensors::serialize(tensors, Some(about)).unwrap());
}

const PLAN: [&str; 6] = ["plan", "--tensors", "t.safetensors", "--budget", "0.5", "--policy"];

/// Asserts that a file can be planned on before a change and is refused after it.
#[track_caller]
fn refuses(policy: &str, change: impl FnOnce(&mut BTreeMap<String, Tensor>), says: &[&str]) {
    let (place, mut tensors) = (Place::new(), whole());
    write(&place, &tensors, &[]);
    place.json(&[&PLAN[..], &[policy]].concat());
    change(&mut tensors);
    write(&place, &tensors, &[]);
    place.refuses(&[&PLAN[..], &[policy]].concat(), &[&["t.safetensors"], says].concat());
}

const WINDOW: &str = "uniform+window-attention{window=4}";
const CRITICAL: &str = "uniform+critical{norm='plain'}";

#[test]
fn tensors_that_are_missing() {
    let without = |name: &'static str| {
        move |tensors: &mut BTreeMap<String, Tensor>| tensors.retain(|tensor, _| !tensor.starts_with(name))
    };
    refuses("uniform+recency", without("k"), &["no tensor `k.0`", "name the keys"]);
    // A layer with other tensors must have keys.
    refuses("uniform+recency", without("k.1"), &["no `k.1`", "keys of every layer"]);
    let missing = |policy: &str, name: &'static str, shape: &str| {
        let tensor = format!("no tensor `{name}`");
        refuses(policy, without(name), &[&tensor, "which the policy needs", "add it with shape", shape]);
    };
    missing(WINDOW, "q.1", "[2, 12, 4]");
    missing(CRITICAL, "v.1", "[1, 12, 4]");
    missing(CRITICAL, "o_proj.0", "8]");
    missing("uniform+expected-attention", "q_pre.0", "[2, 12, 4]");
    refuses("uniform+critical", without("attn_sub_norm.1"), &["`attn_sub_norm.1`", "[8]", "norm='plain'"]);
}

#[test]
fn tensors_of_another_shape() {
    let reshape = |name: &'static str, shape: &'static [usize]| {
        move |tensors: &mut BTreeMap<String, Tensor>| drop(tensors.insert(name.into(), tensor(shape)))
    };
    refuses(WINDOW, reshape("k.1", &[1, 10, 4]), &["`k.1`", "[1, 10, 4]", "expected shape is [1, 12, 4]"]);
    refuses(
        WINDOW,
        reshape("q.1", &[TOKENS, 2, 4]),
        &["`q.1`", "[12, 2, 4]", "expected shape is [2, 12, 4]", "layout"],
    );
    refuses(WINDOW, reshape("k.0", &[TOKENS, 4]), &["`k.0`", "[12, 4]", "[kv_heads, tokens, head_dim]"]);
    refuses(WINDOW, reshape("q.0", &[3, TOKENS, 6]), &["`q.0`", "[3, 12, 6]"]);
    refuses(WINDOW, reshape("k.0", &[1, 0, 4]), &["impossible"]);
    refuses(CRITICAL, reshape("o_proj.1", &[8, 6]), &["`o_proj.1`", "[8, 6]", "expected shape is [8, 8]"]);
}

#[test]
fn values_that_are_not_finite_and_wrong_types() {
    let nan = |tensors: &mut BTreeMap<String, Tensor>| {
        tensors.get_mut("q.1").unwrap().data[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
    };
    refuses(WINDOW, nan, &["`q.1`", "NaN at index 10", "must be finite"]);
    let infinite = |tensors: &mut BTreeMap<String, Tensor>| {
        tensors.get_mut("k.0").unwrap().data[0..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    };
    refuses("uniform+key-norm", infinite, &["`k.0`", "inf at index 0", "must be finite"]);
    let whole_numbers = |tensors: &mut BTreeMap<String, Tensor>| {
        tensors.get_mut("k.1").unwrap().dtype = Dtype::I32;
    };
    refuses(WINDOW, whole_numbers, &["`k.1`", "I32", "F32, F16 or BF16"]);
}

#[test]
fn files_and_metadata_that_are_wrong() {
    let place = Place::new();
    let arguments = [&PLAN[..], &["uniform+recency"]].concat();
    place.refuses(&arguments, &["cannot read the tensor file t.safetensors", "No such file"]);
    place.write("t.safetensors", "not one");
    place.refuses(&arguments, &["t.safetensors is not a safetensors file"]);
    write(&place, &whole(), &[]);
    let bytes = std::fs::read(place.path("t.safetensors")).unwrap();
    place.write("t.safetensors", &bytes[..bytes.len() - 100]);
    place.refuses(&arguments, &["t.safetensors is not a safetensors file"]);
    for (key, value, says) in [
        ("rope_theta", "big", "a number above 1"),
        ("rope_theta", "-5", "a number above 1"),
        ("rope_pairs", "neighbours", "`halves`"),
    ] {
        write(&place, &whole(), &[(key, value)]);
        place.refuses(&arguments, &["t.safetensors", &format!("{key} = {value}"), says]);
    }
}

/// A profile belongs to one model. Tensors have no model name, so only the number of heads can be checked.
#[test]
fn profiles_with_another_number_of_heads() {
    let place = Place::new();
    place.tokens("tokens.json", 48);
    place.json(&["profile", "--model", "first-gqa", "--tokens", "tokens.json", "--out", "profile.json"]);
    write(&place, &whole(), &[]);
    let arguments = [&PLAN[..], &["entropy+recency", "--profile", "profile.json"]].concat();
    place.refuses(&arguments, &["profile.json has 32 heads", "the tensors have 4", "profile of their model"]);
}

//! Logits, entropies and hidden states against transformers, for every fixture in `testdata/golden`.
//!
//! A fixture is a folder with `config.json`, `model.safetensors` and `golden.safetensors`: `tokens` (integers),
//! `logits [tokens, vocab]`, `entropy [layers, query_heads, tokens]` in bits, `hidden.{i} [tokens, hidden]` (`hidden.0` is
//! the embedding), all f32. Names ending in `.f16_kv` are the same with keys and values rounded to f16, which is what
//! the cache here holds: those must agree closely, the others as far as that rounding allows. The tokens were
//! drawn so that no rounding to int8 or f16 is near a boundary, see `make_goldens.py` beside the fixtures.

use std::{collections::HashMap, path::Path};

use bitkv_bitnet::{Checkpoint, Model, Observe};
use candle_core::{DType, Device, Tensor};

/// Largest `|ours - reference| / |reference|` (Euclidean, whole tensor) with the same f16 cache: f32 arithmetic.
const SAME_CACHE: f32 = 5e-6;
/// The same against an f32 cache: rounding keys and values moves some int8 activations by one step of 127.
const OTHER_CACHE: f32 = 5e-2;
/// Bits of entropy with the same cache.
const ENTROPY_BITS: f32 = 5e-5;

fn relative_error(ours: &Tensor, reference: &Tensor) -> f32 {
    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    norm(&(ours - reference).unwrap()) / norm(reference)
}

fn check(folder: &Path) {
    let name = folder.file_name().unwrap().to_string_lossy();
    let model = Model::load(&Checkpoint::open(folder).unwrap()).unwrap();
    let golden: HashMap<String, Tensor> =
        candle_core::safetensors::load(folder.join("golden.safetensors"), &Device::Cpu).unwrap();
    let tokens: Vec<u32> =
        golden["tokens"].flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap();
    let observe = Observe { hidden: true, entropy: true, ..Observe::default() };
    let output = model.forward(&tokens, &mut model.new_cache(), Some(&observe)).unwrap();
    let observed = output.observed.unwrap();
    let compare = |ours: &Tensor, key: &str, allowed: f32| {
        let reference = golden[key].to_dtype(DType::F32).unwrap().reshape(ours.dims()).unwrap();
        let error = relative_error(ours, &reference);
        eprintln!("{name} {key}: relative error {error:.2e}");
        assert!(error <= allowed, "{name} {key}: relative error {error}, allowed {allowed}");
    };
    for (i, hidden) in observed.hidden.iter().enumerate() {
        let width = model.config().hidden_size;
        let hidden = Tensor::from_slice(hidden, (tokens.len(), width), &Device::Cpu).unwrap();
        compare(&hidden, &format!("hidden.{i}"), if i == 0 { 0.0 } else { OTHER_CACHE });
    }
    let logits = model.logits(&output.hidden).unwrap();
    compare(&logits, "logits", OTHER_CACHE);
    compare(&logits, "logits.f16_kv", SAME_CACHE);

    let bits: Vec<f32> = observed.entropy.iter().flatten().flatten().copied().collect();
    let reference: Vec<f32> = golden["entropy.f16_kv"].flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(bits.len(), reference.len());
    let worst = bits.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    eprintln!("{name} entropy.f16_kv: {worst:.2e} bits apart at most");
    assert!(worst <= ENTROPY_BITS, "{name}: entropies are {worst} bits apart");
}

#[test]
fn every_fixture_matches_transformers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    let entries = std::fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
    let mut folders: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("golden.safetensors").is_file())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "there is no fixture in {}", root.display());
    folders.iter().for_each(|folder| check(folder));
}

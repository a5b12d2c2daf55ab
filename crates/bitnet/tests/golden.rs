//! Every step, logits, entropies and greedy tokens against outside references, for every fixture in `testdata/golden`.
//!
//! A fixture is a checkpoint folder and `golden.safetensors`: `tokens` (integers), `logits [tokens, vocab]`, `entropy [layers,
//! query_heads, tokens]` in bits, `hidden.{i} [tokens, hidden]` (`hidden.0` is the embedding), `norms [steps, tokens]`
//! with the steps' names in the metadata, and `greedy`, the tokens that follow. They come from transformers, or where it does
//! not read a checkpoint from a float64 implementation that is checked against it; see `make_goldens.py` there.
//! References keep keys and values in f32; names ending in `.f16_kv` are the same with both rounded to f16. We run with
//! either cache. Tokens were drawn so that no rounding to int8 or f16 is near a boundary: f32 arithmetic in another order
//! gives the same integers, and what is left is the rounding of f32.
//!
//! The bounds are 1e-4 (norms, relative), 1e-3 of their range (logits) and 1e-3 bits. The bounds here are a tenth
//! to a hundredth of that: sums of up to a few hundred f32 products carry relative errors of about 1e-6.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use bitkv_bitnet::{
    Checkpoint, GenerationOptions, Model, Observe, Precision, Sampling, Step, StepNorms, generate,
};
use safetensors::SafeTensors;

/// Largest relative difference of a step's norm at a token.
const NORM: f64 = 1e-5;
/// Largest difference of a logit, as a part of the range of all.
const LOGIT: f64 = 1e-5;
/// Largest difference of an entropy, in bits.
const ENTROPY: f64 = 5e-5;
/// Largest relative difference (Euclidean) of a layer's output.
const HIDDEN: f64 = 1e-5;

struct Golden {
    name: String,
    model: Model,
    tensors: HashMap<String, Vec<f64>>,
    steps: Vec<String>,
}

impl Golden {
    fn open(folder: &Path) -> Golden {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let values = |t: safetensors::tensor::TensorView<'_>| match t.dtype() {
            safetensors::Dtype::I64 => {
                t.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect()
            }
            _ => t.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        };
        let tensors = file.tensors().into_iter().map(|(name, t)| (name, values(t))).collect();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let steps = &metadata.metadata().as_ref().expect("the steps are named")["steps"];
        let model = Model::load(&Checkpoint::open(folder).unwrap()).unwrap();
        Golden { name, model, tensors, steps: serde_json::from_str(steps).unwrap() }
    }

    fn get(&self, key: &str, mark: &str) -> &[f64] {
        &self.tensors[&format!("{key}{mark}")]
    }

    fn tokens(&self, key: &str, mark: &str) -> Vec<u32> {
        self.get(key, mark).iter().map(|id| *id as u32).collect()
    }

    fn check(&self, precision: Precision, mark: &str) {
        let tokens = self.tokens("tokens", "");
        let observe = Observe { hidden: true, entropy: true, steps: true, ..Observe::default() };
        let mut cache = self.model.new_cache_of(precision);
        let output = self.model.forward(&tokens, &mut cache, Some(&observe)).unwrap();
        let mut observed = output.observed.unwrap();
        let logits: Vec<f32> =
            self.model.logits(&output.hidden).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        observed.steps.push(StepNorms::of(Step::Logits, None, &logits, tokens.len()));

        self.norms(&observed.steps, mark);
        let reference = self.get("logits", mark);
        let range = reference.iter().fold(f64::MIN, |a, &b| a.max(b))
            - reference.iter().fold(f64::MAX, |a, &b| a.min(b));
        self.within("logits", mark, farthest(&logits, reference) / range, LOGIT);
        let bits: Vec<f32> = observed.entropy.into_iter().flatten().flatten().collect();
        self.within("entropy", mark, farthest(&bits, self.get("entropy", mark)), ENTROPY);
        if precision == Precision::F32 {
            for (i, hidden) in observed.hidden.iter().enumerate() {
                let error = relative(hidden, self.get(&format!("hidden.{i}"), ""));
                self.within("hidden", mark, error, if i == 0 { 0.0 } else { HIDDEN });
            }
        }
    }

    fn norms(&self, steps: &[StepNorms], mark: &str) {
        let names: Vec<String> = steps.iter().map(StepNorms::name).collect();
        assert_eq!(names, self.steps, "{}: the steps and their order", self.name);
        let ours: Vec<f64> = steps.iter().flat_map(|s| s.norms.iter().copied()).collect();
        let reference = self.get("norms", mark);
        assert_eq!(ours.len(), reference.len(), "{}", self.name);
        let worst = ours.iter().zip(reference).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max);
        self.within("norms", mark, worst, NORM);
    }

    /// The greedy continuation, token by token.
    fn greedy(&self, precision: Precision, mark: &str) {
        let expected = self.tokens("greedy", mark);
        let options = GenerationOptions {
            max_tokens: expected.len(),
            stop: vec![],
            sampling: Sampling::Greedy,
            repetition_penalty: 1.0,
        };
        let mut cache = self.model.new_cache_of(precision);
        let tokens = self.tokens("tokens", "");
        let made = generate(&self.model, &tokens, &mut cache, &options, None, &mut |_| true).unwrap();
        assert_eq!(made.tokens, expected, "{} greedy{mark}", self.name);
    }

    fn within(&self, what: &str, mark: &str, error: f64, allowed: f64) {
        eprintln!("{} {what}{mark}: {error:.1e} (allowed {allowed:.0e})", self.name);
        assert!(error <= allowed, "{} {what}{mark}: {error}, allowed {allowed}", self.name);
    }
}

fn farthest(ours: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    ours.iter().zip(reference).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

fn relative(ours: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = squares(&mut ours.iter().zip(reference).map(|(a, b)| f64::from(*a) - b));
    difference / squares(&mut reference.iter().copied())
}

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden");
    let entries = std::fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
    let mut folders: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("golden.safetensors").is_file())
        .collect();
    folders.sort();
    folders
}

const CACHES: [(Precision, &str); 2] = [(Precision::F32, ""), (Precision::F16, ".f16_kv")];

#[test]
fn every_step_of_every_fixture_is_the_reference_s() {
    let folders = fixtures();
    assert!(folders.len() >= 8, "only {} fixtures", folders.len());
    for folder in folders {
        let golden = Golden::open(&folder);
        CACHES.iter().for_each(|(precision, mark)| golden.check(*precision, mark));
    }
}

#[test]
fn greedy_tokens_are_the_reference_s() {
    for folder in fixtures() {
        let golden = Golden::open(&folder);
        CACHES.iter().for_each(|(precision, mark)| golden.greedy(*precision, mark));
    }
}

/// The mistake of the published verification is far outside every bound.
#[test]
fn the_llama_skeleton_is_another_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/master-2b-style");
    let golden = Golden::open(&root);
    let skeleton = Model::load(&Checkpoint::open(&root).unwrap().as_llama_skeleton()).unwrap();
    let tokens = golden.tokens("tokens", "");
    let output = skeleton.forward(&tokens, &mut skeleton.new_cache(), None).unwrap();
    let logits: Vec<f32> = skeleton.logits(&output.hidden).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert!(relative(&logits, golden.get("logits", "")) > 0.3);
}

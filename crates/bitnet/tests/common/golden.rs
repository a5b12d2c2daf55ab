//! The fixtures of `testdata/golden` and `testdata/controls`, and the largest allowed differences of a
//! forward pass from them.
//!
//! A fixture is a checkpoint folder with a `golden.safetensors`:
//!
//! - `tokens` and `greedy` (integers): the input, and the greedy tokens that follow
//! - `logits [tokens, vocab]`
//! - `entropy [layers, query_heads, tokens]`, in bits
//! - `hidden.{i} [tokens, hidden]`; `hidden.0` is the embedding
//! - `norms [steps, tokens]`; the names of the steps are in the metadata
//!
//! They were made by transformers or, for checkpoints that it does not read, by a float64 implementation that
//! is checked against it; see `make_goldens.py` there. References keep keys and values in f32. Tensors whose
//! name ends in `.f16_kv` were computed with keys and values rounded to f16. We test caches of both
//! precisions. Tokens were drawn so that no rounding to int8 or f16 is near a boundary: f32 arithmetic in
//! another order gives the same integers, so the results differ only by the rounding of f32.
//!
//! The required bounds are 1e-4 (norms, relative), 1e-3 of their range (logits) and 1e-3 bits. The bounds
//! here are a tenth to a hundredth of that: sums of up to a few hundred f32 products have relative errors of
//! about 1e-6.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use bitkv_bitnet::{CachePrecision, Checkpoint, Step, StepNorms, trace::Trace};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The largest allowed relative difference of a norm.
const NORM: f64 = 1e-5;
/// The largest allowed difference of a logit, as a fraction of the range of all logits.
const LOGIT: f64 = 1e-5;
/// The largest allowed difference of an entropy, in bits.
const ENTROPY: f64 = 5e-5;
/// The largest allowed relative difference (Euclidean) of a layer's output.
const HIDDEN: f64 = 1e-5;

/// The two precisions of the cache, and the suffix of the reference tensors for each.
pub(crate) const CACHES: [(CachePrecision, &str); 2] =
    [(CachePrecision::F32, ""), (CachePrecision::F16, ".f16_kv")];

pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) checkpoint: Checkpoint,
    tensors: HashMap<String, Vec<f64>>,
    steps: Vec<String>,
}

impl Golden {
    /// Opens all BitNets.
    pub(crate) fn all() -> Vec<Golden> {
        Golden::all_in("golden", 11)
    }

    /// Opens all full-precision and mixed models.
    #[allow(dead_code, reason = "not every test that reads fixtures reads these")]
    pub(crate) fn controls() -> Vec<Golden> {
        Golden::all_in("controls", 10)
    }

    /// Opens the `count` fixtures in a folder of `testdata`.
    fn all_in(folder: &str, count: usize) -> Vec<Golden> {
        let root = testdata(folder);
        let entries = std::fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
        let folders = entries.map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = folders.filter(|path| path.join("golden.safetensors").is_file()).collect();
        folders.sort();
        assert_eq!(folders.len(), count, "fixtures in {}", root.display());
        folders.iter().map(|folder| Golden::open(folder)).collect()
    }

    pub(crate) fn named(name: &str) -> Golden {
        Golden::open(&testdata("golden").join(name))
    }

    fn open(folder: &Path) -> Golden {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().map(|(name, tensor)| (name, values(&tensor))).collect();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let steps = &metadata.metadata().as_ref().expect("the steps are named")["steps"];
        let gguf = folder.join("model.gguf");
        let checkpoint = Checkpoint::open(if gguf.is_file() { &gguf } else { folder }).unwrap();
        Golden { name, checkpoint, tensors, steps: serde_json::from_str(steps).unwrap() }
    }

    pub(crate) fn get(&self, key: &str, mark: &str) -> &[f64] {
        &self.tensors[&format!("{key}{mark}")]
    }

    pub(crate) fn tokens(&self, key: &str, mark: &str) -> Vec<u32> {
        self.get(key, mark).iter().map(|id| *id as u32).collect()
    }

    /// Checks the norms, logits, entropies and hidden states of a pass of `engine`. `mark` is the suffix of
    /// the reference tensors, one of [`CACHES`].
    pub(crate) fn check(&self, engine: &str, trace: &Trace, mark: &str) {
        let within = |what: &str, error: f64, allowed: f64| {
            eprintln!("{} {engine} {what}{mark}: {error:.1e} (allowed {allowed:.0e})", self.name);
            assert!(error <= allowed, "{} {engine} {what}{mark}: {error}, allowed {allowed}", self.name);
        };
        let names: Vec<String> = trace.steps.iter().map(StepNorms::name).collect();
        assert_eq!(names, self.steps, "{}: the steps and their order", self.name);
        let norms: Vec<f64> = trace.steps.iter().flat_map(|s| s.norms.iter().copied()).collect();
        within("norms", worst_ratio(&norms, self.get("norms", mark)), NORM);
        within("logits", error_over_range(&trace.logits, self.get("logits", mark)), LOGIT);
        within("entropy", farthest(&trace.entropy.concat(), self.get("entropy", mark)), ENTROPY);
        // Fixtures hold hidden states only for f32 keys and values; the logits cover the rounding to f16.
        if mark.is_empty() {
            for (i, hidden) in trace.hidden.iter().enumerate() {
                let error = relative(hidden, self.get(&format!("hidden.{i}"), ""));
                within("hidden", error, if i == 0 { 0.0 } else { HIDDEN });
            }
        }
        assert_eq!(trace.steps.last().map(|step| step.step), Some(Step::Logits));
    }
}

/// Checks that the passes of two engines over the same tokens differ by no more than the same bounds.
pub(crate) fn check_engines(name: &str, ours: &Trace, expected: &Trace) {
    let within = |what: &str, error: f64, allowed: f64| {
        eprintln!("{name} reference - fast, {what}: {error:.1e} (allowed {allowed:.0e})");
        assert!(error <= allowed, "{name}, {what}: {error}, allowed {allowed}");
    };
    let norms =
        |trace: &Trace| trace.steps.iter().flat_map(|s| s.norms.iter().copied()).collect::<Vec<f64>>();
    within("norms", worst_ratio(&norms(ours), &norms(expected)), NORM);
    within("logits", error_over_range(&ours.logits, &doubles(&expected.logits)), LOGIT);
    within("entropy", farthest(&ours.entropy.concat(), &doubles(&expected.entropy.concat())), ENTROPY);
    let tensors = [
        ("hidden", &ours.hidden, &expected.hidden),
        ("queries", &ours.queries, &expected.queries),
        ("keys", &ours.keys, &expected.keys),
        ("values", &ours.values, &expected.values),
    ];
    for (what, ours, expected) in tensors {
        let error = ours.iter().zip(expected).map(|(a, b)| relative(a, &doubles(b))).fold(0.0, f64::max);
        assert_eq!(ours.len(), expected.len());
        within(what, error, HIDDEN);
    }
}

/// Returns the largest difference, as a fraction of the range of the reference.
pub(crate) fn error_over_range(ours: &[f32], reference: &[f64]) -> f64 {
    let (least, most) = reference.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    farthest(ours, reference) / (most - least)
}

/// Returns the Euclidean norm of the difference, divided by the norm of the reference.
pub(crate) fn relative(ours: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = squares(&mut ours.iter().zip(reference).map(|(a, b)| f64::from(*a) - b));
    difference / squares(&mut reference.iter().copied())
}

fn worst_ratio(ours: &[f64], reference: &[f64]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    ours.iter().zip(reference).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
}

fn farthest(ours: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    ours.iter().zip(reference).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn values(tensor: &TensorView<'_>) -> Vec<f64> {
    match tensor.dtype() {
        Dtype::I64 => tensor.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
        _ => tensor.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
    }
}

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(folder)
}

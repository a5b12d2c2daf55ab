//! Copies of two trained models that tests damage, and helpers that search the findings.

use std::{borrow::Cow, collections::BTreeMap, fs, path::PathBuf};

use bitkv_checkpoint::{Checkpoint, codec::packed_u8};
use bitkv_doctor::{Evidence, Finding, Severity, examine};
use bitkv_models::tokenizer_options;
use bitkv_tokenizer::Tokenizer;
use safetensors::{Dtype, SafeTensors, View, tensor::TensorView};
use serde_json::Value;

/// Folders of `testdata/models`.
pub(crate) const NAMES: [&str; 2] = ["first-mha", "first-gqa"];

/// Returns the path of a file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Returns the folder of one of [`NAMES`] in the repository.
pub(crate) fn trained(name: &str) -> PathBuf {
    repository("testdata/models").join(name)
}

/// A tensor whose values can be changed.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

impl Tensor {
    fn from_view((name, view): (String, TensorView<'_>)) -> (String, Tensor) {
        (name, Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), data: view.data().to_vec() })
    }

    pub(crate) fn f32s(shape: Vec<usize>, values: &[f32]) -> Tensor {
        Tensor { dtype: Dtype::F32, shape, data: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// Returns the values of an F32 or BF16 tensor.
    pub(crate) fn values(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F32 => self.data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::BF16 => {
                let bits = self.data.as_chunks().0.iter().map(|b| u32::from(u16::from_le_bytes(*b)) << 16);
                bits.map(f32::from_bits).collect()
            }
            other => panic!("{other:?} is not read"),
        }
    }

    /// Changes the values, and stores them as F32.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Vec<f32>)) {
        let mut values = self.values();
        change(&mut values);
        *self = Tensor::f32s(self.shape.clone(), &values);
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The files of a model in memory.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) config: Value,
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) tokenizer: Value,
}

impl Files {
    /// Reads one of [`NAMES`].
    pub(crate) fn new(name: &str) -> Files {
        let read = |file: &str| fs::read(trained(name).join(file)).unwrap();
        let bytes = read("model.safetensors");
        let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
        Files {
            config: serde_json::from_slice(&read("config.json")).unwrap(),
            tensors: tensors.into_iter().map(Tensor::from_view).collect(),
            tokenizer: serde_json::from_slice(&read("tokenizer.json")).unwrap(),
        }
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.get_mut(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Replaces the bytes of every packed weight. `change(bytes, rows, cols)` gets the shape of the unpacked
    /// matrix.
    pub(crate) fn change_packed(&mut self, change: impl Fn(&[u8], usize, usize) -> Vec<u8>) {
        for tensor in self.tensors.values_mut().filter(|tensor| tensor.dtype == Dtype::U8) {
            let [packed, cols] = tensor.shape[..] else { panic!("{:?}", tensor.shape) };
            tensor.data = change(&tensor.data, 4 * packed, cols);
        }
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let bytes = safetensors::serialize(&self.tensors, None).unwrap();
        Checkpoint::from_bytes(&self.config.to_string(), bytes).unwrap()
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let checkpoint = self.checkpoint();
        let bytes = serde_json::to_vec(&self.tokenizer).unwrap();
        let options = tokenizer_options(checkpoint.config());
        let tokenizer = Tokenizer::from_json_bytes(&bytes, "tokenizer.json", &options);
        Evidence {
            checkpoint,
            tokenizer: tokenizer.map(Some).map_err(Into::into),
            settings: Some(self.config.clone()),
            masters: None,
        }
    }

    pub(crate) fn findings(&self) -> Vec<Finding> {
        examine(&self.evidence())
    }
}

/// Unpacks a matrix in the layout of transformers into values, row by row.
pub(crate) fn values(bytes: &[u8], rows: usize, cols: usize) -> Vec<i8> {
    let mut codes = vec![0; rows * cols];
    for (row, out) in codes.chunks_exact_mut(cols).enumerate() {
        packed_u8::decode_row(bytes, rows, row, out);
    }
    codes.into_iter().map(|code| code as i8 - 1).collect()
}

/// Packs values, row by row, in the layout of transformers.
pub(crate) fn packed(values: &[i8], rows: usize, cols: usize) -> Vec<u8> {
    packed_u8::encode(rows, cols, |row, out| {
        out.iter_mut().zip(&values[row * cols..]).for_each(|(code, value)| *code = (value + 1) as u8);
    })
}

/// Returns the names of the checks with findings of a severity, in order and without repetitions.
pub(crate) fn named(findings: &[Finding], severity: Severity) -> Vec<&'static str> {
    let mut checks: Vec<_> = findings.iter().filter(|f| f.severity == severity).map(|f| f.check).collect();
    checks.dedup();
    checks
}

/// Returns the finding of a check with a severity. There must be exactly one.
#[track_caller]
pub(crate) fn only<'a>(findings: &'a [Finding], check: &str, severity: Severity) -> &'a Finding {
    let of_check: Vec<_> = findings.iter().filter(|f| f.check == check && f.severity == severity).collect();
    let [finding] = of_check[..] else { panic!("{check}, {severity}: {of_check:#?} of {findings:#?}") };
    finding
}

/// Asserts that the texts of a finding contain these words.
#[track_caller]
pub(crate) fn says(finding: &Finding, words: &[&str]) {
    let text =
        [&finding.place, &finding.found, &finding.means, &finding.remedy].map(String::as_str).join("\n");
    for word in words {
        assert!(text.contains(word), "no '{word}' in {finding:#?}");
    }
}

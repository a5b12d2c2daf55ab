//! Copies of a built-in model, to be damaged.

use std::{borrow::Cow, collections::BTreeMap, fs, path::PathBuf};

use safetensors::{Dtype, SafeTensors, View};
use serde_json::Value;

use super::Place;

/// The built-in model that tests run on.
pub(crate) const MODEL: &str = "tiny-gqa";

/// A file of the built-in model as it lies in the sources.
pub(crate) fn original(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models").join(MODEL).join(file)
}

/// The configuration of the built-in model.
pub(crate) fn config() -> Value {
    serde_json::from_slice(&fs::read(original("config.json")).unwrap()).unwrap()
}

/// A size in the configuration of the built-in model.
pub(crate) fn size(key: &str) -> usize {
    super::count(&config()[key])
}

/// A tensor that can be changed.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
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

/// A folder with the built-in model's files.
pub(crate) struct Copy<'a> {
    place: &'a Place,
    name: String,
}

impl<'a> Copy<'a> {
    pub(crate) fn new(place: &'a Place, name: &str) -> Copy<'a> {
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            place.write(&format!("{name}/{file}"), fs::read(original(file)).unwrap());
        }
        Copy { place, name: name.into() }
    }

    pub(crate) fn without(&self, file: &str) {
        fs::remove_file(self.place.path(&self.name).join(file)).unwrap();
    }

    pub(crate) fn with(&self, file: &str, content: impl AsRef<[u8]>) {
        self.place.write(&format!("{}/{file}", self.name), content);
    }

    pub(crate) fn change_json(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_slice(&fs::read(original(file)).unwrap()).unwrap();
        change(&mut value);
        self.with(file, value.to_string());
    }

    pub(crate) fn change_tensors(&self, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
        let bytes = fs::read(original("model.safetensors")).unwrap();
        let stored = SafeTensors::deserialize(&bytes).unwrap();
        let own = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
            (name, Tensor { dtype: view.dtype(), shape, data })
        };
        let mut tensors: BTreeMap<String, Tensor> = stored.tensors().into_iter().map(own).collect();
        change(&mut tensors);
        self.with("model.safetensors", safetensors::serialize(&tensors, None).unwrap());
    }
}

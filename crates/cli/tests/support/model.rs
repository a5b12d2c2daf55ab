//! Trained models that do not change, and copies of them that tests damage.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, View};
use serde_json::Value;

use super::Place;

/// The trained model that tests run on: a folder of `testdata/models` that every [`Place`] contains.
pub(crate) const MODEL: &str = "first-gqa";

/// All models that every [`Place`] contains.
pub(crate) const FROZEN: [&str; 2] = ["first-mha", MODEL];

/// A built-in model, for tests that need one.
pub(crate) const BUILT_IN: &str = "tiny-gqa";

/// The files of a checkpoint in two shards.
pub(crate) const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/// Returns the folder of one of [`FROZEN`] in the repository.
pub(crate) fn frozen(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name)
}

/// Returns the path of a file of the trained model in the repository.
pub(crate) fn original(file: &str) -> PathBuf {
    frozen(MODEL).join(file)
}

/// Returns the folder of a model with known results in the repository.
pub(crate) fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden").join(name)
}

/// The configuration of the trained model.
pub(crate) fn config() -> Value {
    serde_json::from_slice(&fs::read(original("config.json")).unwrap()).unwrap()
}

/// Returns a size in the configuration of the trained model.
pub(crate) fn size(key: &str) -> usize {
    super::count(&config()[key])
}

/// A tensor whose data can be changed.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

impl Tensor {
    /// The values of an F32 tensor.
    pub(crate) fn f32s(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The values of an I64 tensor that holds token ids.
    pub(crate) fn ids(&self) -> Vec<i64> {
        assert_eq!(self.dtype, Dtype::I64);
        self.data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
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

/// Reads all tensors of a safetensors file.
pub(crate) fn tensors(file: &Path) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(file).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let to_tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let (shape, data) = (view.shape().to_vec(), view.data().to_vec());
        (name, Tensor { dtype: view.dtype(), shape, data })
    };
    stored.tensors().into_iter().map(to_tensor).collect()
}

/// A folder with a copy of the trained model.
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
        let mut tensors = tensors(&original("model.safetensors"));
        change(&mut tensors);
        self.with("model.safetensors", safetensors::serialize(&tensors, None).unwrap());
    }

    /// Splits the weights into two files, and returns their index.
    pub(crate) fn shard(&self) -> Value {
        let mut map = BTreeMap::new();
        let all = tensors(&original("model.safetensors"));
        let half = all.len() / 2;
        let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
        for (i, (name, tensor)) in all.iter().enumerate() {
            let (file, part) = if i < half { (SHARDS[0], &mut first) } else { (SHARDS[1], &mut second) };
            part.insert(name.clone(), tensor);
            map.insert(name.clone(), file);
        }
        for (file, part) in SHARDS.iter().zip([first, second]) {
            self.with(file, safetensors::serialize(part, None).unwrap());
        }
        self.without("model.safetensors");
        let index = serde_json::json!({"metadata": {}, "weight_map": map});
        self.with("model.safetensors.index.json", index.to_string());
        index
    }
}

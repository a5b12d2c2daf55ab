//! Checkpoints, from which an interrupted run resumes. A checkpoint is written completely or not at all, and
//! has the recipe, the hashes of the data and the hash of its own content, so that only the same training
//! resumes.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use safetensors::{
    SafeTensorError,
    tensor::{Dtype, SafeTensors, TensorView},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    data_hashes::{DataHashes, sha256_of_parts},
    error::Source,
    model::Model,
    ops::Precision,
    optimizer::Optimizer,
    recipe::Recipe,
};

/// The name of the checkpoint in the folder of a run.
pub const FILE: &str = "checkpoint.safetensors";

/// The progress of a run, without its tensors.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Position {
    /// The number of steps that were run.
    pub step: usize,
    /// The number of tokens that were trained on.
    pub tokens: u64,
    /// The seconds spent training.
    pub seconds: f64,
    /// The index of the current stage.
    pub stage: usize,
    /// The number of steps that were run in the current stage.
    pub stage_step: usize,
    /// The running accuracy of the copy task, 0 to 1.
    pub copy: f64,
    /// The running accuracy of the recall task, 0 to 1.
    pub recall: f64,
}

/// What must not change between the start of a training and its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// The recipe.
    pub(crate) recipe: &'a Recipe,
    /// The texts and the files made of them.
    pub(crate) data: &'a DataHashes,
    /// How weights are rounded.
    pub(crate) precision: Precision,
}

/// Writes the weights, the moments of the optimizer and the position of the run.
///
/// # Errors
/// Fails if the file cannot be written.
pub(crate) fn save(
    folder: &Path,
    inputs: Inputs<'_>,
    model: &Model,
    optimizer: &Optimizer,
    position: &Position,
) -> Result<()> {
    let path = folder.join(FILE);
    let json = |text: serde_json::Result<String>| text.map_err(Error::writing(&path));
    let about = [
        ("position", json(serde_json::to_string(position))?),
        ("recipe", json(serde_json::to_string(inputs.recipe))?),
        ("data", json(serde_json::to_string(inputs.data))?),
        ("run", identity(inputs.precision)),
    ];
    let bytes = serialise(model, optimizer, about).map_err(Error::writing(&path))?;
    bitkv_bytes::write(&path, &bytes).map_err(Error::writing(path))
}

/// Returns the bytes of a safetensors file with everything that training changes.
fn serialise(
    model: &Model,
    optimizer: &Optimizer,
    about: [(&str, String); 4],
) -> std::result::Result<Vec<u8>, SafeTensorError> {
    let groups = [
        ("weight", &optimizer.weights),
        ("first", &optimizer.first_moments),
        ("second", &optimizer.second_moments),
    ];
    let mut tensors = Vec::new();
    for (group, values) in groups {
        for (parameter, values) in model.parameters.iter().zip(values) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("{group}.{}", parameter.name), parameter.var.dims().to_vec(), bytes));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, dims, bytes)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, SafeTensorError>>()?;
    let mut metadata = HashMap::from(about.map(|(key, value)| (key.to_owned(), value)));
    let hash = hash(&metadata, tensors.iter().map(|(name, _, bytes)| (name.as_str(), bytes.as_slice())));
    metadata.insert(HASH.to_owned(), hash);
    safetensors::serialize(views, Some(metadata))
}

/// The key of the hash in the metadata of a checkpoint.
const HASH: &str = "sha256";

/// Returns the SHA-256 of everything in a checkpoint except the hash itself.
fn hash<'a>(
    metadata: &HashMap<String, String>,
    tensors: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> String {
    let about: BTreeMap<_, _> = metadata.iter().filter(|(key, _)| *key != HASH).collect();
    let about = about.into_iter().map(|(key, value)| (key.as_str(), value.as_bytes()));
    let tensors: BTreeMap<_, _> = tensors.collect();
    sha256_of_parts(about.chain(tensors).flat_map(|(name, bytes)| [name.as_bytes(), bytes]))
}

/// The version of the rule that turns random numbers into batches. A run that was started with another
/// version cannot be resumed.
const DRAW_VERSION: u32 = 2;

/// Returns a description of what must not change when a run resumes, besides its recipe and its data.
fn identity(precision: Precision) -> String {
    format!("draws {DRAW_VERSION}, {precision:?} weights")
}

/// Returns an [`identity`] as messages show it. Checkpoints keep the form of [`identity`].
fn described(identity: &str) -> String {
    let (run, weights) = identity.rsplit_once(", ").unwrap_or((identity, ""));
    match weights {
        "Ternary weights" => format!("a training ({run}) without --full-precision"),
        "Full weights" => format!("a training ({run}) with --full-precision"),
        _ => format!("`{identity}`"),
    }
}

/// Restores what [`save`] wrote; returns `None` if there is no checkpoint.
///
/// # Errors
/// Fails if the file is damaged, or belongs to a training with another recipe or other data.
pub(crate) fn load(
    folder: &Path,
    inputs: Inputs<'_>,
    model: &Model,
) -> Result<Option<(Optimizer, Position)>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = bitkv_bytes::read_regular_bytes(&path).map_err(Error::reading(&path))?;
    let position = read_position(&path, &bytes, inputs)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(resume_error(&path))?;
    let group = |group: &str| -> Result<Vec<Vec<f32>>> {
        let read = |name: &str| Ok(read_floats(tensors.tensor(&format!("{group}.{name}"))?.data()));
        let values: std::result::Result<_, SafeTensorError> =
            model.parameters.iter().map(|p| read(&p.name)).collect();
        values.map_err(resume_error(&path))
    };
    let mut optimizer = Optimizer::new(model)?;
    (optimizer.weights, optimizer.first_moments, optimizer.second_moments) =
        (group("weight")?, group("first")?, group("second")?);
    optimizer.steps = position.step;
    for (parameter, values) in model.parameters.iter().zip(&optimizer.weights) {
        let var = &parameter.var;
        if values.len() != var.elem_count() {
            return Err(Error::TensorSize { path, name: parameter.name.clone() });
        }
        var.set(&Tensor::from_slice(values, var.shape(), &Device::Cpu)?)?;
    }
    Ok(Some((optimizer, position)))
}

/// Returns the position in a checkpoint, which must be whole and belong to the training with these inputs.
fn read_position(path: &Path, bytes: &[u8], inputs: Inputs<'_>) -> Result<Position> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(resume_error(path))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).map_err(resume_error(path))?;
    let data: Vec<(String, TensorView<'_>)> = tensors.tensors();
    let found = hash(&metadata, data.iter().map(|(name, view)| (name.as_str(), view.data())));
    if metadata.get(HASH) != Some(&found) {
        return Err(Error::DamagedCheckpoint { path: path.into() });
    }
    let get = |key: &str| metadata.get(key).map_or("", |value| value);
    let stored = |key: &str| serde_json::from_str(get(key)).map_err(resume_error(path));
    // Both documents are read from text, so that their numbers have the same form.
    let value = |text: serde_json::Result<String>| -> Result<Value> {
        let read = |text: String| serde_json::from_str(&text);
        text.and_then(read).map_err(resume_error(path))
    };
    let differs = |(key, found, wanted): (String, Value, Value)| Error::OtherInput {
        path: path.into(),
        key,
        found: shown(&found),
        wanted: shown(&wanted),
    };
    let wanted = value(serde_json::to_string(inputs.recipe))?;
    if let Some(change) = first_change("", &stored("recipe")?, &wanted) {
        return Err(differs(change));
    }
    let wanted = value(serde_json::to_string(inputs.data))?;
    if let Some(change) = first_change("", &stored("data")?, &wanted) {
        return Err(differs(change));
    }
    let (found, wanted) = (get("run"), identity(inputs.precision));
    if found != wanted {
        let (found, wanted) = (described(found), described(&wanted));
        return Err(Error::OtherRun { path: path.into(), found, wanted });
    }
    serde_json::from_str(get("position")).map_err(resume_error(path))
}

/// Returns the first key whose values differ, with both values; `None` if the documents are the same. A value
/// that one of them lacks is null.
fn first_change(key: &str, found: &Value, wanted: &Value) -> Option<(String, Value, Value)> {
    let differs = || (found != wanted).then(|| (key.to_owned(), found.clone(), wanted.clone()));
    match (found, wanted) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|name| {
            let inner = match key {
                "" => name.clone(),
                _ if key.starts_with("stage ") => format!("{name} of {key}"),
                _ => format!("{key}.{name}"),
            };
            let value = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
            first_change(&inner, &value(a), &value(b))
        }),
        (Value::Array(a), Value::Array(b)) if key == "stage" => {
            let stages = a.iter().zip(b).enumerate();
            let mut inner = stages.filter_map(|(i, (a, b))| first_change(&format!("stage {}", i + 1), a, b));
            inner.next().or_else(|| {
                let counts = (Value::from(a.len()), Value::from(b.len()));
                (a.len() != b.len()).then(|| ("the number of stages".to_owned(), counts.0, counts.1))
            })
        }
        _ => differs(),
    }
}

/// Formats a value for a message. A hash is shortened.
fn shown(value: &Value) -> String {
    const DIGITS: usize = 12;
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.len() == 64 => format!("{}...", &text[..DIGITS.min(text.len())]),
        other => other.to_string(),
    }
}

/// Returns a function for `map_err`, which makes the error about a checkpoint that cannot be resumed.
fn resume_error<E: Into<Source>>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> Error {
    let path = path.into();
    |source| Error::Resume { path, source: source.into() }
}

fn read_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

//! Checkpoints, from which an interrupted run resumes. A checkpoint is written completely or not at all.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use safetensors::{
    SafeTensorError,
    tensor::{Dtype, SafeTensors, TensorView},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result, error::Source, model::Model, ops::Precision, optimizer::Optimizer, recipe::Recipe,
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

/// Writes the weights, the moments of the optimizer and the position of the run.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn save(
    folder: &Path,
    recipe: &Recipe,
    precision: Precision,
    model: &Model,
    optimizer: &Optimizer,
    position: &Position,
) -> Result<()> {
    let path = folder.join(FILE);
    let about = [
        ("position", serde_json::to_string(position).map_err(Error::writing(&path))?),
        ("shape", serde_json::to_string(&model.shape).map_err(Error::writing(&path))?),
        ("run", identity(recipe, precision)),
    ];
    let bytes = serialise(model, optimizer, about).map_err(Error::writing(&path))?;
    bitkv_bytes::write(&path, &bytes).map_err(Error::writing(path))
}

/// Returns the bytes of a safetensors file with everything that training changes.
fn serialise(
    model: &Model,
    optimizer: &Optimizer,
    about: [(&str, String); 3],
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
    let metadata = HashMap::from(about.map(|(key, value)| (key.to_owned(), value)));
    safetensors::serialize(views, Some(metadata))
}

/// The version of the rule that turns random numbers into batches. A run that was started with another
/// version cannot be resumed.
const DRAW_VERSION: u32 = 2;

/// Returns a description of what must not change when a run resumes. Stages may be edited during a run; the
/// exported recipe must then describe what was really done.
fn identity(recipe: &Recipe, precision: Precision) -> String {
    format!(
        "{}, seeds {} and {}, draws {DRAW_VERSION}, {precision:?} weights",
        recipe.name, recipe.seed, recipe.data_seed
    )
}

/// Returns an [`identity`] as messages show it. Checkpoints keep the form of [`identity`].
fn described(identity: &str) -> String {
    let (run, weights) = identity.rsplit_once(", ").unwrap_or((identity, ""));
    match weights {
        "Ternary weights" => format!("`{run}` without --full-precision"),
        "Full weights" => format!("`{run}` with --full-precision"),
        _ => format!("`{identity}`"),
    }
}

/// Restores what [`save`] wrote; returns `None` if there is no checkpoint.
///
/// # Errors
/// Fails if the file is damaged or belongs to another run.
pub fn load(
    folder: &Path,
    recipe: &Recipe,
    precision: Precision,
    model: &Model,
) -> Result<Option<(Optimizer, Position)>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(Error::reading(&path))?;
    let position = read_position(&path, &bytes, recipe, precision)?;
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

/// Returns the position in a checkpoint, which must belong to the run of this recipe.
fn read_position(path: &Path, bytes: &[u8], recipe: &Recipe, precision: Precision) -> Result<Position> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(resume_error(path))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let get = |key: &str| metadata.get(key).map_or("", |value| value);
    let position = serde_json::from_str(get("position")).map_err(resume_error(path))?;
    if get("shape") != serde_json::to_string(&recipe.shape).map_err(resume_error(path))? {
        return Err(Error::OtherShape { path: path.into() });
    }
    let (found, wanted) = (metadata.get("run"), identity(recipe, precision));
    match found.filter(|found| **found != wanted) {
        None => Ok(position),
        Some(found) => {
            let (found, wanted) = (described(found), described(&wanted));
            Err(Error::OtherRun { path: path.into(), found, wanted })
        }
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

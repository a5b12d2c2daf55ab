//! Where a run stands, written whole or not at all.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::{model::Model, ops::Precision, optimizer::Optimizer, recipe::Recipe};

/// The file inside a run's folder.
pub const FILE: &str = "checkpoint.safetensors";

/// Everything about a run's position that is not a tensor.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Position {
    /// Steps made.
    pub step: usize,
    /// Tokens seen.
    pub tokens: u64,
    /// Seconds spent training.
    pub seconds: f64,
    /// Index of the stage.
    pub stage: usize,
    /// Steps made in the stage.
    pub stage_step: usize,
    /// Running accuracy of the copy task.
    pub copy: f64,
    /// Running accuracy of the recall task.
    pub recall: f64,
}

/// Writes weights, moments and position.
pub fn save(
    folder: &Path,
    recipe: &Recipe,
    precision: Precision,
    model: &Model,
    optimizer: &Optimizer,
    position: &Position,
) -> Result<()> {
    let groups = [("weight", &optimizer.weights), ("first", &optimizer.first), ("second", &optimizer.second)];
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
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([
        ("position".to_owned(), serde_json::to_string(position)?),
        ("shape".to_owned(), serde_json::to_string(&model.shape)?),
        ("run".to_owned(), identity(recipe, precision)),
    ]);
    let path = folder.join(FILE);
    let bytes = safetensors::serialize(views, Some(metadata))?;
    bitkv_bytes::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// What may not change between the parts of a run. Stages may: a run can be steered while it goes on, and the
/// recipe that ships must then say what was done.
fn identity(recipe: &Recipe, precision: Precision) -> String {
    format!("{}, seeds {} and {}, {precision:?} weights", recipe.name, recipe.seed, recipe.data_seed)
}

/// Restores what [`save`] wrote, if there is anything.
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
    let named = || format!("cannot resume from {}", path.display());
    let bytes = fs::read(&path).with_context(named)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).with_context(named)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let position: Position =
        serde_json::from_str(metadata.get("position").map_or("", |s| s)).with_context(named)?;
    let shape = metadata.get("shape").cloned().unwrap_or_default();
    ensure!(
        shape == serde_json::to_string(&recipe.shape)?,
        "{} is of another shape than the recipe: use an empty folder",
        path.display()
    );
    let (found, wanted) = (metadata.get("run"), identity(recipe, precision));
    ensure!(
        found.is_none_or(|found| *found == wanted),
        "{} is of the run \"{}\" and this is \"{wanted}\": use an empty folder",
        path.display(),
        found.map_or("", |s| s)
    );
    let tensors = SafeTensors::deserialize(&bytes).with_context(named)?;
    let group = |group: &str| -> Result<Vec<Vec<f32>>> {
        let read = |name: &str| Ok(floats(tensors.tensor(&format!("{group}.{name}"))?.data()));
        model.parameters.iter().map(|p| read(&p.name)).collect::<Result<_>>().with_context(named)
    };
    let mut optimizer = Optimizer::new(model)?;
    (optimizer.weights, optimizer.first, optimizer.second) =
        (group("weight")?, group("first")?, group("second")?);
    optimizer.steps = position.step;
    for (parameter, values) in model.parameters.iter().zip(&optimizer.weights) {
        let var = &parameter.var;
        ensure!(values.len() == var.elem_count(), "{}: {} has another size", path.display(), parameter.name);
        var.set(&Tensor::from_slice(values, var.shape(), &Device::Cpu)?)?;
    }
    Ok(Some((optimizer, position)))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

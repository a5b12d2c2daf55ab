//! From full-precision masters to a packed checkpoint that this crate and transformers load.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::Write,
    path::Path,
};

use half::{bf16, f16};
use safetensors::{Dtype, View};

use crate::{Config, Error, LinearShape, Result, ScaleRule, Ternarised, WeightFormat, layout};

/// A float type to store in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FloatType {
    /// 32 bits: exact.
    F32,
    /// IEEE half.
    F16,
    /// bfloat16: the type of the published checkpoints.
    Bf16,
}

/// Types of what is not ternary. Scales are always f32, so that products are those of the masters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PackedTypes {
    /// Embedding and untied output head.
    pub embedding: FloatType,
    /// Norms; small, and f32 by default, because trained norms span more than f16 can hold.
    pub norms: FloatType,
}

impl Default for PackedTypes {
    fn default() -> Self {
        PackedTypes { embedding: FloatType::Bf16, norms: FloatType::F32 }
    }
}

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes `model.safetensors` and `config.json` into `folder` (made if absent). `masters` gives the f32 values
/// of a tensor by its name in a master checkpoint, such as `model.layers.0.self_attn.q_proj.weight`.
///
/// Linear weights become U8 codes (four rows a byte, `ceil(rows / 4)` apart) with an f32 `weight_scale` that results
/// are multiplied by; the configuration says `autobitlinear`, `offline`. Each file is written under a temporary
/// name and renamed, so that a reader never finds half of one.
///
/// # Errors
/// When a master is missing, of the wrong length or not finite, or a file cannot be written.
pub fn write_packed<'a>(
    folder: &Path,
    config: &Config,
    types: PackedTypes,
    masters: impl Fn(&str) -> Option<Cow<'a, [f32]>>,
) -> Result<()> {
    let config = Config { weights: WeightFormat::Packed(ScaleRule::Multiply), ..config.clone() };
    let get = |name: &str, shape: &[usize]| checked(&masters, name, shape);
    let mut tensors: Vec<(String, Stored)> = Vec::new();
    let mut floats = |name: &str, shape: &[usize], kind: FloatType| -> Result<()> {
        tensors.push((name.into(), store(&get(name, shape)?, shape, kind)));
        Ok(())
    };
    let dense = [config.vocab_size, config.hidden_size];
    floats(layout::EMBEDDING, &dense, types.embedding)?;
    floats(layout::FINAL_NORM, &[config.hidden_size], types.norms)?;
    if !config.tie_word_embeddings {
        floats(layout::HEAD, &dense, types.embedding)?;
    }
    for norm in (0..config.num_hidden_layers).flat_map(|layer| config.norms(layer)) {
        floats(&norm.name, &[norm.width], types.norms)?;
    }
    for shape in (0..config.num_hidden_layers).flat_map(|layer| config.linears(layer)) {
        let weights = get(&format!("{}.weight", shape.name), &[shape.rows, shape.cols])?;
        let scale = Ternarised::of(&weights);
        tensors.push((format!("{}.weight", shape.name), pack(&weights, &shape, scale)));
        tensors
            .push((format!("{}.weight_scale", shape.name), store(&[scale.multiplier], &[1], FloatType::F32)));
    }
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.into(), source })?;
    // transformers refuses files without this.
    let metadata = [("format".to_string(), "pt".to_string())].into();
    let path = folder.join("model.safetensors");
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|e| Error::Safetensors { file: path.display().to_string(), reason: e.to_string() })?;
    write_whole(&path, &bytes)?;
    write_whole(&folder.join("config.json"), config.to_json().as_bytes())
}

fn checked<'a>(
    masters: &impl Fn(&str) -> Option<Cow<'a, [f32]>>,
    name: &str,
    shape: &[usize],
) -> Result<Cow<'a, [f32]>> {
    let file = || "the masters to be packed".to_string();
    let hint = ", which the configuration asks for";
    let values =
        masters(name).ok_or_else(|| Error::MissingTensor { file: file(), tensor: name.into(), hint })?;
    if values.len() != shape.iter().product::<usize>() {
        let found = vec![values.len()];
        return Err(Error::TensorShape { file: file(), tensor: name.into(), found, expected: shape.into() });
    }
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::NotFinite { file: file(), tensor: name.into(), index, value: values[index] });
    }
    Ok(values)
}

fn store(values: &[f32], shape: &[usize], kind: FloatType) -> Stored {
    let (dtype, bytes) = match kind {
        FloatType::F32 => (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        FloatType::F16 => (Dtype::F16, values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()),
        FloatType::Bf16 => {
            (Dtype::BF16, values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect())
        }
    };
    Stored { dtype, shape: shape.into(), bytes }
}

/// The layout of transformers' `pack_weights`; rows past the end are zeros (code 1).
fn pack(weights: &[f32], shape: &LinearShape, scale: Ternarised) -> Stored {
    let stride = shape.rows.div_ceil(4);
    let mut bytes = vec![0x55u8; stride * shape.cols];
    for (row, weights) in weights.chunks_exact(shape.cols).enumerate() {
        let shift = 2 * (row / stride);
        for (byte, w) in bytes[row % stride * shape.cols..].iter_mut().zip(weights) {
            *byte = *byte & !(3 << shift) | ((scale.code(*w) + 1) as u8) << shift;
        }
    }
    Stored { dtype: Dtype::U8, shape: vec![stride, shape.cols], bytes }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
        Error::Write { path: path.into(), source }
    })
}

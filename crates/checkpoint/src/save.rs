//! Writes full-precision master weights as a packed checkpoint that this crate and transformers load.

use std::{borrow::Cow, path::Path};

use safetensors::Dtype;

use bitkv_progress::Silent;

use crate::{
    Config, Error, FloatType, LinearShape, Result, ScaleRule, TernaryScale, WeightFormat,
    codec::packed_u8,
    safetensors_file::{self, TensorEntry},
    shapes,
};

/// The types of the tensors that are not ternary. Scales are always f32, so that products equal those of the
/// master weights.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PackedTypes {
    /// The type of the embedding and of an untied LM head.
    pub embedding: FloatType,
    /// The type of the norms. They are small, and f32 by default, because trained norms span more than f16
    /// can represent.
    pub norms: FloatType,
}

impl Default for PackedTypes {
    fn default() -> Self {
        PackedTypes { embedding: FloatType::Bf16, norms: FloatType::F32 }
    }
}

/// Writes `model.safetensors` and `config.json` into `folder`, which is created if it does not exist.
/// `masters` returns the f32 values of a tensor, given its name in a checkpoint of master weights, such as
/// `model.layers.0.self_attn.q_proj.weight`.
///
/// Linear weights become U8 codes. A byte holds the codes of four rows, which are `ceil(rows / 4)` rows
/// apart. Results are multiplied by the f32 `weight_scale`, so the configuration says `autobitlinear` and
/// `offline`. Each file is written under a temporary name and renamed, so that a reader never finds an
/// incomplete file.
///
/// # Errors
/// Returns an error if a master tensor is missing, has the wrong length or is not finite, or when a file
/// cannot be written.
pub fn write_packed<'a>(
    folder: &Path,
    config: &Config,
    types: PackedTypes,
    masters: impl Fn(&str) -> Option<Cow<'a, [f32]>>,
) -> Result<()> {
    let config = Config { weights: WeightFormat::Packed(ScaleRule::Multiply), ..config.clone() };
    let get = |name: &str, shape: &[usize]| checked(&masters, name, shape);
    let mut entries: Vec<TensorEntry<'_>> = Vec::new();
    let mut floats = |name: &str, shape: &[usize], kind: FloatType| -> Result<()> {
        entries.push(float(name, shape, kind, get(name, shape)?));
        Ok(())
    };
    let dense = [config.vocab_size, config.hidden_size];
    floats(shapes::EMBEDDING, &dense, types.embedding)?;
    if !config.tie_word_embeddings {
        floats(shapes::LM_HEAD, &dense, types.embedding)?;
    }
    for norm in config.all_norms() {
        floats(&norm.name, &[norm.width], types.norms)?;
    }
    for shape in config.all_linears() {
        let weights = get(&format!("{}.weight", shape.name), &[shape.rows, shape.cols])?;
        let scale = TernaryScale::new(&weights);
        let multiplier = Cow::Owned(vec![scale.multiplier]);
        entries.push(float(&format!("{}.weight_scale", shape.name), &[1], FloatType::F32, multiplier));
        entries.push(codes(shape, weights, scale));
    }
    safetensors_file::write_model(folder, &config, entries, &Silent).map(drop)
}

/// Returns the master weights of a tensor, after checking that there are as many as the shape needs and that
/// they are finite.
fn checked<'a>(
    masters: &impl Fn(&str) -> Option<Cow<'a, [f32]>>,
    name: &str,
    shape: &[usize],
) -> Result<Cow<'a, [f32]>> {
    let file = || "the master weights to be packed".to_string();
    let hint = ", which the configuration requires";
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

/// Returns the entry of a float tensor.
fn float<'a>(name: &str, shape: &[usize], kind: FloatType, values: Cow<'a, [f32]>) -> TensorEntry<'a> {
    let (name, dtype, shape) = (name.into(), kind.dtype(), shape.into());
    TensorEntry { name, dtype, shape, values: Box::new(move |to| kind.write(&values, to)) }
}

/// Returns the entry of a matrix of codes.
fn codes(shape: LinearShape, weights: Cow<'_, [f32]>, scale: TernaryScale) -> TensorEntry<'_> {
    let LinearShape { name, rows, cols, .. } = shape;
    let row = move |row: usize, out: &mut [u8]| {
        let weights = &weights[row * cols..][..cols];
        out.iter_mut().zip(weights).for_each(|(code, w)| *code = (scale.code(*w) + 1) as u8);
    };
    TensorEntry {
        name: format!("{name}.weight"),
        dtype: Dtype::U8,
        shape: vec![packed_u8::packed_rows(rows), cols],
        values: Box::new(move |to| to.write_all(&packed_u8::encode(rows, cols, &row))),
    }
}

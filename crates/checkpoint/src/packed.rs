//! Writes any checkpoint as a packed Hugging Face folder.

use std::path::Path;

use safetensors::Dtype;

use bitkv_progress::Progress;

use crate::{
    Checkpoint, Config, FloatType, Linear, Result, ScaleRule, StoredTensor, WeightFormat,
    codec::packed_u8,
    safetensors_file::{self, TensorEntry},
    shapes::{EMBEDDING, LM_HEAD},
};

/// Writes `checkpoint` as `model.safetensors` and `config.json` into `folder`, which is created if it does
/// not exist. Returns the size of the tensors in bytes.
///
/// Ternary codes are packed four rows to a byte, with a `weight_scale` by which results are multiplied
/// (`autobitlinear`, `offline`). Codes and multipliers equal those of the checkpoint exactly. Floats are
/// stored in the smallest of BF16, F16 and F32 that holds every value exactly. At most one row from each
/// quarter of a matrix is in memory at a time.
///
/// # Errors
/// Returns an error if one of the files exists already, the checkpoint is damaged, or a file cannot be
/// written.
pub fn write_packed_folder(checkpoint: &Checkpoint, folder: &Path, progress: &dyn Progress) -> Result<u64> {
    safetensors_file::refuse_model(folder)?;
    checkpoint.check_convertible()?;
    let shapes = checkpoint.config().all_linears();
    let linears = shapes.map(|shape| checkpoint.linear(&shape)).collect::<Result<Vec<_>>>()?;
    linears.iter().try_for_each(Linear::check_ternary)?;
    let config = Config {
        weights: WeightFormat::Packed(ScaleRule::Multiply),
        tie_word_embeddings: checkpoint.is_tied(),
        ..checkpoint.config().clone()
    };
    checkpoint.check_unused_tensors()?;
    let (embedding, head) = checkpoint.embedding_and_lm_head()?;
    let mut floats = vec![(EMBEDDING.to_string(), embedding.stored().clone())];
    floats.extend(head.map(|head| (LM_HEAD.to_string(), head.stored().clone())));
    for norm in config.all_norms() {
        let stored = checkpoint.stored_norm(&norm)?;
        stored.check_shape(&[norm.width])?;
        if !stored.coding.is_float() {
            return Err(stored.type_error("F32, F16 or BF16"));
        }
        stored.check_finite()?;
        floats.push((norm.name, stored));
    }
    linears.iter().try_for_each(check_codes)?;

    let mut entries: Vec<TensorEntry<'_>> = floats.iter().map(|(name, stored)| float(name, stored)).collect();
    entries.extend(linears.iter().flat_map(|linear| [codes(linear), scale(linear)]));
    safetensors_file::write_model(folder, &config, entries, progress)
}

/// Checks the codes of a matrix, so that a damaged one is refused before anything is written.
fn check_codes(linear: &Linear) -> Result<()> {
    let invalid = linear.histogram()[3] > 0;
    linear.bytes().release();
    if !invalid {
        return Ok(());
    }
    let mut codes = vec![0; linear.shape().cols];
    for row in 0..linear.shape().rows {
        linear.codes(row, &mut codes);
        if let Some(column) = codes.iter().position(|code| *code == 3) {
            return Err(linear.invalid_code(row, column));
        }
    }
    Ok(())
}

/// Returns the entry of a float tensor.
fn float<'a>(name: &str, stored: &'a StoredTensor) -> TensorEntry<'a> {
    let kind = stored.smallest_exact_type();
    TensorEntry {
        name: name.into(),
        dtype: kind.dtype(),
        shape: stored.shape.clone(),
        values: Box::new(move |to| stored.write_as(kind, to)),
    }
}

/// Returns the entry of a matrix of codes.
fn codes(linear: &Linear) -> TensorEntry<'_> {
    let shape = linear.shape();
    let stride = packed_u8::packed_rows(shape.rows);
    TensorEntry {
        name: format!("{}.weight", shape.name),
        dtype: Dtype::U8,
        shape: vec![stride, shape.cols],
        values: Box::new(move |to| {
            let (mut row, mut bytes) = (vec![0; shape.cols], vec![0; shape.cols]);
            for packed in 0..stride {
                packed_u8::encode_row(shape.rows, packed, &mut row, &mut bytes, |at, out| {
                    linear.codes(at, out)
                });
                to.write_all(&bytes)?;
            }
            linear.bytes().release();
            Ok(())
        }),
    }
}

/// Returns the entry of a matrix's scale.
fn scale(linear: &Linear) -> TensorEntry<'_> {
    let value = linear.multiplier();
    let kind = if FloatType::Bf16.holds(value) { FloatType::Bf16 } else { FloatType::F32 };
    TensorEntry {
        name: format!("{}.weight_scale", linear.shape().name),
        dtype: kind.dtype(),
        shape: vec![1],
        values: Box::new(move |to| kind.write(&[value], to)),
    }
}

//! Converts any checkpoint to a GGUF file without changing its codes.

use std::{ops::Range, path::Path};

use rayon::prelude::*;

use bitkv_progress::{Progress, Work};

use crate::{
    Architecture, Checkpoint, Coding, Config, Dense, Error, FloatType, Linear, LinearShape, NormShape,
    Result,
    codec::Encoding,
    shapes::{EMBEDDING, LM_HEAD},
};

use super::{
    dense, describe, names,
    target::Target,
    vocabulary::Vocabulary,
    write::{GgufWriter, TensorSpec},
};

/// How to write a GGUF file.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions<'a> {
    /// The type of linear weights.
    pub target: Target,
    /// The type of the embedding and of an untied LM head. `None` changes no value: it is F16 if that is
    /// exact, as in the official file, and otherwise the type in which they are stored.
    pub embedding: Option<FloatType>,
    /// The tokenizer; `None` writes a file without one.
    pub vocabulary: Option<&'a Vocabulary>,
    /// The value of `general.name`.
    pub name: &'a str,
    /// Whether scales may be rounded to the type that the target has for them.
    pub lossy: bool,
}

/// The number of rows that are encoded before they are written to the file.
const SLAB_ROWS: usize = 512;
/// The number of rows that one parallel task encodes.
const TASK_ROWS: usize = 32;

/// A tensor of the checkpoint that is to be written.
enum TensorSource {
    /// The embedding or the LM head, with the type to convert it to; `None` copies it.
    Dense(&'static str, Dense, Option<FloatType>),
    Norm(NormShape),
    Linear(LinearShape),
}

/// Writes `checkpoint` to a GGUF file and returns the size of its tensors in bytes. Codes, scales, norms and
/// the embedding keep their values, unless `options` say otherwise. Only a part of a tensor is in memory at a
/// time.
///
/// # Errors
/// Returns an error if the file exists, the checkpoint is not valid, a shape does not fit the type, a scale
/// would be rounded, or the file cannot be written.
pub fn write(
    path: &Path,
    checkpoint: &Checkpoint,
    options: &WriteOptions<'_>,
    progress: &dyn Progress,
) -> Result<u64> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: path.into() });
    }
    let (config, target) = (checkpoint.config(), options.target);
    if config.plain_llama {
        return Err(Error::PlainLlama { file: checkpoint.file() });
    }
    checkpoint.check_unused_tensors()?;
    checkpoint.check_convertible()?;
    let linears = config.all_linears().map(|shape| checkpoint.linear(&shape)).collect::<Result<Vec<_>>>()?;
    linears.iter().try_for_each(Linear::check_ternary)?;
    describe::check_stop_tokens(config, &checkpoint.file())?;
    for linear in &linears {
        check_fits(checkpoint, linear.shape(), target)?;
        check_scale(linear, options)?;
    }
    let sources = sources(checkpoint, options)?;
    let specs: Vec<TensorSpec> = sources.iter().map(|source| source.spec(target)).collect();
    let file_type = target.encoding().file_type;
    let fields = describe::fields(config, file_type, options.vocabulary, options.name);
    let mut writer = GgufWriter::create(path, &fields, &specs)?;
    let (mut done, all) = (0, specs.iter().map(|tensor| tensor.bytes).sum());
    let work = Work::bytes(progress, "writing", all, 0);
    let mut put = |bytes: &[u8]| -> Result<()> {
        writer.append(bytes)?;
        done += bytes.len() as u64;
        work.reach(done);
        Ok(())
    };
    for source in &sources {
        match source {
            TensorSource::Dense(_, dense, target) => dense::write(dense, *target, &mut put)?,
            TensorSource::Norm(shape) => {
                let weights = checkpoint.norm(shape)?;
                put(&weights.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>())?;
            }
            TensorSource::Linear(shape) => {
                write_linear(&checkpoint.linear(shape)?, config, options, &mut put)?
            }
        }
    }
    writer.finish()?;
    work.finish();
    Ok(all)
}

/// Returns the tensors to write, in the order of the official file.
fn sources(checkpoint: &Checkpoint, options: &WriteOptions<'_>) -> Result<Vec<TensorSource>> {
    let config = checkpoint.config();
    let dense = |name, dense: Dense| {
        let target = dense::target(&dense, options.embedding);
        TensorSource::Dense(name, dense, target)
    };
    let (embedding, head) = checkpoint.embedding_and_lm_head()?;
    let mut sources = vec![dense(EMBEDDING, embedding)];
    for layer in 0..config.num_hidden_layers {
        let [q, k, v, o, gate, up, down] = config.linears(layer).map(TensorSource::Linear);
        let norms = config.norms(layer);
        let (attention_sub, mlp_sub) =
            (norms.attention_sub.map(TensorSource::Norm), norms.mlp_sub.map(TensorSource::Norm));
        sources.extend([TensorSource::Norm(norms.input), down]);
        sources.extend(mlp_sub);
        sources.extend([gate, up, TensorSource::Norm(norms.post_attention)]);
        sources.extend(attention_sub);
        sources.extend([k, o, q, v]);
    }
    sources.push(TensorSource::Norm(config.final_norm()));
    sources.extend(head.map(|head| dense(LM_HEAD, head)));
    Ok(sources)
}

impl TensorSource {
    /// Returns the entry of the tensor in the header.
    fn spec(&self, target: Target) -> TensorSpec {
        let gguf_name =
            |name: &str| names::to_gguf(name).expect("every tensor of a model has a name in GGUF files");
        match self {
            TensorSource::Dense(name, dense, target) => {
                let values = dense.stored().len() as u64;
                let (coding, bytes) = match target {
                    None => (dense.stored().coding.clone(), dense.stored().bytes.len() as u64),
                    Some(kind) => (dense::coding(*kind), values * kind.dtype().bitsize() as u64 / 8),
                };
                TensorSpec { name: gguf_name(name), shape: vec![dense.rows(), dense.cols()], coding, bytes }
            }
            TensorSource::Norm(shape) => {
                let bytes = 4 * shape.width as u64;
                TensorSpec {
                    name: gguf_name(&shape.name),
                    shape: vec![shape.width],
                    coding: Coding::F32,
                    bytes,
                }
            }
            TensorSource::Linear(LinearShape { name, rows, cols, .. }) => TensorSpec {
                name: gguf_name(&format!("{name}.weight")),
                shape: vec![*rows, *cols],
                coding: Coding::Ternary(target.codec()),
                bytes: (target.codec().bytes)(*cols, rows * cols).expect("a shape that fits") as u64,
            },
        }
    }
}

/// Checks that the rows of a matrix consist of whole blocks.
fn check_fits(checkpoint: &Checkpoint, shape: &LinearShape, target: Target) -> Result<()> {
    let (cols, multiple) = (shape.cols, target.codec().unit[1]);
    if cols.is_multiple_of(multiple) {
        return Ok(());
    }
    let reason = format!(
        "its rows have {cols} weights, which is not a multiple of {multiple}: write a packed folder instead"
    );
    let (file, tensor) = (checkpoint.file(), format!("{}.weight", shape.name));
    Err(Error::NotConvertible { file, tensor, target: target.name(), reason })
}

/// Checks that the target's type represents a scale exactly, before anything is written.
fn check_scale(linear: &Linear, options: &WriteOptions<'_>) -> Result<()> {
    let (scale, target, value) =
        (options.target.encoding().scale, options.target.name(), linear.multiplier());
    if options.lossy || scale.holds(value) {
        return Ok(());
    }
    let exact = Target::all().filter(|target| target.encoding().scale == FloatType::F32);
    let reason = format!(
        "its scale {value} is not exact in {}, the type of scales in {target}: write {}, or allow rounding (--lossy)",
        dense::coding(scale).name().to_lowercase(),
        exact.map(Target::name).collect::<Vec<_>>().join(" or ")
    );
    let (file, tensor) = (linear.stored().file.clone(), linear.stored().name.clone());
    Err(Error::NotConvertible { file, tensor, target, reason })
}

/// Writes the codes of a linear layer, slab by slab.
fn write_linear(
    linear: &Linear,
    config: &Config,
    options: &WriteOptions<'_>,
    put: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (rows, encoding) = (linear.shape().rows, options.target.encoding());
    let encode_rows = |rows: Range<usize>| encode(linear, rows, config, encoding);
    for first in (0..rows).step_by(SLAB_ROWS) {
        let slab = first..rows.min(first + SLAB_ROWS);
        let tasks: Vec<Range<usize>> =
            slab.clone().step_by(TASK_ROWS).map(|row| row..slab.end.min(row + TASK_ROWS)).collect();
        let bytes = tasks.into_par_iter().map(encode_rows).collect::<Result<Vec<Vec<u8>>>>()?;
        bytes.iter().try_for_each(|bytes| put(bytes))?;
    }
    if let Some(tail) = encoding.tail {
        put(&tail(linear.multiplier()))?;
    }
    linear.bytes().release();
    Ok(())
}

/// Returns the encoded bytes of some rows of a linear layer, in the order of the file.
fn encode(linear: &Linear, rows: Range<usize>, config: &Config, encoding: &Encoding) -> Result<Vec<u8>> {
    let (mut bytes, mut codes) = (Vec::new(), vec![0; linear.shape().cols]);
    for row in rows {
        let row = model_row(linear.shape(), config, row);
        linear.codes(row, &mut codes);
        if let Some(column) = codes.iter().position(|code| *code > 2) {
            return Err(linear.invalid_code(row, column));
        }
        (encoding.encode_row)(&codes, linear.multiplier(), &mut bytes);
    }
    Ok(bytes)
}

/// Returns the index of the model's row that is row `row` in the file. In the llama architecture, files
/// interleave the two halves of every query and key head.
fn model_row(shape: &LinearShape, config: &Config, row: usize) -> usize {
    let rotary = shape.name.ends_with(".q_proj") || shape.name.ends_with(".k_proj");
    if config.architecture != Architecture::Llama || !rotary {
        return row;
    }
    let (head, within) = (row / config.head_dim, row % config.head_dim);
    head * config.head_dim + within % 2 * (config.head_dim / 2) + within / 2
}

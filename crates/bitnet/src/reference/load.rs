//! Loads the reference from a checkpoint of any format.

use std::collections::HashMap;

use bitkv_checkpoint::{Checkpoint, Config, Dense, Linear, LinearShape, WeightFormat};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use super::Reference;
use crate::{Error, Result, model};

impl Reference {
    /// Loads a checkpoint of any format as f32. Linear weights that are stored as codes become codes times
    /// their scale; masters stay as they are.
    ///
    /// # Errors
    /// Fails if a tensor is missing, has the wrong shape or type, or holds values that are invalid in a
    /// BitNet, or if the device has too little memory.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Reference> {
        let tensors = tensors(checkpoint, device)?;
        let vb = VarBuilder::from_tensors(tensors, DType::F32, device);
        // Some checkpoints have no LM head although their configuration says that it is not tied to the
        // embedding.
        let tied = Config { tie_word_embeddings: checkpoint.is_tied(), ..checkpoint.config().clone() };
        let config = with_full_precision_layers(tied, checkpoint)?;
        Ok(Reference::new(&config, &vb)?)
    }

    /// Returns the logits of `tokens`, `[tokens, vocab]`, in the type and on the device of the weights.
    ///
    /// # Errors
    /// Fails if there are no tokens, if a token is outside the vocabulary, or if there are more tokens than
    /// the model has positions.
    pub fn logits(&self, tokens: &[u32]) -> Result<Tensor> {
        self.logits_with_watch(tokens, &mut ())
    }

    /// Returns the same as [`Reference::logits`]; `watch` sees every step of the pass.
    ///
    /// # Errors
    /// Fails as [`Reference::logits`] does, or if `watch` fails.
    pub fn logits_with_watch(&self, tokens: &[u32], watch: &mut dyn super::Watch) -> Result<Tensor> {
        model::check_tokens(self.config(), tokens, 0)?;
        Ok(self.run(&Tensor::new(tokens, self.device())?, watch)?)
    }
}

/// Returns all tensors that a model needs, f32, under their names in a Hugging Face checkpoint, which
/// [`Reference::new`] asks [`VarBuilder`] for.
///
/// # Errors
/// Fails as [`Reference::load`] does.
pub fn tensors(checkpoint: &Checkpoint, device: &Device) -> Result<HashMap<String, Tensor>> {
    let config = checkpoint.config();
    checkpoint.check_unused_tensors()?;
    let mut tensors = HashMap::new();
    let mut insert = |name: String, values: Vec<f32>, shape: &[usize]| -> Result<()> {
        tensors.insert(name, Tensor::from_vec(values, shape, device)?);
        Ok(())
    };
    let shape = [config.vocab_size, config.hidden_size];
    insert("model.embed_tokens.weight".into(), dense_values(&checkpoint.embedding()?), &shape)?;
    if let Some(lm_head) = checkpoint.lm_head()? {
        insert("lm_head.weight".into(), dense_values(&lm_head), &shape)?;
    }
    for norm in config.all_norms() {
        insert(norm.name.clone(), checkpoint.norm(&norm)?, &[norm.width])?;
    }
    for shape in config.all_linears() {
        let weights = linear_values(&checkpoint.linear(&shape)?, config)?;
        let bias = checkpoint.bias(&shape)?;
        let LinearShape { name, rows, cols, .. } = shape;
        if let Some(bias) = bias {
            insert(format!("{name}.bias"), bias, &[rows])?;
        }
        insert(format!("{name}.weight"), weights, &[rows, cols])?;
    }
    Ok(tensors)
}

/// Returns the configuration with a list of all layers in full precision, which may be known from their
/// tensors only.
fn with_full_precision_layers(config: Config, checkpoint: &Checkpoint) -> Result<Config> {
    let mut full_precision_layers = Vec::new();
    for shape in config.all_linears() {
        if !checkpoint.linear(&shape)?.is_ternary() {
            full_precision_layers.push(shape.name);
        }
    }
    // The weights of the other layers are codes times their scale.
    let weights = match config.weights {
        WeightFormat::Floats => WeightFormat::TernaryFloats,
        other => other,
    };
    Ok(Config { full_precision_layers, weights, ..config })
}

/// Returns the values of the embedding or the LM head, `[vocab, hidden]`.
fn dense_values(matrix: &Dense) -> Vec<f32> {
    let mut values = vec![0.0; matrix.rows() * matrix.cols()];
    values.chunks_exact_mut(matrix.cols()).enumerate().for_each(|(row, out)| matrix.row(row, out));
    values
}

/// Returns the weights of a linear layer, `[rows * cols]` row by row: the stored floats for masters, for a
/// plain Llama and for full-precision layers, otherwise codes times their scale.
fn linear_values(weights: &Linear, config: &Config) -> Result<Vec<f32>> {
    let (rows, cols) = (weights.shape().rows, weights.shape().cols);
    let mut values = vec![0.0; rows * cols];
    let mut codes = vec![0; cols];
    if !weights.is_ternary() {
        values.chunks_exact_mut(cols).enumerate().for_each(|(row, out)| weights.floats(row, out));
        return Ok(values);
    }
    for (row, out) in values.chunks_exact_mut(cols).enumerate() {
        weights.codes(row, &mut codes);
        if let Some(column) = codes.iter().position(|code| *code > 2) {
            return Err(Error::Checkpoint(weights.invalid_code(row, column)));
        }
        if config.plain_llama || config.weights == WeightFormat::Masters {
            weights.floats(row, out);
        } else {
            let weight = |code: u8| f32::from(code as i8 - 1) * weights.multiplier();
            out.iter_mut().zip(&codes).for_each(|(w, code)| *w = weight(*code));
        }
    }
    Ok(values)
}

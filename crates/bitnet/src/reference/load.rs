//! From any checkpoint that the loader knows to tensors under their Hugging Face names.

use std::collections::HashMap;

use bitkv_checkpoint::{Checkpoint, Config, Dense, Linear, LinearShape, WeightFormat};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use super::Reference;
use crate::{Error, Result, model};

impl Reference {
    /// Loads a checkpoint of any format in f32: masters as they are, other linear weights as codes times their scale.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape or type, or holds values no BitNet has, or the device has no room.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Reference> {
        let tensors = tensors(checkpoint, device)?;
        let vb = VarBuilder::from_tensors(tensors, DType::F32, device);
        // Some files are tied in fact, whatever their configuration says.
        let config = Config { tie_word_embeddings: checkpoint.is_tied(), ..checkpoint.config().clone() };
        Ok(Reference::new(&config, &vb)?)
    }

    /// Logits of `tokens`, `[tokens, vocab]`, in the type and on the device of the weights.
    ///
    /// # Errors
    /// When there are no tokens, one is outside the vocabulary, or there are more than the model has positions.
    pub fn logits(&self, tokens: &[u32]) -> Result<Tensor> {
        self.watched(tokens, &mut ())
    }

    /// [`Reference::logits`], with `watch` shown every step.
    ///
    /// # Errors
    /// As [`Reference::logits`], and when `watch` fails.
    pub fn watched(&self, tokens: &[u32], watch: &mut dyn super::Watch) -> Result<Tensor> {
        model::check_tokens(self.config(), tokens, 0)?;
        Ok(self.run(&Tensor::new(tokens, self.device())?, watch)?)
    }
}

/// All tensors that a model reads, in f32, by the names that [`VarBuilder`] is asked for.
///
/// # Errors
/// As [`Reference::load`].
pub fn tensors(checkpoint: &Checkpoint, device: &Device) -> Result<HashMap<String, Tensor>> {
    let config = checkpoint.config();
    checkpoint.refuse_unread()?;
    let mut tensors = HashMap::new();
    let mut put = |name: String, values: Vec<f32>, shape: &[usize]| -> Result<()> {
        tensors.insert(name, Tensor::from_vec(values, shape, device)?);
        Ok(())
    };
    let shape = [config.vocab_size, config.hidden_size];
    put("model.embed_tokens.weight".into(), dense(&checkpoint.embedding()?), &shape)?;
    if let Some(lm_head) = checkpoint.lm_head()? {
        put("lm_head.weight".into(), dense(&lm_head), &shape)?;
    }
    for norm in config.all_norms() {
        put(norm.name.clone(), checkpoint.norm(&norm)?, &[norm.width])?;
    }
    for shape in config.all_linears() {
        let weights = linear(&checkpoint.linear(&shape)?, config)?;
        let LinearShape { name, rows, cols } = shape;
        put(format!("{name}.weight"), weights, &[rows, cols])?;
    }
    Ok(tensors)
}

/// `[vocab, hidden]`.
fn dense(matrix: &Dense) -> Vec<f32> {
    let mut values = vec![0.0; matrix.rows() * matrix.cols()];
    values.chunks_exact_mut(matrix.cols()).enumerate().for_each(|(row, out)| matrix.row(row, out));
    values
}

/// `[rows, cols]`: what the configuration calls masters, or a plain Llama's floats; codes times their scale otherwise.
fn linear(weights: &Linear, config: &Config) -> Result<Vec<f32>> {
    let (rows, cols) = (weights.shape().rows, weights.shape().cols);
    let mut values = vec![0.0; rows * cols];
    let mut codes = vec![0; cols];
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

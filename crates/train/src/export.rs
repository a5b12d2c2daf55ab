//! Exports a trained model: packed ternary weights, tokenizer, recipe, log and model card.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
};

use bitkv_bitnet::{Checkpoint, FloatType, Model, PackedTypes, write_packed};
use bitkv_bytes::{DraftFolder, disk};
use bitkv_stats::nll_from_logits;
use bitkv_tokenizer::{Tokenizer, TokenizerOptions};
use candle_core::Tensor;

use crate::{
    Error, Result, card, checkpoint,
    corpus::Corpus,
    evaluate::to_batch,
    model::Model as Masters,
    ops::{Precision, with_floats},
    recipe::Recipe,
    trainer::{LOG, Trainer},
};

/// The largest allowed difference between the losses of the packed and the trained model, in nats per token.
/// The packed model's embedding is rounded to f16, and its keys and values are cached in f16.
const TOLERANCE: f64 = 0.01;

/// Checks before a training that its model can be exported to `folder`.
///
/// # Errors
/// Fails if `folder` is a file, or a folder that is not empty.
pub fn check_folder(folder: &Path) -> Result<()> {
    bitkv_bytes::check_new_folder(folder).map_err(|_| Error::ExportExists { path: folder.into() })
}

/// Writes the trained model to `folder`, which appears only when all files are complete and predict as the
/// trained model does.
///
/// `recipe` is the recipe with its text, `sources` is a Markdown description of the sources of the data, and
/// `run` is the folder of the run.
///
/// # Errors
/// Fails if `folder` has files, if a file cannot be written, or if the loss of the packed model differs from
/// the loss of the trained one by more than 0.01 nats per token.
pub fn export(
    folder: &Path,
    recipe: (&Recipe, &str),
    corpus: &Corpus,
    sources: Option<&str>,
    trainer: &Trainer<'_>,
    run: &Path,
) -> Result<()> {
    check_folder(folder)?;
    // A slash at the end would make the hidden folder a child of the folder.
    let folder: PathBuf = folder.components().collect();
    let draft = DraftFolder::create(&folder).map_err(Error::writing(&folder))?;
    fill(draft.folder(), recipe, corpus, sources, trainer, run)?;
    draft.commit().map_err(Error::writing(folder))
}

/// Writes all files of a model to `folder` and checks them.
fn fill(
    folder: &Path,
    recipe: (&Recipe, &str),
    corpus: &Corpus,
    sources: Option<&str>,
    trainer: &Trainer<'_>,
    run: &Path,
) -> Result<()> {
    let (recipe, recipe_text) = recipe;
    let config = recipe.shape.config();
    let masters = master_values(trainer.model())?;
    let types = PackedTypes { embedding: FloatType::F16, norms: FloatType::F32 };
    write_packed(folder, &config, types, |name| masters.get(name).map(|v| Cow::Borrowed(v.as_slice())))
        .map_err(bitkv_bitnet::Error::from)?;
    let path = folder.join("tokenizer.json");
    let tokenizer = corpus.tokenizer.to_string(false).map_err(Error::writing(&path))?;
    bitkv_bytes::write(&path, tokenizer.as_bytes()).map_err(Error::writing(&path))?;
    let log = folder.join("training-log.csv");
    disk::copy_new(&run.join(LOG), &log).map_err(Error::writing(log))?;
    let model = Model::load(&Checkpoint::open(folder).map_err(bitkv_bitnet::Error::from)?)?;
    let tokenizer = Tokenizer::from_file(
        &path,
        &TokenizerOptions { bos: config.bos_token_id, vocab_size: config.vocab_size },
    )?;
    check_same_loss(trainer.model(), &model, corpus)?;
    let text = card::write(recipe, corpus, sources, trainer, &model, &tokenizer)?;
    let path = folder.join("recipe.toml");
    bitkv_bytes::write(&path, recipe_text.as_bytes()).map_err(Error::writing(path))?;
    let path = folder.join("README.md");
    bitkv_bytes::write(&path, text.as_bytes()).map_err(Error::writing(path))
}

/// Returns the values of the master weights by their names in a Hugging Face checkpoint.
fn master_values(model: &Masters) -> Result<HashMap<String, Vec<f32>>> {
    let values = |(name, tensor): (String, Tensor)| Ok((name, with_floats(&tensor, <[f32]>::to_vec)?));
    model.named_tensors()?.into_iter().map(values).collect()
}

/// Checks that the packed model has the loss of the trained one on held-out text.
fn check_same_loss(masters: &Masters, packed: &Model, corpus: &Corpus) -> Result<()> {
    let sequences = corpus.validation_windows(4, 256.min(masters.shape.max_positions));
    let (_, scores) = masters.loss(&to_batch(&sequences), Precision::Ternary, false)?;
    let trained = scores.nll.iter().map(|&v| v as f64).sum::<f64>() / scores.nll.len() as f64;
    let mut total = 0.0;
    for sequence in &sequences {
        let output = packed.forward(&sequence.tokens, &mut packed.new_cache(), None)?;
        let logits: Vec<Vec<f32>> = packed.logits(&output.hidden)?.to_vec2()?;
        total += logits
            .iter()
            .zip(&sequence.targets)
            .map(|(row, &target)| nll_from_logits(row, target as usize))
            .sum::<f64>();
    }
    let found = total / scores.nll.len() as f64;
    if (found - trained).abs() >= TOLERANCE || found.is_nan() {
        return Err(Error::OtherLoss { packed: found, trained, file: checkpoint::FILE });
    }
    Ok(())
}

//! A [`MemoryJob`] computes or measures the bytes of weights, cache and activations by context length.

use std::sync::{Arc, Mutex};

use bitkv_models::{LoadedModel, Shape, published_shape};
use bitkv_progress::Progress;
use bitkv_record::{Accounting, Form, Journal, ListedModel, MemoryRow, MemoryStudy, Row};

use super::{
    check_cancelled, in_parallel::locked, loaded_models::LoadedModels, reused::Reused, selection::Selection,
};
use crate::{
    Result,
    error::{Place as _, ensure},
    memory,
    weights::weight_kind,
};

/// A memory study on one model. It is checked before anything is computed.
pub struct MemoryJob {
    study: MemoryStudy,
    shape: Shape,
    /// The loaded model; `None` if only its configuration is known.
    loaded: Option<Arc<LoadedModel>>,
}

/// Returns the selected memory studies of a definition, on each of their models.
///
/// # Errors
/// Returns an error if a model cannot be opened, or if it is to be measured although only its configuration
/// is known.
pub(super) fn memory_jobs(
    selection: &Selection<'_>,
    models: &mut LoadedModels<'_>,
) -> Result<Vec<MemoryJob>> {
    selection.jobs_per_model(
        "memory",
        &selection.definition.memory,
        |study| (&study.name, &study.models, &study.forms),
        |job: &MemoryJob| (&job.shape.name, job.loaded.as_ref()),
        |study, model, form| checked_job(study, model, form, models).at("models"),
    )
}

fn checked_job(
    study: &MemoryStudy,
    listed: &ListedModel,
    form: Form,
    models: &mut LoadedModels<'_>,
) -> Result<MemoryJob> {
    let model = &listed.model;
    if let Some(shape) = published_shape(model)? {
        ensure!(
            Definition,
            listed.name.is_none(),
            "only the configuration of {model} is known, which keeps its name: remove name"
        );
        ensure!(
            Definition,
            !study.accounting.contains(&Accounting::Measured),
            "only the configuration of {model} is known, and measured bytes need a loaded model: remove \
             \"measured\", or name a folder"
        );
        let shape = if form == Form::PlainLlama { shape.as_plain_llama() } else { shape };
        return Ok(MemoryJob { study: study.clone(), shape, loaded: None });
    }
    let loaded = models.open(listed, form)?;
    let shape = Shape::new(&loaded);
    Ok(MemoryJob { study: study.clone(), shape, loaded: Some(loaded) })
}

impl MemoryJob {
    /// Returns the name of the study.
    pub fn name(&self) -> &str {
        &self.study.name
    }

    /// Returns the name of the model.
    pub fn model(&self) -> &str {
        &self.shape.name
    }

    /// Returns the number of context lengths that the model can read.
    pub(super) fn contexts(&self) -> usize {
        self.lengths().len()
    }

    /// Returns the number of tokens of all contexts that must be read to be measured.
    pub(super) fn measured_tokens(&self) -> usize {
        self.cells()
            .iter()
            .filter(|(_, kind)| *kind == Accounting::Measured)
            .map(|(context, _)| context)
            .sum()
    }

    /// Returns the loaded model; `None` if only its configuration is known.
    pub(super) fn loaded(&self) -> Option<&LoadedModel> {
        self.loaded.as_deref()
    }

    /// Returns the number of rows: one per context length and accounting.
    pub fn rows(&self) -> usize {
        self.cells().len()
    }

    /// Returns the context lengths that the model can read, in tokens.
    pub(super) fn lengths(&self) -> Vec<usize> {
        let longest = self.shape.config.max_position_embeddings;
        self.study.contexts.iter().copied().filter(|context| *context <= longest).collect()
    }

    /// Returns the model if contexts are read with it, or `None` if all bytes are computed.
    pub(super) fn measuring_model(&self) -> Option<&LoadedModel> {
        self.loaded().filter(|_| self.study.accounting.contains(&Accounting::Measured))
    }

    /// Returns the context lengths that the model can read, each with every accounting.
    fn cells(&self) -> Vec<(usize, Accounting)> {
        let kinds = |context| self.study.accounting.iter().map(move |kind| (context, *kind));
        self.lengths().into_iter().flat_map(kinds).collect()
    }

    fn row(&self, context: usize, accounting: Accounting) -> Result<MemoryRow> {
        let row = match (accounting, &self.loaded) {
            (Accounting::Measured, Some(loaded)) => measured(loaded, context)?,
            _ => memory::computed_row(&self.shape, accounting, context)?,
        };
        let kind = self.loaded.as_ref().map(|loaded| weight_kind(loaded));
        Ok(MemoryRow { study: self.study.name.clone(), weights: kind.or(row.weights), ..row })
    }
}

/// Returns the row with the sizes of the buffers of a loaded model after a prefill. Activations are computed,
/// not measured.
fn measured(loaded: &LoadedModel, context: usize) -> Result<MemoryRow> {
    let config = loaded.config();
    let mut cache = loaded.model.new_cache();
    loaded.model.forward(&vec![config.bos_token_id.unwrap_or(0); context], &mut cache, None)?;
    let activations = (context * config.hidden_size * size_of::<f32>()) as u64;
    let (weights, kv) = (loaded.model.weight_bytes() as u64, cache.bytes() as u64);
    Ok(memory::row_from_bytes(&loaded.name, Accounting::Measured, context, weights, kv, activations))
}

/// Measures the missing rows of a study at its `own` lengths. Returns the keys of all rows of each own
/// length, in order. If the model fails at a length, its row is left out, and `failures` gets a sentence.
///
/// # Errors
/// Returns an error if a row cannot be written.
pub(super) fn measure(
    job: &MemoryJob,
    own: &[bool],
    rows: &Mutex<Journal<MemoryRow>>,
    reused: &Reused,
    failures: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<Vec<Vec<String>>> {
    let mut order = Vec::new();
    for (length, _) in job.lengths().into_iter().zip(own).filter(|(_, own)| **own) {
        check_cancelled(progress)?;
        let mut keys = Vec::new();
        for &accounting in &job.study.accounting {
            let (study, model) = (job.study.name.clone(), job.shape.name.clone());
            let key = MemoryRow { study, model, context: length, accounting, ..MemoryRow::default() }.key();
            reused.take_over(&reused.memory, &key, rows)?;
            if !locked(rows).contains(&key) {
                match job.row(length, accounting) {
                    Ok(row) => locked(rows).append(row)?,
                    Err(error) => {
                        let (study, model) = (&job.study.name, &job.shape.name);
                        failures.push(format!("{study}, {model} at {length} tokens, {accounting}: {error}"));
                        continue;
                    }
                }
            }
            keys.push(key);
        }
        order.push(keys);
    }
    Ok(order)
}

//! [`LoadedModels`] loads each model of a definition once.

use std::sync::Arc;

use bitkv_models::{LoadedModel, Loading, Source, published_shape};
use bitkv_progress::Progress;
use bitkv_record::{Definition, Form, ModelEntry};

use crate::{Result, error::ensure};

/// The models that were opened, each loaded once per form, in the order of opening.
pub(super) struct LoadedModels<'a> {
    models: Vec<(Source, Form, Arc<LoadedModel>)>,
    /// The names of models for which the definition asks only for memory computed from a known configuration.
    taken: Vec<String>,
    loading: Loading,
    progress: &'a dyn Progress,
}

impl<'a> LoadedModels<'a> {
    pub(super) fn new(
        definition: &Definition,
        loading: Loading,
        progress: &'a dyn Progress,
    ) -> Result<LoadedModels<'a>> {
        let mut taken = Vec::new();
        for model in definition.memory.iter().flat_map(|study| &study.models) {
            taken.extend(published_shape(model)?.map(|shape| shape.name));
        }
        Ok(LoadedModels { models: Vec::new(), taken, loading, progress })
    }

    /// Opens a model in a form; loads it unless it is already loaded.
    ///
    /// # Errors
    /// Returns an error if the model cannot be opened, or if another model has the same name.
    pub(super) fn open(&mut self, model: &str, form: Form) -> Result<Arc<LoadedModel>> {
        let loading = Loading { plain_llama: form == Form::PlainLlama, ..self.loading };
        let source = Source::find_with(model, loading, self.progress)?;
        let is_same = |known: &Source, other: &Form| known.has_files_of(&source) && *other == form;
        if let Some((.., loaded)) = self.models.iter().find(|(known, other, _)| is_same(known, other)) {
            return Ok(Arc::clone(loaded));
        }
        // Names are checked before weights are read. They must differ, because rows distinguish models by
        // name.
        let name = if self.taken.contains(&source.name()) {
            format!("{} (measured)", source.name())
        } else {
            source.name()
        };
        ensure!(
            Definition,
            self.models.iter().all(|(.., other)| other.name != name),
            "two models are named {name}: give each once, or rename one folder"
        );
        let loaded = Arc::new(source.open()?.named(name));
        // A tokenizer that cannot be used is an error only when a text is needed.
        for note in loaded.tokenizer_if_usable().into_iter().flat_map(|tokenizer| tokenizer.notes()) {
            self.progress.note(note);
        }
        self.models.push((source, form, Arc::clone(&loaded)));
        Ok(loaded)
    }

    /// Returns the notes about the files of all models.
    pub(super) fn notes(&self) -> Vec<String> {
        self.models.iter().flat_map(|(.., loaded)| loaded.notes.clone()).collect()
    }

    /// Returns the entries of all models for the manifest.
    pub(super) fn entries(&self) -> Result<Vec<ModelEntry>> {
        let entry =
            |loaded: &Arc<LoadedModel>| Ok(ModelEntry { name: loaded.name.clone(), ..loaded.entry()? });
        self.models.iter().map(|(.., loaded)| entry(loaded)).collect()
    }
}

//! [`LoadedModels`] loads each model of a definition once.

use std::{collections::BTreeMap, sync::Arc};

use bitkv_models::{LoadedModel, Loading, Names, Source, distinct_names, published_shape};
use bitkv_progress::Progress;
use bitkv_record::{Definition, Form, ListedModel, ModelEntry};

use crate::{Result, error::ensure};

/// The models that were opened, each loaded once per form, in the order of opening.
pub(super) struct LoadedModels<'a> {
    models: Vec<(Source, Form, Arc<LoadedModel>)>,
    /// The name of each model, by its text in the definition. Names distinguish all models of the definition,
    /// also those of sections that are not run.
    names: BTreeMap<String, String>,
    /// The names of models for which the definition asks only for memory computed from a known configuration.
    taken: Vec<String>,
    loading: Loading,
    progress: &'a dyn Progress,
}

impl<'a> LoadedModels<'a> {
    /// # Errors
    /// Returns an error if the definition gives one model two names, or two models one name.
    pub(super) fn new(
        definition: &Definition,
        loading: Loading,
        progress: &'a dyn Progress,
    ) -> Result<LoadedModels<'a>> {
        let mut taken = Vec::new();
        let experiments = definition.experiments.iter().flat_map(|experiment| &experiment.models);
        let profiles = definition.profiles.iter().flat_map(|study| &study.models);
        let mut listed: Vec<&ListedModel> = experiments.chain(profiles).collect();
        for model in definition.memory.iter().flat_map(|study| &study.models) {
            match published_shape(&model.model)? {
                Some(shape) => taken.push(shape.name),
                None => listed.push(model),
            }
        }
        Ok(LoadedModels { models: Vec::new(), names: names(&listed)?, taken, loading, progress })
    }

    /// Opens a model in a form; loads it unless it is already loaded.
    ///
    /// # Errors
    /// Returns an error if the model cannot be opened, or if another model has the same name.
    pub(super) fn open(&mut self, model: &ListedModel, form: Form) -> Result<Arc<LoadedModel>> {
        let loading = Loading { plain_llama: form == Form::PlainLlama, ..self.loading };
        let source = Source::find_with(&model.model, loading, self.progress)?;
        let source = match self.names.get(&model.model) {
            Some(name) => source.named(name),
            None => source,
        };
        let is_same = |known: &Source, other: &Form| {
            known.has_files_of(&source) && known.name() == source.name() && *other == form
        };
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
            "two models are named {name}: give one of them another name, as {{ name = \"NAME\", model = \"{}\" }}",
            model.model
        );
        let loaded = Arc::new(source.open()?.named(name));
        // A tokenizer that cannot be used is an error only when a text is needed.
        for note in loaded.tokenizer_if_usable().into_iter().flat_map(|tokenizer| tokenizer.notes()) {
            self.progress.note(note);
        }
        self.progress.detail(&loaded.description());
        self.models.push((source, form, Arc::clone(&loaded)));
        Ok(loaded)
    }

    /// Returns the notes about the files of all models.
    pub(super) fn notes(&self) -> Vec<String> {
        self.models.iter().flat_map(|(.., loaded)| loaded.notes.clone()).collect()
    }

    /// Returns the entries of all models for the manifest.
    pub(super) fn entries(&self) -> Result<Vec<ModelEntry>> {
        self.models.iter().map(|(.., loaded)| Ok(loaded.entry()?)).collect()
    }
}

/// Returns the name of each model of a definition, by its text.
///
/// # Errors
/// Returns an error if one model has two given names, or two models have one given name.
fn names(listed: &[&ListedModel]) -> Result<BTreeMap<String, String>> {
    let models: Vec<(Names, Option<String>)> =
        listed.iter().map(|model| (Names::new(&model.model), model.name.clone())).collect();
    for (i, (names, given)) in models.iter().enumerate() {
        for (other, earlier) in &models[..i] {
            let (Some(given), Some(earlier)) = (given, earlier) else { continue };
            let same_name = given.to_lowercase() == earlier.to_lowercase();
            ensure!(
                Definition,
                names.is_same_place(other) == same_name,
                "models: {} is named {given}, but another entry says {earlier} of {}: give each model one name, and each \
                 name to one model",
                names.short(),
                other.short()
            );
        }
    }
    let texts = listed.iter().map(|model| model.model.clone());
    Ok(texts.zip(distinct_names(&models)).collect())
}

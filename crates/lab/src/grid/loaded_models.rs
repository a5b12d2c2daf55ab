//! The models of a definition, each loaded once.

use std::sync::Arc;

use bitkv_checkpoint::codec::i2s::Layout;
use bitkv_models::{LoadedModel, Loading, Source, configuration};
use bitkv_progress::Progress;
use bitkv_record::{Definition, Form, ModelEntry};

use crate::{Result, error::ensure};

/// Models by name and form in the order of opening, each loaded once.
pub(super) struct LoadedModels<'a> {
    models: Vec<(Source, Form, Arc<LoadedModel>)>,
    /// Names under which the definition asks for the memory of models whose configuration alone is known.
    taken: Vec<String>,
    i2s_layout: Option<Layout>,
    progress: &'a dyn Progress,
}

impl<'a> LoadedModels<'a> {
    pub(super) fn new(
        definition: &Definition,
        i2s_layout: Option<Layout>,
        progress: &'a dyn Progress,
    ) -> Result<LoadedModels<'a>> {
        let mut taken = Vec::new();
        for model in definition.memory.iter().flat_map(|study| &study.models) {
            taken.extend(configuration(model)?.map(|shape| shape.name));
        }
        Ok(LoadedModels { models: Vec::new(), taken, i2s_layout, progress })
    }

    pub(super) fn open(&mut self, model: &str, form: Form) -> Result<Arc<LoadedModel>> {
        let loading = Loading { plain_llama: form == Form::PlainLlama, i2s_layout: self.i2s_layout };
        let source = Source::find_with(model, loading, self.progress)?;
        let is_same = |known: &Source, other: &Form| known.has_files_of(&source) && *other == form;
        if let Some((.., loaded)) = self.models.iter().find(|(known, other, _)| is_same(known, other)) {
            return Ok(Arc::clone(loaded));
        }
        // Found before any weights are read: rows tell models apart by name.
        let name = match self.taken.contains(&source.name()) {
            true => format!("{} (measured)", source.name()),
            false => source.name(),
        };
        ensure!(
            Definition,
            self.models.iter().all(|(.., other)| other.name != name),
            "two models are named {name}: give each once, or rename one folder"
        );
        let loaded = Arc::new(source.open()?.named(name));
        self.models.push((source, form, Arc::clone(&loaded)));
        Ok(loaded)
    }

    pub(super) fn entries(&self) -> Result<Vec<ModelEntry>> {
        let entry =
            |loaded: &Arc<LoadedModel>| Ok(ModelEntry { name: loaded.name.clone(), ..loaded.entry()? });
        self.models.iter().map(|(.., loaded)| entry(loaded)).collect()
    }
}

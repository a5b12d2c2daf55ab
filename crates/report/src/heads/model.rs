//! The entropy profiles of one model at several context lengths.

use bitkv_record::{ClaimId, HeadRow, ProfileStudy};

use crate::published::published_entropies;
use crate::{Run, unique};

use super::view::View;

/// The profiles of one model in a study.
pub(super) struct ModelProfiles<'a> {
    /// The name of the model.
    pub(super) name: String,
    /// The measured profiles by rising context length. A published model has only its published profile.
    pub(super) views: Vec<View>,
    /// The rows of the model, empty for a published model.
    pub(super) rows: Vec<&'a HeadRow>,
}

impl ModelProfiles<'_> {
    /// Returns the profile with the longest context, which reports show in full.
    pub(super) fn longest(&self) -> Option<&View> {
        self.views.last()
    }
}

/// Returns the profiles of the models of a study. The published models are first if a claim is about them.
pub(super) fn model_profiles<'a>(run: &Run<'a>, study: &ProfileStudy) -> Vec<ModelProfiles<'a>> {
    let mut models = Vec::new();
    if run.definition.claims.contains(&ClaimId::Heads) {
        models.extend(published_entropies().iter().map(|profile| ModelProfiles {
            name: profile.model.to_owned(),
            views: vec![View::published(profile)],
            rows: Vec::new(),
        }));
    }
    let rows: Vec<&HeadRow> = run.heads.iter().filter(|row| row.study == study.name).collect();
    for name in unique(rows.iter().map(|row| row.model.as_str())) {
        let own: Vec<&HeadRow> = rows.iter().filter(|row| row.model == name).copied().collect();
        let mut contexts = unique(own.iter().map(|row| row.context));
        contexts.sort_unstable();
        let view = |context: usize| {
            let at: Vec<&HeadRow> = own.iter().filter(|row| row.context == context).copied().collect();
            View::new(&study.name, context, &at)
        };
        let views = contexts.into_iter().map(view).collect();
        models.push(ModelProfiles { name: name.to_owned(), views, rows: own });
    }
    models
}

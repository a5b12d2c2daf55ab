//! A [`Selection`] has the sections of a definition that are run, and lists their jobs by model and form.

use std::sync::Arc;

use bitkv_models::LoadedModel;
use bitkv_record::{Definition, Form, ListedModel};

use crate::{
    Result,
    error::{Place as _, ensure},
};

/// The sections of a definition that are run: experiments, profiles and memory studies.
pub(super) struct Selection<'d> {
    pub(super) definition: &'d Definition,
    /// The names of the selected sections; empty to select all.
    pub(super) only: &'d [String],
}

impl Selection<'_> {
    /// Makes one job for every selected section, each of its models and each of its forms. `kind` is the key
    /// of the sections, such as `experiment`, for errors. `axes` returns the name, the models and the forms
    /// of a section, and `model` the name of a job's model, and the model if it was loaded.
    ///
    /// # Errors
    /// Returns an error if a job cannot be made, or if a section lists the same model twice.
    pub(super) fn jobs_per_model<'s, S, J>(
        &self,
        kind: &str,
        sections: &'s [S],
        axes: impl Fn(&'s S) -> (&'s String, &'s [ListedModel], &'s [Form]),
        model: impl Fn(&J) -> (&str, Option<&Arc<LoadedModel>>),
        mut make_job: impl FnMut(&'s S, &'s ListedModel, Form) -> Result<J>,
    ) -> Result<Vec<J>> {
        let mut jobs = Vec::new();
        for section in sections {
            let (name, models, forms) = axes(section);
            if !self.only.is_empty() && !self.only.contains(name) {
                continue;
            }
            let section_name = || format!("{}, {kind} '{name}'", self.definition.file());
            let first = jobs.len();
            for (listed, &form) in models.iter().flat_map(|model| forms.iter().map(move |form| (model, form)))
            {
                let job = make_job(section, listed, form).at(section_name())?;
                for other in &jobs[first..] {
                    refuse_same(model(other), model(&job)).at(section_name())?;
                }
                jobs.push(job);
            }
        }
        Ok(jobs)
    }
}

/// Returns an error if two models of a section have the same name or, loaded in the same way, the same
/// content.
fn refuse_same(a: (&str, Option<&Arc<LoadedModel>>), b: (&str, Option<&Arc<LoadedModel>>)) -> Result<()> {
    let (first, second) = (a.0, b.0);
    ensure!(Definition, first != second, "models lists {first} twice: give it once");
    if let (Some(a), Some(b)) = (a.1, b.1) {
        ensure!(
            Definition,
            a.content()? != b.content()?,
            "models lists {} and {}, which are the same model, because all their files are equal: give one of them",
            a.source().asked(),
            b.source().asked()
        );
    }
    Ok(())
}

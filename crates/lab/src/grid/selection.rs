//! A [`Selection`] has the sections of a definition that are run, and lists their jobs by model and form.

use std::sync::Arc;

use bitkv_models::LoadedModel;
use bitkv_record::{Definition, Form, Gap, ListedModel, RecordError};

use crate::{Error, Result, error::ensure};

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
    /// Returns an error with the reason of every job that cannot be made, for example because a section lists
    /// the same model twice.
    pub(super) fn jobs_per_model<'s, S, J>(
        &self,
        kind: &str,
        sections: &'s [S],
        axes: impl Fn(&'s S) -> (&'s String, &'s [ListedModel], &'s [Form]),
        model: impl Fn(&J) -> (&str, Option<&Arc<LoadedModel>>),
        mut make_job: impl FnMut(&'s S, &'s ListedModel, Form) -> Result<J>,
    ) -> Result<Vec<J>> {
        let (mut jobs, mut errors) = (Vec::new(), Vec::new());
        for section in sections {
            let (name, models, forms) = axes(section);
            if !self.only.is_empty() && !self.only.contains(name) {
                continue;
            }
            let first = jobs.len();
            for (listed, &form) in models.iter().flat_map(|model| forms.iter().map(move |form| (model, form)))
            {
                let made = make_job(section, listed, form).and_then(|job| {
                    jobs[first..].iter().try_for_each(|other| refuse_same(model(other), model(&job)))?;
                    Ok(job)
                });
                match made {
                    Ok(job) => jobs.push(job),
                    Err(error) => errors.push((format!("{kind} '{name}'"), error)),
                }
            }
        }
        joined(self.definition.file(), errors).map_or(Ok(jobs), Err)
    }
}

/// Joins the errors of jobs, each with the name of its section; `None` if the list is empty. Jobs of one
/// section often have the same error, which is reported once.
fn joined(file: &str, mut errors: Vec<(String, Error)>) -> Option<Error> {
    if errors.len() < 2 {
        let (section, source) = errors.pop()?;
        return Some(Error::At { place: format!("{file}, {section}"), source: Box::new(source) });
    }
    let gaps = errors.iter().map(|(section, error)| Gap::new(section, error.to_string()));
    Some(RecordError::with_gaps(file, gaps.collect()).into())
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

//! A [`Selection`] has the sections of a definition that are run, and lists their jobs by model and form.

use bitkv_record::{Definition, Form};

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
    /// of a section, and `model_name` the name of a job's model.
    ///
    /// # Errors
    /// Returns an error if a job cannot be made, or if a section lists the same model twice.
    pub(super) fn jobs_per_model<'s, S, J>(
        &self,
        kind: &str,
        sections: &'s [S],
        axes: impl Fn(&'s S) -> (&'s String, &'s [String], &'s [Form]),
        model_name: impl Fn(&J) -> &str,
        mut make_job: impl FnMut(&'s S, &'s str, Form) -> Result<J>,
    ) -> Result<Vec<J>> {
        let mut jobs = Vec::new();
        for section in sections {
            let (name, models, forms) = axes(section);
            if !self.only.is_empty() && !self.only.contains(name) {
                continue;
            }
            let section_name = || format!("{}, {kind} '{name}'", self.definition.file());
            let first = jobs.len();
            for (model, &form) in models.iter().flat_map(|model| forms.iter().map(move |form| (model, form)))
            {
                let job = make_job(section, model, form).at(section_name())?;
                let name = model_name(&job);
                ensure!(
                    Definition,
                    jobs[first..].iter().all(|other| model_name(other) != name),
                    "{}: models lists {name} twice: give it once",
                    section_name()
                );
                jobs.push(job);
            }
        }
        Ok(jobs)
    }
}

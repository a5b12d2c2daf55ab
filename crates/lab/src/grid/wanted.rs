//! The sections of a definition that are run, on each of their models and forms.

use bitkv_record::{Definition, Form};

use crate::{
    Result,
    error::{Place as _, ensure},
};

/// The sections of a definition that are run.
pub(super) struct Wanted<'d> {
    pub(super) definition: &'d Definition,
    /// Their names; all if there is none.
    pub(super) only: &'d [String],
}

impl Wanted<'_> {
    /// One part for every section of a kind, each of its models and each of its forms; `about` tells name, models and
    /// forms of a section, `model_of` the name of a part's model.
    ///
    /// # Errors
    /// When a part cannot be made, or a section has the same model twice.
    pub(super) fn on_models<'s, S, P>(
        &self,
        sections: &'s [S],
        about: impl Fn(&'s S) -> (&'s String, &'s [String], &'s [Form]),
        model_of: impl Fn(&P) -> &str,
        mut part: impl FnMut(&'s S, &'s str, Form) -> Result<P>,
    ) -> Result<Vec<P>> {
        let mut parts = Vec::new();
        for section in sections {
            let (name, models, forms) = about(section);
            if !self.only.is_empty() && !self.only.contains(name) {
                continue;
            }
            let place = || format!("{}, experiment '{name}'", self.definition.file());
            let first = parts.len();
            for (model, &form) in models.iter().flat_map(|model| forms.iter().map(move |form| (model, form)))
            {
                let part = part(section, model, form).at(place())?;
                let name = model_of(&part);
                ensure!(
                    Definition,
                    parts[first..].iter().all(|other| model_of(other) != name),
                    "{}: models lists {name} twice: give it once",
                    place()
                );
                parts.push(part);
            }
        }
        Ok(parts)
    }
}

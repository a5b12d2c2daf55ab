//! A [`Draft`] is a definition that is read completely although it may have gaps, so that all of them are
//! reported at once.

use super::keys::{self, Keys, Place};
use super::{
    Definition, Experiment, FORMAT, KEYS, REFUTED, check, experiment, memory, profile, roles, syntax,
};
use crate::gap::Gaps;
use crate::{DefinitionError, PolicyRole, RecordError, json};
use std::path::Path;

/// The keys of the sections of a definition.
const SECTIONS: [&str; 3] = ["experiment", "profile", "memory"];

/// A definition and its gaps. Callers add the gaps that only they can find, for example unknown policies, and
/// then [finish](Draft::finish) it.
#[derive(Debug)]
pub struct Draft {
    definition: Definition,
    gaps: Gaps,
    /// The place of each experiment, and the gaps of its keys.
    experiments: Vec<(Place, Gaps)>,
}

impl Draft {
    /// Reads the definition at `path`.
    ///
    /// # Errors
    /// Fails as [`Draft::from_toml`] does.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        Self::from_toml(&json::read_text(path, bitkv_bytes::limit::DEFINITION)?, &path.display().to_string())
    }

    /// Parses a definition. `file` names the text in errors; relative paths in the text start in its folder.
    ///
    /// # Errors
    /// Fails if the text is not TOML, has a newer format, or asks for more rows than can be measured. All
    /// other errors are gaps.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, RecordError> {
        let place = Place::file(file);
        let table = text.parse::<toml::Table>().map_err(|error| place.refuse(syntax(&error, text)))?;
        // The version is checked before the keys, because a newer format may have keys that are unknown here.
        check::format(&table, FORMAT).map_err(|reason| place.refuse(reason))?;
        let mut gaps = Gaps::default();
        let mut keys = Keys::with_gaps(table, &KEYS, place.clone(), &mut gaps);
        let has_sections = SECTIONS.iter().any(|section| keys.has(section));
        let analysis = gaps.value("analysis", analysis(&mut keys), String::new());
        let claims = keys.list("claims", Some(Vec::new()), keys::named);
        let claims = gaps.value("claims", claims, Vec::new());
        let tables = keys.tables("experiment", &mut gaps).into_iter();
        let read = tables.map(|table| experiment::read(table, &place, &mut gaps)).collect::<Vec<_>>();
        let (experiments, places): (Vec<Experiment>, Vec<(Place, Gaps)>) = read.into_iter().unzip();
        // Other gaps are found by listing all cells, which such an experiment has too many of.
        for (experiment, (place, _)) in experiments.iter().zip(&places) {
            check::rows(experiment).map_err(|reason| place.refuse(reason))?;
        }
        let tables = keys.tables("profile", &mut gaps);
        let profiles: Vec<_> =
            tables.into_iter().map(|table| profile::read(table, &place, &mut gaps)).collect();
        let tables = keys.tables("memory", &mut gaps);
        let memory: Vec<_> = tables.into_iter().map(|table| memory::read(table, &place, &mut gaps)).collect();
        if !has_sections {
            gaps.add(place.refuse(
                "there is nothing to measure: add a section [[experiment]], [[profile]] or [[memory]]",
            ));
        }
        let (file, text) = (file.to_owned(), text.to_owned());
        let definition = Definition { analysis, experiments, profiles, memory, claims, file, text };
        check::names(&definition.names(), &place, &mut gaps);
        Ok(Self { definition, gaps, experiments: places })
    }

    /// Adds the gaps that `gaps_of` finds in each experiment in which all the `keys` could be read.
    pub fn check<E: Into<DefinitionError>>(
        &mut self,
        keys: &[&str],
        gaps_of: impl Fn(&Experiment) -> Vec<E>,
    ) {
        for (experiment, (place, known)) in self.definition.experiments.iter().zip(&self.experiments) {
            if known.knows(keys) {
                gaps_of(experiment).into_iter().for_each(|reason| self.gaps.add(place.refuse(reason)));
            }
        }
    }

    /// Adds a gap for each experiment that lacks its controls; see [`Definition::check_roles`].
    pub fn check_roles(&mut self, role_of: impl Fn(&str) -> Option<PolicyRole>) {
        self.check(&["policies", "controls", "when"], |experiment| {
            roles::controls(experiment, &role_of).err().into_iter().collect()
        });
        self.check(&["policies", "metrics"], |experiment| {
            roles::form(experiment, &role_of).err().into_iter().collect()
        });
    }

    /// Returns the definition.
    ///
    /// # Errors
    /// Fails if there is a gap. The message is one sentence with the file and every gap: section, key, value
    /// and remedy.
    pub fn finish(self) -> Result<Definition, RecordError> {
        self.gaps.result(self.definition)
    }
}

/// Reads the analysis, which must say what would refute the expectation.
fn analysis(keys: &mut Keys) -> Result<String, RecordError> {
    match keys.text("analysis")? {
        None => Err(keys.place.refuse(
            "analysis is missing: add a line such as analysis = \"QUESTION? Refuted if the interval includes 0.\"",
        )),
        Some(analysis) if !analysis.to_lowercase().contains(REFUTED) => Err(keys.place.refuse(
            "analysis must say what result refutes the expectation: add a sentence that begins with 'Refuted if'",
        )),
        Some(analysis) => Ok(analysis),
    }
}

//! Reads a section `[[profile]]` of a definition: the entropies of attention heads.

use super::keys::{Keys, Place, count, named, text};
use super::listed_model::models;
use super::{ProfileStudy, TextSource, parts};
use crate::{Form, RecordError};
use toml::Table;

pub(super) const KEYS: [&str; 7] = ["name", "models", "forms", "texts", "lengths", "queries", "analysis"];
/// The shortest length in tokens, because an entropy needs a query that sees two keys.
const SHORTEST: usize = 2;

/// Reads a profile study.
pub(super) fn read(table: Table, file: &Place) -> Result<ProfileStudy, RecordError> {
    let mut keys = Keys::named(table, &KEYS, "profile", file)?;
    let words = [
        ("evaluation", TextSource::Evaluation),
        ("calibration", TextSource::Calibration),
        ("suite", TextSource::Suite),
        ("long", TextSource::Long),
    ];
    let texts = |place: &Place, value| parts::source(place, value, &words);
    Ok(ProfileStudy {
        name: keys.required("name", "\"entropy-by-length\"", text)?,
        models: models(&mut keys)?,
        forms: keys.list("forms", Some(vec![Form::True]), named)?,
        texts: keys.required("texts", "\"evaluation\"", texts)?,
        lengths: keys.list("lengths", None, |place, value| count(place, value, SHORTEST))?,
        queries: keys.value("queries", named)?.unwrap_or_default(),
        analysis: keys.text("analysis")?,
    })
}

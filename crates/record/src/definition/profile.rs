//! Reads a profile of a definition: entropies of heads instead of a grid of policies.

use super::keys::{Keys, Place, count, named, text};
use super::{ProfileStudy, TextSource, parts};
use crate::{Form, RecordError};
use toml::Table;

const KEYS: [&str; 7] = ["name", "models", "forms", "texts", "lengths", "queries", "analysis"];
/// Fewest tokens: an entropy needs a query that sees two keys.
const SHORTEST: usize = 2;

pub(super) fn read(table: Table, file: &Place) -> Result<ProfileStudy, RecordError> {
    let place = match table.get("name").and_then(toml::Value::as_str) {
        Some(name) => file.in_experiment(name),
        None => file.clone(),
    };
    let mut keys = Keys::new(table, &KEYS, place)?;
    let name = keys.text("name")?;
    let words = [
        ("evaluation", TextSource::Evaluation),
        ("calibration", TextSource::Calibration),
        ("suite", TextSource::Suite),
    ];
    let texts = keys.value("texts", |place, value| parts::source(place, value, &words))?;
    Ok(ProfileStudy {
        name: keys.required("name", name, "\"entropy-by-length\"")?,
        models: keys.list("models", None, text)?,
        forms: keys.list("forms", Some(vec![Form::True]), named)?,
        texts: keys.required("texts", texts, "\"evaluation\"")?,
        lengths: keys.list("lengths", None, |place, value| count(place, value, SHORTEST))?,
        queries: keys.value("queries", named)?.unwrap_or_default(),
        analysis: keys.text("analysis")?,
    })
}

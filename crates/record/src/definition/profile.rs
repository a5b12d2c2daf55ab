//! Reads a section `[[profile]]` of a definition: the entropies of attention heads.

use super::keys::{Keys, Place, count, named, text};
use super::listed_model::models;
use super::{ProfileStudy, TextSource, parts};
use crate::Form;
use crate::gap::Gaps;
use toml::Table;

pub(super) const KEYS: [&str; 7] = ["name", "models", "forms", "texts", "lengths", "queries", "analysis"];
/// The shortest length in tokens, because an entropy needs a query that sees two keys.
const SHORTEST: usize = 2;

/// Reads a profile study.
pub(super) fn read(table: Table, file: &Place, gaps: &mut Gaps) -> ProfileStudy {
    let mut keys = Keys::named(table, &KEYS, "profile", file, gaps);
    let words = [
        ("evaluation", TextSource::Evaluation),
        ("calibration", TextSource::Calibration),
        ("suite", TextSource::Suite),
        ("long", TextSource::Long),
    ];
    let texts = |place: &Place, value| parts::source(place, value, &words);
    let length = |place: &Place, value| count(place, value, SHORTEST);
    let name = keys.required("name", "\"entropy-by-length\"", text);
    let texts = keys.required("texts", "\"evaluation\"", texts);
    ProfileStudy {
        name: gaps.value("name", name, String::new()),
        models: gaps.value("models", models(&mut keys), Vec::new()),
        forms: gaps.value("forms", keys.list("forms", Some(vec![Form::True]), named), Vec::new()),
        texts: gaps.value("texts", texts, TextSource::Evaluation),
        lengths: gaps.value("lengths", keys.list("lengths", None, length), Vec::new()),
        queries: gaps.value("queries", keys.value("queries", named), None).unwrap_or_default(),
        analysis: gaps.value("analysis", keys.text("analysis"), None),
    }
}

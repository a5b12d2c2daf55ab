//! Reads the values of an experiment that are more than a name or a number: texts, budgets, policies, pairs,
//! tasks and the calibration.

use super::keys::{Keys, Place, count, count_up_to, named, number, shown, table, text};
use super::{CalibrationSettings, GridTask, TextSource};
use crate::{AskedBudget, RecordError, ScoredTask, TaskKind, ValueError};
use toml::Value;

/// How many tokens of each calibration text are read by default.
const CALIBRATION_TOKENS: usize = 512;
/// The default number of generated contexts: one for each of the depths 0, 0.1, ... 1.
const CONTEXTS: usize = 11;
/// The most contexts of a task. More would only make the definition slow to read.
const MOST_CONTEXTS: usize = 10_000;

/// The most random choices of a policy for each seed. More would only take time.
const MOST_DRAWS: usize = 1000;

/// The longest time limit of a cell in seconds: a year.
const MOST_SECONDS: f64 = 31_536_000.0;

/// Reads the key `draws`.
pub(super) fn draws(place: &Place, value: Value) -> Result<usize, RecordError> {
    count_up_to(place, value, MOST_DRAWS)
}

/// Reads the key `cell_seconds`.
pub(super) fn cell_seconds(place: &Place, value: Value) -> Result<f64, RecordError> {
    let shown = shown(&value);
    let seconds = number(place, value)?;
    match seconds > 0.0 && seconds <= MOST_SECONDS {
        true => Ok(seconds),
        false => Err(place.refuse(format!(
            "{} = {shown} is not a time limit: write a number of seconds above 0 and at most {MOST_SECONDS}",
            place.key()
        ))),
    }
}

/// Reads the key `texts` of an experiment.
pub(super) fn texts(keys: &mut Keys) -> Result<TextSource, RecordError> {
    let words = [("evaluation", TextSource::Evaluation), ("long", TextSource::Long)];
    keys.required("texts", "\"evaluation\"", |place, value| source(place, value, &words))
}

/// Reads a source of texts: one of `words`, which name the suite's texts, or a folder. A value with a slash
/// is always a folder. A word that only another key allows, and a misspelt word, are errors.
pub(super) fn source(
    place: &Place,
    value: Value,
    words: &[(&str, TextSource)],
) -> Result<TextSource, RecordError> {
    const WORDS: [&str; 4] = ["evaluation", "calibration", "suite", "long"];
    let text = text(place, value)?;
    if let Some((_, source)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(source.clone());
    }
    let is_word = WORDS.contains(&text.as_str()) || bitkv_spelling::nearest(&text, WORDS).is_some();
    if is_word && !text.contains('/') {
        let possible: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        return Err(place.refuse(format!(
            "{} = \"{text}\" is not allowed here: write {}, or a folder such as \"./{text}\"",
            place.key(),
            possible.join(" or ")
        )));
    }
    Ok(TextSource::Folder(place.path(&text)))
}

/// Reads a budget: a number in (0, 1] or a string.
pub(super) fn budget(place: &Place, value: Value) -> Result<AskedBudget, RecordError> {
    let read = match value {
        Value::Float(fraction) => AskedBudget::fraction(fraction),
        Value::Integer(1) => Ok(AskedBudget::FULL),
        Value::Integer(number) => Err(ValueError::NoUnit { number }),
        other => text(place, other)?.parse(),
    };
    read.map_err(|reason| place.refuse(format!("{}: {reason}", place.key())))
}

/// Reads a policy and removes the white space around it.
pub(super) fn policy(place: &Place, value: Value) -> Result<String, RecordError> {
    let text = text(place, value)?;
    if text.contains(['\n', '\r']) {
        return Err(
            place.refuse(format!("{} has a policy with a line break: write it in one line", place.key()))
        );
    }
    Ok(text.trim().to_owned())
}

/// Reads a pair of policies. Reports subtract the second from the first.
pub(super) fn pair(place: &Place, value: Value) -> Result<(String, String), RecordError> {
    let key = place.key();
    match value.as_array().map(Vec::as_slice) {
        Some([a, b]) => Ok((policy(place, a.clone())?, policy(place, b.clone())?)),
        _ => Err(place.refuse(format!(
            "{key} has {}, which is not a pair of policies: write a pair such as [\"uniform+recency\", \"uniform+random\"]",
            shown(&value)
        ))),
    }
}

/// Reads the key `tasks`. `context` is the length of the experiment's contexts in tokens.
pub(super) fn tasks(keys: &mut Keys, context: usize) -> Result<Vec<GridTask>, RecordError> {
    let text = GridTask { task: ScoredTask::TEXT, count: 0, tokens: context };
    keys.list("tasks", Some(vec![text]), |place, value| task(place, value, context))
}

/// Reads a task: a name, or a table with options. `context` is the default length of its contexts in tokens.
fn task(place: &Place, value: Value, context: usize) -> Result<GridTask, RecordError> {
    if !value.is_table() {
        let kind = named(place, value)?;
        let count = if kind == TaskKind::Text { 0 } else { CONTEXTS };
        return Ok(GridTask { task: ScoredTask { kind, aware: false }, count, tokens: context });
    }
    let known = ["kind", "count", "tokens", "aware"];
    let mut keys = Keys::new(table(value, place)?, &known, place.clone())?;
    let kind = keys.required("kind", "\"passkey\"", named)?;
    if kind == TaskKind::Text {
        return Err(place.refuse(format!(
            "{} has options for \"text\", which has none because it uses the context and texts of the experiment: write \
             \"text\"",
            place.key()
        )));
    }
    let count = keys.value("count", |place, value| count_up_to(place, value, MOST_CONTEXTS))?;
    let tokens = keys.count("tokens", 1)?;
    let aware = keys.flag("aware")?.unwrap_or(false);
    if aware && kind == TaskKind::RecallTogether {
        return Err(place.refuse(format!(
            "{} has aware = true for \"recall-together\", which asks all questions in one continuation, so no policy can see \
             a single question: remove aware, or write kind = \"recall\"",
            place.key()
        )));
    }
    let (count, tokens) = (count.unwrap_or(CONTEXTS), tokens.unwrap_or(context));
    Ok(GridTask { task: ScoredTask { kind, aware }, count, tokens })
}

impl Default for CalibrationSettings {
    /// The suite's calibration texts.
    fn default() -> Self {
        Self::Texts { texts: TextSource::Calibration, tokens: CALIBRATION_TOKENS, head_scores: None }
    }
}

/// Reads the key `calibration`.
pub(super) fn calibration(keys: &mut Keys) -> Result<CalibrationSettings, RecordError> {
    let read = |place: &Place, value: Value| {
        let known = ["tokens", "texts", "profile", "head-scores"];
        let mut keys = Keys::new(table(value, place)?, &known, place.clone())?;
        let head_scores = keys.path("head-scores")?;
        if let Some(profile) = keys.path("profile")? {
            if let Some(key) = ["tokens", "texts"].into_iter().find(|key| keys.has(key)) {
                let (ignored, used) = (place.at(key), place.at("profile"));
                let (ignored, used) = (ignored.key(), used.key());
                return Err(
                    place.refuse(format!("{ignored} has no effect beside {used}: remove one of them"))
                );
            }
            return Ok(CalibrationSettings::File { profile, head_scores });
        }
        let words = [("calibration", TextSource::Calibration)];
        let texts = keys
            .value("texts", |place, value| source(place, value, &words))?
            .unwrap_or(TextSource::Calibration);
        // An entropy needs a query that sees two keys.
        let tokens = keys.value("tokens", |place, value| count(place, value, 2))?;
        Ok(CalibrationSettings::Texts { texts, tokens: tokens.unwrap_or(CALIBRATION_TOKENS), head_scores })
    };
    Ok(keys.value("calibration", read)?.unwrap_or_default())
}

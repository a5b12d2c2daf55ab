//! Reads scores of heads from the files of other projects (HeadKV, DuoAttention).

use std::{collections::BTreeMap, path::Path};

use bitkv_bytes::limit;
use bitkv_models::LoadedModel;
use bitkv_progress::Progress;

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, bail, ensure},
};

/// The key with the hash of the model's content.
const MODEL: &str = "model_sha256";

/// Reads one number per head, `[layers * heads]`. The file is a JSON array of rows, a JSON object from
/// `"layer-head"` to a number or to a list of numbers whose mean is taken (HeadKV's files), or text with one
/// line of numbers per layer (DuoAttention's `full_attention_heads.tsv`). An object may also have the key
/// `model_sha256`; see [`check_model`].
///
/// # Errors
/// Returns an error if the file cannot be read, has another format, or has another number of layers or heads.
pub fn read(path: &Path, layers: usize, heads: usize) -> Result<Vec<f64>> {
    let name = path.display();
    let text =
        bitkv_bytes::read_document(path, limit::HEADS).refuse(Error::File, format!("cannot read {name}"))?;
    let rows = match text.trim_start().as_bytes().first() {
        Some(b'[') => serde_json::from_str(&text).refuse(
            Error::File,
            format!("{name} must hold a JSON array with one row of numbers per layer"),
        )?,
        Some(b'{') => parse_object(&text).at(format!("{name} holds no HeadKV scores"))?,
        _ => parse_lines(&text).at(format!("{name} must hold one line of numbers per layer"))?,
    };
    ensure!(
        File,
        rows.len() == layers && rows.iter().all(|row| row.len() == heads),
        "{name} has {} layers of {} heads, and the model has {layers} of {heads}: use a file of this model",
        rows.len(),
        rows.first().map_or(0, Vec::len)
    );
    let scores = rows.concat();
    match scores.iter().position(|s| !s.is_finite() || *s < 0.0) {
        Some(at) => bail!(
            File,
            "{name}: the score of layer {}, head {} is {}: write a finite number that is not negative",
            at / heads,
            at % heads,
            scores[at]
        ),
        None => Ok(scores),
    }
}

/// Checks that the scores in a file belong to a model. An object may bind its scores to the content of a
/// model with the key `model_sha256`, whose value a profile of `bitkv profile` shows. Without the key, a note
/// to `notes` says that only the numbers of layers and heads were checked.
///
/// # Errors
/// Returns an error if the file names the content of another model.
pub fn check_model(path: &Path, loaded: &LoadedModel, notes: &dyn Progress) -> Result<()> {
    let text = bitkv_bytes::read_document(path, limit::HEADS)
        .refuse(Error::File, format!("cannot read {}", path.display()))?;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(content) = document[MODEL].as_str() else {
        notes.note(&format!(
            "{} has no hash of its model, so only the numbers of layers and heads were checked",
            path.display()
        ));
        return Ok(());
    };
    ensure!(
        File,
        content == loaded.content()?,
        "{} has scores of other files than {} has: use scores of this model",
        path.display(),
        loaded.name
    );
    Ok(())
}

/// Parses one line of numbers per layer.
fn parse_lines(text: &str) -> Result<Vec<Vec<f64>>> {
    let number =
        |word: &str| word.parse::<f64>().ok().refuse(Error::File, format!("`{word}` is not a number"));
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().map(number).collect()).collect()
}

/// The value of a head in HeadKV's files.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Score {
    One(f64),
    Several(Vec<f64>),
}

/// Parses a JSON object from `"layer-head"` to scores.
fn parse_object(text: &str) -> Result<Vec<Vec<f64>>> {
    let expected = "expected an object of numbers or lists of numbers";
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).refuse(Error::File, expected)?;
    if let Some(content) = object.remove(MODEL) {
        ensure!(File, content.is_string(), "`{MODEL}` is {content}, not a hash in quotes");
    }
    let scores: BTreeMap<String, Score> =
        serde_json::from_value(object.into()).refuse(Error::File, expected)?;
    let mut by_place = BTreeMap::new();
    for (key, score) in scores {
        let place =
            key.split_once('-').and_then(|(l, h)| Some((l.parse::<usize>().ok()?, h.parse::<usize>().ok()?)));
        let place = place.refuse(Error::File, format!("key `{key}` is not LAYER-HEAD, such as 0-3"))?;
        ensure!(File, !by_place.contains_key(&place), "head {}-{} has two scores", place.0, place.1);
        let mean = match score {
            Score::One(score) => score,
            Score::Several(list) => list.iter().sum::<f64>() / list.len() as f64,
        };
        by_place.insert(place, mean);
    }
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for ((layer, head), score) in by_place {
        if layer == rows.len() && head == 0 {
            rows.push(Vec::new());
        }
        let row = rows.get_mut(layer).filter(|row| row.len() == head);
        row.refuse(Error::File, format!("the heads before {layer}-{head} are missing"))?.push(score);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<f64>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores");
        std::fs::write(&path, text).unwrap();
        read(&path, 2, 2)
    }

    #[test]
    fn all_three_formats_are_read() {
        let expected = [0.0, 1.0, 0.5, 0.25];
        assert_eq!(read_text("[[0, 1], [0.5, 0.25]]").unwrap(), expected);
        assert_eq!(read_text("0\t1\n0.5\t0.25\n").unwrap(), expected);
        assert_eq!(
            read_text(r#"{"model_sha256": "ab", "0-0": 0, "0-1": 1, "1-0": 0.5, "1-1": 0.25}"#).unwrap(),
            expected
        );
        assert_eq!(
            read_text(r#"{"1-0": [0.25, 0.75], "0-0": 0, "1-1": 0.25, "0-1": [1.0]}"#).unwrap(),
            expected
        );
    }

    #[test]
    fn two_scores_of_a_head_are_refused() {
        let error =
            format!("{}", read_text(r#"{"0-0": 1, "00-0": 2, "0-1": 1, "1-0": 1, "1-1": 1}"#).unwrap_err());
        assert!(error.contains("head 0-0 has two scores"), "{error}");
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        let error = |text: &str| format!("{}", read_text(text).unwrap_err());
        assert!(error("[[0, 1]]").contains("has 1 layers of 2 heads, and the model has 2 of 2"));
        assert!(error("[[0, 1], [0, -1]]").contains("layer 1, head 1 is -1"));
        assert!(error(r#"{"a": 1}"#).contains("`a` is not LAYER-HEAD"));
        assert!(error(r#"{"model_sha256": 1}"#).contains("`model_sha256` is 1, not a hash in quotes"));
        assert!(error(r#"{"0-1": 1}"#).contains("before 0-1 are missing"));
        assert!(
            error("0 1\n2 x")
                .ends_with("scores must hold one line of numbers per layer: `x` is not a number")
        );
        assert!(error(r#"{"0-0": [], "0-1": 1, "1-0": 1, "1-1": 1}"#).contains("layer 0, head 0 is NaN"));
    }
}

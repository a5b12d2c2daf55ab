//! Entropies of heads over texts, at several lengths.

use anyhow::{Context as _, Result, ensure};
use bitkv_record::{Definition, FileHash, Form, HeadRow, ProfileStudy, Text, Texts};

use super::plan::{Loaded, texts_of};
use crate::{
    Subject,
    profile::{Rows, measure},
    progress::Steps,
    window::Window,
};

/// Between the name of a study and the register of a text in [`HeadRow::profile`].
const REGISTER: char = '/';

/// A study on one model, checked before anything is computed.
pub struct Study {
    study: ProfileStudy,
    subject: std::sync::Arc<Subject>,
    texts: Texts,
}

impl Study {
    /// Rows of head entropies: every length, text and head.
    pub fn rows(&self) -> usize {
        let config = self.subject.config();
        let heads = config.num_hidden_layers * config.num_attention_heads;
        self.study.lengths.len() * self.texts.all().len() * heads
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.study.name
    }

    /// Name of its model.
    pub fn model(&self) -> &str {
        &self.subject.name
    }
}

/// The studies of a definition, of all or of those named.
///
/// # Errors
/// When a model cannot be loaded, or a text is shorter than the longest length.
pub(super) fn studies(
    definition: &Definition,
    only: &[String],
    loaded: &mut Loaded,
    hashes: &mut Vec<FileHash>,
) -> Result<Vec<Study>> {
    let mut found = Vec::new();
    for study in &definition.profiles {
        if !only.is_empty() && !only.contains(&study.name) {
            continue;
        }
        let place = || format!("{}, experiment '{}'", definition.file(), study.name);
        let texts = texts_of(&study.texts).with_context(place)?;
        hashes.extend(texts.hashes());
        for model in &study.models {
            for &form in &study.forms {
                let one = one(study, model, form, &texts, loaded).with_context(place)?;
                found.push(one);
            }
        }
    }
    Ok(found)
}

fn one(study: &ProfileStudy, model: &str, form: Form, texts: &Texts, loaded: &mut Loaded) -> Result<Study> {
    let subject = loaded.open(model, form).context("models")?;
    let (longest, positions) = (longest(study), subject.config().max_position_embeddings);
    ensure!(
        longest <= positions,
        "lengths: {longest} tokens are more than the {positions} positions of {}: leave out the longest",
        subject.name
    );
    let all: Vec<&Text> = texts.all().iter().collect();
    Window::of_all(&subject, &all, longest).context("lengths: the longest is too long for texts")?;
    Ok(Study { study: study.clone(), subject, texts: texts.clone() })
}

fn longest(study: &ProfileStudy) -> usize {
    study.lengths.iter().copied().max().unwrap_or(0)
}

/// Entropies of every head at every query of each length's window, text by text. One pass serves all lengths.
///
/// # Errors
/// When the model fails.
pub(super) fn profile(study: &Study) -> Result<Vec<HeadRow>> {
    let Study { study, subject, texts } = study;
    let all: Vec<&Text> = texts.all().iter().collect();
    let windows = Window::of_all(subject, &all, longest(study))?;
    let steps = Steps::new(&format!("{} {}", study.name, subject.name), windows.len());
    let entropies = measure(subject, &windows, &steps)?;
    steps.finish();
    let mut rows = Vec::new();
    for &length in &study.lengths {
        let of_texts = entropies.rows(&subject.name, length, Rows::All);
        // Means over texts are the report's.
        for mut row in of_texts.into_iter().filter(|row| !row.text.is_empty()) {
            let register = windows.iter().find(|w| w.name == row.text).map_or("", |w| w.register.as_str());
            row.profile = format!("{}{REGISTER}{register}", study.name);
            rows.push(row);
        }
    }
    Ok(rows)
}

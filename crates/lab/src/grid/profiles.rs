//! A [`ProfileJob`] measures the entropies of heads over texts, at several context lengths.

use std::sync::Mutex;

use bitkv_models::LoadedModel;
use bitkv_progress::{Progress, Silent, Work};
use bitkv_record::{FileHash, Form, HeadRow, Journal, ProfileStudy, Row, Text, Texts};

use super::{in_parallel::locked, loaded_models::LoadedModels, sources::texts_of, wanted::Wanted};
use crate::{
    Result,
    error::{Place as _, ensure},
    profile::{self, Entropies},
    window::Window,
};

/// A study on one model, checked before anything is computed.
pub struct Study {
    study: ProfileStudy,
    form: Form,
    loaded: std::sync::Arc<LoadedModel>,
    texts: Texts,
}

impl Study {
    /// Rows of head entropies: every length, text and head.
    pub fn rows(&self) -> usize {
        self.study.lengths.len() * self.texts.all().len() * self.heads()
    }

    /// Returns the number of query heads of all layers.
    fn heads(&self) -> usize {
        let config = self.loaded.config();
        config.num_hidden_layers * config.num_attention_heads
    }

    pub(super) fn loaded(&self) -> &LoadedModel {
        &self.loaded
    }

    /// Returns the tokens of every text, at the longest length.
    pub(super) fn windows(&self) -> Result<Vec<Window>> {
        let all: Vec<&Text> = self.texts.all().iter().collect();
        Window::all(&self.loaded, &all, longest(&self.study))
    }

    /// Returns the name of the study.
    pub fn name(&self) -> &str {
        &self.study.name
    }

    /// Returns the name of the model.
    pub fn model(&self) -> &str {
        &self.loaded.name
    }
}

/// Returns the selected profiles of a definition, on each of their models. The hashes of their texts are
/// added to `hashes`.
///
/// # Errors
/// When a model cannot be models, or a text is shorter than the longest length.
pub(super) fn studies(
    wanted: &Wanted<'_>,
    models: &mut LoadedModels<'_>,
    hashes: &mut Vec<FileHash>,
) -> Result<Vec<Study>> {
    wanted.on_models(
        &wanted.definition.profiles,
        |study| (&study.name, &study.models, &study.forms),
        Study::model,
        |study, model, form| {
            let texts = texts_of(&study.texts)?;
            hashes.extend(texts.hashes());
            checked(study, model, form, texts, models)
        },
    )
}

fn checked(
    study: &ProfileStudy,
    model: &str,
    form: Form,
    texts: Texts,
    models: &mut LoadedModels<'_>,
) -> Result<Study> {
    let loaded = models.open(model, form).at("models")?;
    let (longest, positions) = (longest(study), loaded.config().max_position_embeddings);
    ensure!(
        Definition,
        longest <= positions,
        "lengths: {longest} tokens are more than the {positions} positions of {}: leave out the longest",
        loaded.name
    );
    let study = Study { study: study.clone(), form, loaded, texts };
    study.windows().at("lengths: the longest is too long for texts")?;
    Ok(study)
}

/// Returns the longest context of a study, in tokens.
fn longest(study: &ProfileStudy) -> usize {
    study.lengths.iter().copied().max().unwrap_or(0)
}

/// Measures the missing rows of a study. Returns the keys of all its rows in order. One pass over a text
/// serves all lengths.
///
/// # Errors
/// Returns an error if the model fails.
pub(super) fn measure(
    study: &Study,
    rows: &Mutex<Journal<HeadRow>>,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let windows = study.windows()?;
    let order: Vec<Vec<String>> = windows.iter().map(|window| study.keys(window)).collect();
    let lacks = |i: &usize| order[*i].iter().any(|key| !locked(rows).contains(key));
    let lacking: Vec<usize> = (0..windows.len()).filter(lacks).collect();
    let steps = Work::steps(progress, &format!("{} {}", study.study.name, study.loaded.name), lacking.len());
    for i in lacking {
        let entropies = profile::measure(&study.loaded, &windows[i..=i], "", &Silent)?;
        let mut journal = locked(rows);
        for row in study.rows_of(&windows[i], &entropies) {
            if !journal.contains(&row.key()) {
                journal.append(row)?;
            }
        }
        steps.advance();
    }
    steps.finish();
    Ok(order.concat())
}

impl Study {
    /// The rows of one text, in the order of lengths, layers and heads.
    fn rows_of(&self, window: &Window, entropies: &Entropies) -> Vec<HeadRow> {
        let config = self.loaded.config();
        let (heads, group) = (config.num_attention_heads, config.group_size());
        let mut rows = Vec::new();
        for &context in &self.study.lengths {
            let bits = entropies.mean(context, self.study.queries);
            let ratios = entropies.mean_normalised(context, self.study.queries);
            rows.extend(bits.into_iter().zip(ratios).enumerate().map(|(i, (bits, ratio))| HeadRow {
                kv_head: Some(i % heads / group),
                entropy_bits: Some(bits),
                normalised_entropy: Some(ratio),
                ..self.row(window, context, i)
            }));
        }
        rows
    }

    /// What the row of a head says it is of.
    fn row(&self, window: &Window, context: usize, index: usize) -> HeadRow {
        let heads = self.loaded.config().num_attention_heads;
        HeadRow {
            study: self.study.name.clone(),
            model: self.loaded.name.clone(),
            form: self.form,
            text: window.name.clone(),
            register: window.register.clone(),
            queries: self.study.queries,
            context,
            layer: index / heads,
            head: index % heads,
            ..HeadRow::default()
        }
    }

    /// Returns the keys of the rows of one text, in the same order.
    fn keys(&self, window: &Window) -> Vec<String> {
        let of_length = |&context: &usize| (0..self.heads()).map(move |i| self.row(window, context, i).key());
        self.study.lengths.iter().flat_map(of_length).collect()
    }
}

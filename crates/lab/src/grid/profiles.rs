//! A [`ProfileJob`] measures the entropies of heads over texts, at several context lengths.

use std::sync::Mutex;

use bitkv_models::LoadedModel;
use bitkv_progress::{Progress, Silent, Work};
use bitkv_record::{
    FileHash, Form, HeadRow, Journal, ListedModel, ProfileStudy, Row, Text, Texts, check_row,
};

use super::{
    check_cancelled, in_parallel::locked, loaded_models::LoadedModels, reused::Reused, selection::Selection,
    sources::read_texts,
};
use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, ensure},
    profile::{self, Entropies},
    text_use::TextUse,
    weights::weight_kind,
    window::Window,
};

/// A profile study on one model. It is checked before anything is computed.
pub struct ProfileJob {
    study: ProfileStudy,
    form: Form,
    loaded: std::sync::Arc<LoadedModel>,
    texts: Texts,
    text_use: TextUse,
}

impl ProfileJob {
    /// Returns the number of rows: one per length, text and head.
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
        windows(&self.study, &self.loaded, &self.texts)
    }

    /// Returns the names of the texts, in their order.
    pub(super) fn text_names(&self) -> Vec<String> {
        self.texts.all().iter().map(|text| text.entry.name.clone()).collect()
    }

    /// Returns the longest context, in tokens.
    pub(super) fn longest(&self) -> usize {
        longest(&self.study)
    }

    /// Returns how much of the texts is read at the longest length.
    pub(super) fn text_use(&self) -> &TextUse {
        &self.text_use
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
/// Returns an error if a model cannot be opened, or if a text is shorter than the longest length.
pub(super) fn profile_jobs(
    selection: &Selection<'_>,
    models: &mut LoadedModels<'_>,
    hashes: &mut Vec<FileHash>,
) -> Result<Vec<ProfileJob>> {
    selection.jobs_per_model(
        "profile",
        &selection.definition.profiles,
        |study| (&study.name, &study.models, &study.forms),
        |job: &ProfileJob| (&job.loaded.name, Some(&job.loaded)),
        |study, model, form| {
            let texts = read_texts(&study.texts)?;
            hashes.extend(texts.hashes());
            checked_job(study, model, form, texts, models)
        },
    )
}

fn checked_job(
    study: &ProfileStudy,
    model: &ListedModel,
    form: Form,
    texts: Texts,
    models: &mut LoadedModels<'_>,
) -> Result<ProfileJob> {
    let loaded = models.open(model, form).at("models")?;
    let (longest, positions) = (longest(study), loaded.config().max_position_embeddings);
    ensure!(
        Definition,
        longest <= positions,
        "lengths: {longest} tokens are more than the {positions} positions of {}: write {positions} or fewer",
        loaded.name
    );
    let text_use = TextUse::new(&study.name, &loaded.name, "texts", &windows(study, &loaded, &texts)?);
    Ok(ProfileJob { study: study.clone(), form, loaded, texts, text_use })
}

/// Returns the tokens of every text, at the longest length of a study.
fn windows(study: &ProfileStudy, loaded: &LoadedModel, texts: &Texts) -> Result<Vec<Window>> {
    let all: Vec<&Text> = texts.all().iter().collect();
    Window::all(loaded, &all, longest(study)).at("lengths")
}

/// Returns the longest context of a study, in tokens.
fn longest(study: &ProfileStudy) -> usize {
    study.lengths.iter().copied().max().unwrap_or(0)
}

/// Measures the missing rows of a study on its `own` texts. Returns the keys of all rows of each own text, in
/// order. One pass over a text serves all lengths. If the model fails on a text, its rows are left out, and
/// `failures` gets a sentence.
///
/// # Errors
/// Returns an error if a row cannot be written.
pub(super) fn measure(
    job: &ProfileJob,
    own: &[bool],
    rows: &Mutex<Journal<HeadRow>>,
    reused: &Reused,
    failures: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<Vec<Vec<String>>> {
    let windows = job.windows()?.into_iter().zip(own).filter(|(_, own)| **own);
    let windows: Vec<Window> = windows.map(|(window, _)| window).collect();
    let mut order: Vec<Vec<String>> = windows.iter().map(|window| job.keys(window)).collect();
    order.iter().flatten().try_for_each(|key| reused.take_over(&reused.heads, key, rows))?;
    let lacks_rows = |i: &usize| order[*i].iter().any(|key| !locked(rows).contains(key));
    let unfinished: Vec<usize> = (0..windows.len()).filter(lacks_rows).collect();
    let steps = Work::steps(progress, &format!("{} {}", job.study.name, job.loaded.name), unfinished.len());
    for i in unfinished {
        check_cancelled(progress)?;
        let measured = match job.measured_rows(&windows[i]) {
            Ok(measured) => measured,
            Err(error) => {
                let (study, model) = (&job.study.name, &job.loaded.name);
                failures.push(format!("{study}, {model} on {}: {error}", windows[i].name));
                let journal = locked(rows);
                order[i].retain(|key| journal.contains(key));
                continue;
            }
        };
        let mut journal = locked(rows);
        for row in measured {
            if !journal.contains(&row.key()) {
                journal.append(row)?;
            }
        }
        steps.advance();
    }
    steps.finish();
    Ok(order)
}

impl ProfileJob {
    /// Measures the rows of one text.
    fn measured_rows(&self, window: &Window) -> Result<Vec<HeadRow>> {
        let entropies = profile::measure(&self.loaded, std::slice::from_ref(window), "", &Silent)?;
        let rows = self.text_rows(window, &entropies);
        for row in &rows {
            check_row(row).refuse(Error::Unfit, format!("layer {}, head {}", row.layer, row.head))?;
        }
        Ok(rows)
    }

    /// Returns the rows of one text, in the order of lengths, layers and heads.
    fn text_rows(&self, window: &Window, entropies: &Entropies) -> Vec<HeadRow> {
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
                ..self.base_row(window, context, i)
            }));
        }
        rows
    }

    /// Returns the row of a head without results. `index` counts the query heads of all layers.
    fn base_row(&self, window: &Window, context: usize, index: usize) -> HeadRow {
        let heads = self.loaded.config().num_attention_heads;
        HeadRow {
            study: self.study.name.clone(),
            model: self.loaded.name.clone(),
            weights: Some(weight_kind(&self.loaded)),
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
        let length_keys =
            |&context: &usize| (0..self.heads()).map(move |i| self.base_row(window, context, i).key());
        self.study.lengths.iter().flat_map(length_keys).collect()
    }
}

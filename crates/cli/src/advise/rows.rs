//! Finds the rows from which `bitkv advise` chooses.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use bitkv_lab::memory::parameters;
use bitkv_models::{Shape, built_in_name, find_config};
use bitkv_report::{
    RecordedRun, Run,
    advice::{
        Attention, MeasuredModel, RunRows, built_in, nearest,
        sentences::{self, Question},
    },
};

use super::Arguments;
use crate::output;

/// The model of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// The user's model.
    Own,
    /// The built-in model that is most like it.
    Nearest(Attention),
    /// The only model of the runs that were named.
    OnlyOne,
}

impl Origin {
    /// Returns the sentence that says whose rows they are; `None` if they are the model's own.
    pub(super) fn sentence(self, question: &Question<'_>) -> Option<String> {
        match self {
            Origin::Own => None,
            Origin::Nearest(attention) => Some(sentences::other_model(question, attention)),
            Origin::OnlyOne => Some(format!(
                "--from has no rows of {}: the quality is that of {}.",
                question.model, question.measured.model
            )),
        }
    }
}

/// The rows that decide, and whose they are.
pub(super) struct Found {
    pub(super) measured: MeasuredModel,
    pub(super) origin: Origin,
}

/// Returns the rows of the model: those of `--from`, or those that are compiled in.
pub(super) fn find(arguments: &Arguments, shape: &Shape) -> Result<Found> {
    match arguments.from.is_empty() {
        true => compiled(arguments, shape),
        false => from_runs(arguments, shape),
    }
}

/// Returns the rows of a built-in model: the model itself, or the nearest one.
fn compiled(arguments: &Arguments, shape: &Shape) -> Result<Found> {
    let mut models = built_in()?;
    let is_built_in = built_in_name(&arguments.model)
        .is_some_and(|name| name == arguments.model || !Path::new(&arguments.model).exists());
    let runs_as_measured = is_built_in && arguments.reading.loading().activation.is_none();
    if let Some(own) = models.iter().position(|model| runs_as_measured && model.model == shape.name) {
        return Ok(Found { measured: models.swap_remove(own), origin: Origin::Own });
    }
    let attention = |model: &MeasuredModel| {
        let config = find_config(&model.model)?;
        Ok(Attention { group_size: config.group_size(), parameters: parameters(&config) })
    };
    let measured = models.iter().map(attention).collect::<Result<Vec<_>>>()?;
    let config = &shape.config;
    let own = Attention { group_size: config.group_size(), parameters: parameters(config) };
    match nearest(own, &measured) {
        Some(i) => Ok(Found { measured: models.swap_remove(i), origin: Origin::Nearest(measured[i]) }),
        None => bail!("no measurements are compiled in: name a finished run with --from"),
    }
}

/// Returns the rows of the runs that `--from` names: those of the model, or of the only model that they have.
fn from_runs(arguments: &Arguments, shape: &Shape) -> Result<Found> {
    let recorded = arguments.from.iter().map(|folder| RecordedRun::read(folder));
    let recorded = recorded.collect::<Result<Vec<_>, _>>()?;
    recorded.iter().for_each(|recorded| output::notes(&recorded.notes));
    let runs: Vec<RunRows> = recorded.iter().map(RecordedRun::run).map(run_rows).collect();
    let mut names: Vec<&str> = runs.iter().flat_map(|run| run.rows).map(|row| row.model.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    ensure!(!names.is_empty(), "--from names no run with an [[experiment]]: name one that compares policies");
    let (name, origin) = match names.as_slice() {
        names if names.contains(&shape.name.as_str()) => (shape.name.as_str(), Origin::Own),
        [only] => (*only, Origin::OnlyOne),
        several => bail!(
            "--from has rows of {}, and none of {}: name a run of {} or of one model",
            several.join(", "),
            shape.name,
            shape.name
        ),
    };
    let measured = MeasuredModel::from_runs(name, &runs, arguments.context);
    output::notes(&measured.notes);
    Ok(Found { measured, origin })
}

/// Returns what advice reads of a run.
fn run_rows(run: Run<'_>) -> RunRows<'_> {
    RunRows { rows: run.rows, timings: run.timings, texts: &run.manifest.texts }
}

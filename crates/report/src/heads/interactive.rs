//! The scores of every head, for the script of a page.

use super::bounds::BOUNDS;
use super::figures;
use super::model::{ModelProfiles, model_profiles};
use super::view::{View, matrix, mean_of};
use crate::colour;
use crate::page::charts;
use crate::page::data::{ChartData, HeadsData, HeadsModel, HeadsView, rounded};
use crate::{Run, unique};
use bitkv_record::{HeadClass, HeadRow, Named, ProfileStudy};
use bitkv_stats::Summary;

/// The scores, in the order of each view.
const SCORES: [&str; 4] =
    ["attention entropy, bits", "H / log2 n", "lowest text, bits", "standard deviation over texts, bits"];

/// The number of steps between the colours of a map.
const PALETTE: u8 = 32;

/// Returns the map of heads and the chart against context length of every measured profile study.
pub(crate) fn interactive(run: &Run<'_>) -> Vec<(HeadsData, ChartData)> {
    let measured = |study: &&ProfileStudy| run.heads.iter().any(|row| row.study == study.name);
    let data = |study: &ProfileStudy| {
        let models = model_profiles(run, study);
        let chart = charts::joined(
            format!("{}: entropy against context length", study.name),
            "Each point is a mean over the heads of a model, with the 95 % interval over texts.".to_owned(),
            vec![("all models".to_owned(), figures::charts(&models))],
        );
        (heads(&study.name, &models), chart)
    };
    run.definition.profiles.iter().filter(measured).map(data).collect()
}

/// Returns the map of one study.
fn heads(study: &str, models: &[ModelProfiles<'_>]) -> HeadsData {
    let bounds = BOUNDS.map(|(name, t)| (name, [t.sink, t.focused, t.moderate, t.mixed]));
    HeadsData {
        title: format!("{study}: every head"),
        scores: SCORES.to_vec(),
        bounds: bounds.to_vec(),
        palette: (0..=PALETTE).map(|i| colour::scale(f64::from(i) / f64::from(PALETTE))).collect(),
        classes: HeadClass::ALL.iter().map(|class| class.name().to_owned()).collect(),
        models: models.iter().map(model).collect(),
    }
}

/// Returns the heads of one model at every context length.
fn model(model: &ModelProfiles<'_>) -> HeadsModel {
    let view = |view: &View| match view.context {
        Some(context) => {
            let rows: Vec<&HeadRow> =
                model.rows.iter().filter(|row| row.context == context).copied().collect();
            measured(context, &rows)
        }
        None => HeadsView {
            name: "published".to_owned(),
            texts: 0,
            kv_heads: Vec::new(),
            scores: vec![view.matrix.clone()],
        },
    };
    HeadsModel { name: model.name.clone(), views: model.views.iter().map(view).collect() }
}

/// Returns the scores at one context length.
fn measured(context: usize, rows: &[&HeadRow]) -> HeadsView {
    let entropy = matrix(rows.iter().map(|row| (row.layer, row.head, row.entropy_bits)), mean_of);
    let normalised = matrix(rows.iter().map(|row| (row.layer, row.head, row.normalised_entropy)), mean_of);
    let lowest = matrix(rows.iter().map(|row| (row.layer, row.head, row.entropy_bits)), lowest);
    let spread = matrix(rows.iter().map(|row| (row.layer, row.head, row.entropy_bits)), deviation);
    let kv_heads = rows.iter().map(|row| (row.layer, row.head, row.kv_head.map(|head| head as f64)));
    let heads_of_row =
        |row: Vec<Option<f64>>| row.into_iter().map(|head| head.map(|head| head as usize)).collect();
    let kv_heads = matrix(kv_heads, mean_of).into_iter().map(heads_of_row).collect();
    HeadsView {
        name: format!("{context} tokens"),
        texts: unique(rows.iter().map(|row| row.text.as_str())).len(),
        kv_heads,
        scores: [entropy, normalised, lowest, spread].map(shortened).to_vec(),
    }
}

/// Returns the lowest value of a head over texts.
fn lowest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

/// Returns the standard deviation of the values of a head over texts.
fn deviation(values: &[f64]) -> Option<f64> {
    Summary::new(values).filter(|_| values.len() > 1).map(|summary| summary.std)
}

/// Returns the scores with the digits that a page has.
fn shortened(scores: Vec<Vec<Option<f64>>>) -> Vec<Vec<Option<f64>>> {
    let row = |row: Vec<Option<f64>>| row.into_iter().map(|value| value.map(rounded)).collect();
    scores.into_iter().map(row).collect()
}

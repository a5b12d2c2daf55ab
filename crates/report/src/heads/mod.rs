//! The part of a report about attention entropy: classes, statistics, dependence on length, and transfer between texts.

mod figures;
mod tables;
#[cfg(test)]
mod tests;
mod transfer;
mod view;

use crate::Run;
use crate::blocks::{drawn, mapped, paragraphs};
use crate::document::Block;
use crate::published::published_entropies;
use crate::unique::unique;
use bitkv_record::{ClaimId, HeadRow, ProfileStudy, Thresholds};
use view::View;

/// The two published sets of class bounds, with the names used in tables.
const BOUNDS: [(&str, Thresholds); 2] =
    [("code: 0.5/1.5/3.0/4.0", Thresholds::CODE), ("printed: 0.5/1.5/2.5/3.5", Thresholds::PRINTED)];
/// Bits below which a head counts as a sink or as focused, under both sets of bounds.
const FOCUSED_BITS: f64 = 1.5;
const NOTE: &str = "Means over the heads of a model; n is the number of keys a query sees.";
const HEAT_MAP_NOTE: &str = "Bright is diffuse, dark is focused; all maps of this report have one scale.";

/// The profiles of one model in a study.
struct Model<'a> {
    name: String,
    /// Measured profiles by rising context; the published one alone where the model is a published one.
    views: Vec<View>,
    rows: Vec<&'a HeadRow>,
}

impl Model<'_> {
    /// The profile with the longest context, which is shown in full.
    fn foremost(&self) -> Option<&View> {
        self.views.last()
    }
}

/// The part of the heads below 1.5 bits.
pub(crate) fn below(bits: &[f64]) -> f64 {
    bits.iter().filter(|&&b| b < FOCUSED_BITS).count() as f64 / bits.len().max(1) as f64
}

/// The models of a study, and before them the published ones where a claim is about them.
fn models<'a>(run: &Run<'a>, study: &ProfileStudy) -> Vec<Model<'a>> {
    let mut models = Vec::new();
    if run.definition.claims.contains(&ClaimId::Heads) {
        models.extend(published_entropies().iter().map(|profile| Model {
            name: profile.model.to_owned(),
            views: vec![View::published(profile)],
            rows: Vec::new(),
        }));
    }
    let rows: Vec<&HeadRow> = run.heads.iter().filter(|row| row.study == study.name).collect();
    for name in unique(rows.iter().map(|row| row.model.as_str())) {
        let own: Vec<&HeadRow> = rows.iter().filter(|row| row.model == name).copied().collect();
        let mut contexts = unique(own.iter().map(|row| row.context));
        contexts.sort_unstable();
        let view = |context: usize| {
            let at: Vec<&HeadRow> = own.iter().filter(|row| row.context == context).copied().collect();
            View::of(&study.name, context, &at, run.manifest.seed)
        };
        let views = contexts.into_iter().map(view).collect();
        models.push(Model { name: name.to_owned(), views, rows: own });
    }
    models
}

/// Everything about the profiles of a run.
pub(crate) fn blocks(run: &Run<'_>) -> Vec<Block> {
    let measured = |study: &&ProfileStudy| run.heads.iter().any(|row| row.study == study.name);
    run.definition.profiles.iter().filter(measured).flat_map(|study| of_study(run, study)).collect()
}

fn of_study(run: &Run<'_>, study: &ProfileStudy) -> Vec<Block> {
    let models = models(run, study);
    let mut blocks = vec![Block::Heading(2, format!("Profile {}", study.name))];
    blocks.extend(study.analysis.as_deref().into_iter().flat_map(paragraphs));
    let lengths = models.iter().filter_map(|model| tables::lengths(&study.name, model));
    let mut all = vec![tables::classes(&models), tables::statistics(&models)];
    all.extend(lengths);
    all.extend(models.iter().flat_map(|model| transfer::tables(&study.name, model)));
    blocks.extend(all.into_iter().filter(|table| !table.is_empty()).map(Block::Table));
    blocks.extend(figures::charts(&models).iter().map(|chart| drawn(chart, NOTE)));
    let (maps, others) = figures::heat_maps(&models);
    blocks.push(Block::Text(HEAT_MAP_NOTE.to_owned()));
    blocks.extend(maps.iter().map(mapped));
    if !others.is_empty() {
        let others = others.iter().map(mapped).collect();
        blocks.push(Block::Details("Heat maps at the other context lengths".to_owned(), others));
    }
    blocks
}

/// Of each study one table: the published models, and each measured one at its shortest and longest context.
pub(crate) fn brief(run: &Run<'_>) -> Vec<Block> {
    let tables = run.definition.profiles.iter().map(|study| tables::brief(&models(run, study)));
    tables.filter(|table| !table.is_empty()).map(Block::Table).collect()
}

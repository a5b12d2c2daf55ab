//! The part of a report about attention entropy: classes, statistics, dependence on length, and transfer between texts.

mod bounds;
mod figures;
mod model;
mod tables;
#[cfg(test)]
mod tests;
mod transfer;
mod view;

use crate::Run;
use crate::block::Block;
use crate::block::{drawn, mapped, paragraphs};
use bitkv_record::ProfileStudy;
use model::models;

pub(crate) use bounds::below;

const NOTE: &str = "Means over the heads of a model; n is the number of keys a query sees.";
const HEAT_MAP_NOTE: &str = "Bright is diffuse, dark is focused; all maps of this report have one scale.";

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

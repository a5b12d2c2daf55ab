//! The sections of a report about attention entropy: classes, statistics, dependence on length, and transfer
//! between texts.
//!
//! A [`ModelProfiles`](model::ModelProfiles) has one [`View`](view::View) for each context length of a model.

mod bounds;
mod figures;
mod interactive;
mod model;
mod tables;
mod transfer;
mod view;

use crate::Run;
use crate::block::{Block, chart_figure, heat_map_figure, paragraphs};
use bitkv_record::ProfileStudy;
use model::model_profiles;

pub(crate) use bounds::{below, count_below};
pub(crate) use interactive::interactive;

const NOTE: &str =
    "Each point is a mean over the heads of a model; n is the number of keys that a query sees.";
const HEAT_MAP_NOTE: &str =
    "Bright heads are diffuse, dark heads are focused. All maps of this report have the same scale.";

/// Returns the sections about the profile studies of a run.
pub(crate) fn blocks(run: &Run<'_>) -> Vec<Block> {
    studies(run).into_iter().flat_map(|(_, blocks)| blocks).collect()
}

/// Returns the name and the section of each measured profile study.
pub(crate) fn studies(run: &Run<'_>) -> Vec<(String, Vec<Block>)> {
    let measured = |study: &&ProfileStudy| run.heads.iter().any(|row| row.study == study.name);
    let section = |study: &ProfileStudy| (study.name.clone(), study_blocks(run, study));
    run.definition.profiles.iter().filter(measured).map(section).collect()
}

/// Returns the section of one profile study.
fn study_blocks(run: &Run<'_>, study: &ProfileStudy) -> Vec<Block> {
    let models = model_profiles(run, study);
    let mut blocks = vec![Block::Heading(2, format!("Profile {}", study.name))];
    blocks.extend(study.analysis.as_deref().into_iter().flat_map(paragraphs));
    let lengths = models.iter().filter_map(|model| tables::lengths(&study.name, model));
    let mut all = vec![tables::classes(&models), tables::statistics(&models)];
    all.extend(lengths);
    all.extend(models.iter().flat_map(|model| transfer::tables(&study.name, model)));
    blocks.extend(all.into_iter().filter(|table| !table.is_empty()).map(Block::Table));
    blocks.extend(figures::charts(&models).iter().map(|chart| chart_figure(chart, NOTE)));
    let (maps, others) = figures::heat_maps(&models);
    blocks.push(Block::Text(HEAT_MAP_NOTE.to_owned()));
    blocks.extend(maps.iter().map(heat_map_figure));
    if !others.is_empty() {
        let others = others.iter().map(heat_map_figure).collect();
        blocks.push(Block::Details("Heat maps at the other context lengths".to_owned(), others));
    }
    blocks
}

/// Returns one table per study: the published models, and each measured model at the published and at its
/// longest context.
pub(crate) fn brief(run: &Run<'_>) -> Vec<Block> {
    let tables =
        run.definition.profiles.iter().map(|study| tables::brief(&study.name, &model_profiles(run, study)));
    tables.filter(|table| !table.is_empty()).map(Block::Table).collect()
}

#[cfg(test)]
mod tests {
    use super::model::ModelProfiles;
    use super::*;
    use crate::HeatMap;
    use bitkv_record::HeadRow;
    use bitkv_record::{Definition, Machine, Manifest};

    const DEFINITION: &str = r#"
    analysis = "Refuted if not."
    claims = ["heads"]
    [[profile]]
    name = "calibration"
    models = ["m"]
    texts = "calibration"
    lengths = [16, 64, 32]
    "#;

    /// Returns the rows of one layer of heads with these entropies, on one text.
    fn rows(context: usize, entropies: &[Option<f64>]) -> Vec<HeadRow> {
        let row = |(head, entropy_bits): (usize, &Option<f64>)| HeadRow {
            study: "calibration".into(),
            model: "m".into(),
            context,
            text: "a".into(),
            layer: 0,
            head,
            entropy_bits: *entropy_bits,
            normalised_entropy: Some(0.5),
            ..HeadRow::default()
        };
        entropies.iter().enumerate().map(row).collect()
    }

    /// Calls `make` with a small run and its profiles; the published models are first.
    fn with_small_run<T>(make: impl Fn(&Run<'_>, &[ModelProfiles<'_>]) -> T) -> T {
        let definition = Definition::from_toml(DEFINITION, "d.toml").unwrap();
        let heads = [
            rows(16, &[Some(0.2), Some(1.0), Some(2.0), Some(2.2)]),
            rows(64, &[Some(0.8), Some(2.0), Some(2.7), Some(5.5)]),
            rows(32, &[Some(0.4), Some(2.0), Some(2.7), None]),
        ]
        .concat();
        let manifest = Manifest {
            format: 2,
            bitkv_version: "0.1.0".into(),
            revision: "abc123".into(),
            dirty: false,
            command: vec!["bitkv".into()],
            started: "2026-01-02T03:04:05Z".into(),
            seconds: 2.0,
            machine: Machine { cpu: "a processor".into(), cores: 2, simd: vec![] },
            threads: 1,
            seed: 7,
            models: vec![],
            texts: vec![],
            options: Default::default(),
            files: vec![],
            shard: None,
        };
        let (definition, manifest, heads) = (&definition, &manifest, &heads[..]);
        let run = Run { definition, manifest, rows: &[], timings: &[], heads, memory: &[], folder: None };
        make(&run, &model_profiles(&run, &definition.profiles[0]))
    }

    #[test]
    fn both_bounds_are_counted_at_the_longest_context_only() {
        let text = with_small_run(|_, models| tables::classes(models)).to_markdown();
        assert!(
            text.contains("| calibration-64 | 64 | code: 0.5/1.5/3.0/4.0 | 4 | 0 | 1 | 2 | 0 | 1 | 25.0 |"),
            "{text}"
        );
        assert!(
            text.contains(
                "| calibration-64 | 64 | printed: 0.5/1.5/2.5/3.5 | 4 | 0 | 1 | 1 | 1 | 1 | 25.0 |"
            ),
            "{text}"
        );
        assert!(!text.contains("calibration-16") && !text.contains("calibration-32"));
        assert_eq!(text.matches("as published").count(), 2, "published figures are shown once per model");
        assert!(
            text.contains("BitNet-b1.58-2B-4T, published entropies, recounted: 21 of 600 heads have no"),
            "{text}"
        );
        assert!(
            text.contains("| published entropies, recounted | - | code: 0.5/1.5/3.0/4.0 | 600 | 21 | 50 |"),
            "{text}"
        );
    }

    #[test]
    fn entropies_at_different_lengths_are_described_as_in_the_documentation() {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let document = words(include_str!("../../../docs/METRICS.md"));
        assert!(document.contains(tables::LENGTHS), "docs/METRICS.md lacks: {}", tables::LENGTHS);
    }

    #[test]
    fn one_table_has_the_contexts_by_rising_length() {
        let found = with_small_run(|_, models| {
            models.iter().filter_map(|m| tables::lengths("s", m)).collect::<Vec<_>>()
        });
        assert_eq!(found.len(), 1, "published profiles have no lengths");
        let text = found[0].to_markdown();
        let position = |row: &str| text.find(row).unwrap_or_else(|| panic!("{row} in {text}"));
        let positions = ["| 16 | 1.350 |", "| 32 | 1.700 |", "| 64 | 2.750 |"].map(position);
        assert!(positions.is_sorted(), "{positions:?}");
        assert!(text.contains("| 0.500 | 1 | 1 | 2 | 0 | 0 | 50.0 |"), "{text}");
        assert!(
            text.contains("| 32 | 1.700 | - | - | - | - | 0.500 |"),
            "an unknown head leaves no statistics: {text}"
        );
    }

    #[test]
    fn maps_of_shorter_contexts_are_separate() {
        let (maps, others) = with_small_run(|_, models| figures::heat_maps(models));
        let titles = |maps: &[HeatMap]| maps.iter().map(|map| map.title.clone()).collect::<Vec<_>>();
        assert_eq!(
            titles(&maps),
            [
                "bitnet_b1_58-large: attention entropy, published",
                "BitNet-b1.58-2B-4T: attention entropy, published",
                "m: attention entropy, calibration-64"
            ]
        );
        assert_eq!(others.len(), 2);
        assert!(maps.iter().chain(&others).all(|map| map.maximum == 6.0), "one scale");
        let charts = with_small_run(|_, models| figures::charts(models));
        assert_eq!((charts[0].series.len(), charts[0].series[0].label.as_str()), (1, "m"));
    }

    #[test]
    fn a_terminal_shows_the_published_and_the_longest_context() {
        // The small run has the contexts 16, 32 and 64; the test gives them other lengths.
        let text = |contexts: [usize; 3]| {
            with_small_run(|run, _| {
                assert_eq!(brief(run).len(), 1);
                let mut models = model_profiles(run, &run.definition.profiles[0]);
                let views = &mut models.last_mut().unwrap().views;
                views.iter_mut().zip(contexts).for_each(|(view, context)| view.context = Some(context));
                tables::brief("s", &models).to_markdown()
            })
        };
        let shown = |contexts: [usize; 3]| {
            let text = text(contexts);
            contexts
                .into_iter()
                .filter(|context| text.contains(&format!("| m | {context} |")))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown([16, 64, 512]), [64, 512]);
        assert_eq!(shown([16, 32, 64]), [64]);
        assert_eq!(shown([16, 32, 512]), [16, 512], "without a profile at 64 tokens");
        let text = text([16, 64, 512]);
        assert!(text.contains("s: heads by class, bounds of the published code"), "{text}");
        assert!(text.contains("published, bitnet"), "{text}");
    }
}

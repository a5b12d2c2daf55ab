//! The committed points, and what is written about them.

use std::{fs, path::PathBuf};

use bitkv_report::splice;
use bitkv_scaling::{
    BITNET_2B, Overheads, Point, TOLERANCE, TYPICAL, measured_tables, project_study, read_points, validate,
};

const REMEDY: &str = "run `cargo run --release -p bitkv-scaling results/scaling/points.csv`";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn committed_points_are_predicted_within_the_tolerance() {
    let path = repository().join("results/scaling/points.csv");
    if !path.exists() {
        eprintln!(
            "skipped: results/scaling/points.csv does not exist; experiments/scaling/measure.sh writes it"
        );
        return;
    }
    let checks = validate(&read_points(&path).unwrap());
    assert!(checks.iter().any(|check| check.decides()), "no run is predicted: measure 2 and 8 shards too");
    for check in checks.iter().filter(|check| check.decides()) {
        assert!(check.relative_error.abs() <= TOLERANCE, "{check:?}");
    }
}

/// Returns the committed points, if any were measured, and the overheads that follow from them.
fn committed() -> (Vec<Point>, Overheads) {
    let path = repository().join("results/scaling/points.csv");
    let points = if path.exists() { read_points(&path).unwrap() } else { Vec::new() };
    let overheads = Overheads::fit(&points);
    (points, overheads)
}

#[test]
fn the_document_has_the_tables_of_the_committed_points() {
    let (points, overheads) = committed();
    let document = fs::read_to_string(repository().join("docs/SCALING.md")).unwrap();
    for (name, table) in measured_tables(&points, &validate(&points), &TYPICAL, &overheads) {
        assert!(splice(&document, name, &table).unwrap() == document, "{name}: {REMEDY}");
    }
}

#[test]
fn the_committed_projections_are_those_of_the_committed_points() {
    // All projections would take a minute; one study has every pass and number of nodes.
    let mut writer = csv::Writer::from_writer(Vec::new());
    for projection in project_study(BITNET_2B, 16_384, &TYPICAL, &committed().1) {
        writer.serialize(projection).unwrap();
    }
    let due = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    let file = fs::read_to_string(repository().join("results/scaling/projection.csv")).unwrap();
    for line in due.lines() {
        assert!(file.lines().any(|committed| committed == line), "{line} is not in projection.csv: {REMEDY}");
    }
}

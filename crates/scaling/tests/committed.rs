//! The committed points, and what is written about them.

use std::{fs, path::PathBuf};

use bitkv_scaling::{Overheads, TOLERANCE, TYPICAL, project, read_points, splice, tables, validate};

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

#[test]
fn the_document_has_the_tables_of_the_committed_points() {
    let path = repository().join("results/scaling/points.csv");
    let points = if path.exists() { read_points(&path).unwrap() } else { Vec::new() };
    let overheads = Overheads::fit(&points);
    let projections = project(&TYPICAL, &overheads);
    let document = fs::read_to_string(repository().join("docs/SCALING.md")).unwrap();
    let mut due = document.clone();
    for (name, table) in tables(&points, &validate(&points), &projections, &TYPICAL, &overheads) {
        due = splice(&due, name, &table).unwrap();
    }
    assert!(due == document, "run `cargo run --release -p bitkv-scaling results/scaling/points.csv`");
}

//! `docs/POLICIES.md` lists every method and every preset, and nothing else.

use std::{collections::BTreeSet, path::Path};

use bitkv_evict::{PolicyKind, Registry};

/// Returns the first `count` cells, which are code, of each row of a section's table.
fn rows(section: &str, count: usize) -> BTreeSet<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/POLICIES.md");
    let text = std::fs::read_to_string(path).unwrap();
    let start = text.split(&format!("\n## {section}\n")).nth(1).unwrap();
    let table = start.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| {
        let cells = line.split(" | ").take(count);
        cells.map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned()).collect::<Vec<_>>()
    };
    let rows: Vec<_> = table.map(cells).collect();
    let all: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(all.len(), rows.len(), "a row of {section} is listed twice");
    all
}

#[test]
fn every_method_is_documented_in_its_table() {
    for (section, kind) in
        [("Scorers", PolicyKind::Scorer), ("Allocators", PolicyKind::Allocator), ("Rules", PolicyKind::Rule)]
    {
        let listed = Registry::standard().listings().into_iter().filter(|listing| listing.kind == kind);
        let listed: BTreeSet<_> = listed.map(|listing| vec![listing.name.to_owned()]).collect();
        assert_eq!(rows(section, 1), listed, "run `bitkv list policies --splice docs/POLICIES.md`");
    }
}

#[test]
fn every_preset_is_documented_with_its_specification() {
    let registry = Registry::standard();
    let listed = registry.presets().iter().map(|preset| vec![preset.name.to_owned(), preset.spec.to_owned()]);
    assert_eq!(rows("Presets", 2), listed.collect());
}

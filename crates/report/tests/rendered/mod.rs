//! Renders reports of a definition and its rows, and looks for their parts.

use bitkv_record::{Definition, GridRow, Machine, Manifest, TimingRow};
use bitkv_report::Run;

/// Returns a manifest. Only its seed affects the reports of these rows.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        format: 2,
        bitkv_version: "0.1.0".into(),
        revision: "abc123".into(),
        dirty: false,
        command: vec!["bitkv".into(), "run".into(), "first.toml".into()],
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
    }
}

/// Renders a report and checks that it contains no number that is not finite.
pub(crate) fn render_rows(
    definition: &str,
    rows: &[GridRow],
    timings: &[TimingRow],
    render: fn(&Run<'_>) -> String,
) -> String {
    let definition = Definition::from_toml(definition, "first.toml").unwrap();
    let manifest = manifest();
    let text = render(&Run {
        definition: &definition,
        manifest: &manifest,
        rows,
        timings,
        heads: &[],
        memory: &[],
        folder: Some("runs/x"),
    });
    // The program of a page, which is at its end, has such words.
    let content = text.rsplit_once("<script>").map_or(&*text, |(content, _)| content);
    assert!(!content.contains("NaN") && !content.contains("inf "), "{text}");
    text
}

/// Panics unless `text` contains the parts in this order.
pub(crate) fn in_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at = text[from..].find(part).unwrap_or_else(|| panic!("{part} after byte {from} in\n{text}"));
        from += at + part.len();
    }
}

/// Returns the rest of a report, from a caption to its end.
pub(crate) fn after<'a>(text: &'a str, caption: &str) -> &'a str {
    &text[text.find(caption).unwrap_or_else(|| panic!("{caption} in\n{text}"))..]
}

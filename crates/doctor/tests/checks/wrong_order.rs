//! Codes that an engine decoded or wrote with a wrong map or in a wrong order.

use bitkv_doctor::{Finding, Severity};

use crate::{
    engine::{HIGH_FIRST, Map, NEIGHBOURS, Place, QUARTERS, RIGHT, ROWS, ZERO_FIRST, decode, encode},
    model::{Files, NAMES, named, only, packed, says, values},
};

/// Returns the findings for a model that an engine decoded wrongly and that was then written correctly, and
/// for a model that the converter of that engine wrote.
fn engine_findings(name: &str, map: Map, place: Place) -> [Vec<Finding>; 2] {
    let mut decoded = Files::new(name);
    decoded.change_packed(|bytes, rows, cols| packed(&decode(bytes, rows, cols, map, place), rows, cols));
    let mut written = Files::new(name);
    written.change_packed(|bytes, rows, cols| encode(&values(bytes, rows, cols), rows, cols, map, place));
    [decoded, written].map(|files| files.findings())
}

/// Asserts that exactly these checks find faults, except for perplexity: any of these faults can cause a bad
/// one.
#[track_caller]
fn faults(findings: &[Finding], expected: &[&str]) {
    let faults: Vec<_> =
        named(findings, Severity::Fault).into_iter().filter(|f| *f != "perplexity").collect();
    assert_eq!(faults, expected, "{findings:#?}");
}

#[test]
fn a_wrong_map_is_named() {
    for name in NAMES {
        let [decoded, written] = engine_findings(name, ZERO_FIRST, QUARTERS);
        for (findings, done) in
            [(&decoded, "was decoded with the map"), (&written, "were packed with the map")]
        {
            faults(findings, &["decode-map"]);
            says(
                only(findings, "decode-map", Severity::Fault),
                &[done, "00=0, 01=+1, 10=-1", "00=-1, 01=0, 10=+1"],
            );
            says(only(findings, "interleaving", Severity::Note), &["in the order they were trained in"]);
        }
    }
}

#[test]
fn four_neighbours_per_byte_are_named() {
    for name in NAMES {
        let [decoded, written] = engine_findings(name, RIGHT, NEIGHBOURS);
        let (was, holds) = ("unpacked as four neighbours per byte", "each byte holds four neighbours");
        for (findings, done) in [(&decoded, was), (&written, holds)] {
            faults(findings, &["interleaving"]);
            says(only(findings, "interleaving", Severity::Fault), &[done, "rows/4"]);
            only(findings, "decode-map", Severity::Note);
        }
    }
}

#[test]
fn neighbouring_rows_per_byte_are_named() {
    for name in NAMES {
        let [decoded, written] = engine_findings(name, RIGHT, ROWS);
        for (findings, done) in
            [(&decoded, "unpacked as rows 4r+i"), (&written, "neighbouring rows 4r to 4r+3")]
        {
            faults(findings, &["interleaving"]);
            says(only(findings, "interleaving", Severity::Fault), &[done, "rows/4"]);
        }
    }
}

#[test]
fn both_mistakes_at_once_are_named() {
    for name in NAMES {
        for (place, order) in [(NEIGHBOURS, "four neighbours"), (ROWS, "rows 4r")] {
            for findings in engine_findings(name, ZERO_FIRST, place) {
                faults(&findings, &["decode-map", "interleaving"]);
                says(only(&findings, "decode-map", Severity::Fault), &["00=0, 01=+1, 10=-1"]);
                says(only(&findings, "interleaving", Severity::Fault), &[order]);
            }
        }
    }
}

#[test]
fn a_reversed_byte_is_named() {
    for name in NAMES {
        for findings in engine_findings(name, RIGHT, HIGH_FIRST) {
            faults(&findings, &["interleaving"]);
            says(only(&findings, "interleaving", Severity::Fault), &["highest two bits"]);
        }
    }
}

/// The checkpoint contains the output of two converters.
#[test]
fn a_single_matrix_with_a_wrong_map_is_a_warning() {
    let mut files = Files::new("first-gqa");
    let name = "model.layers.1.self_attn.k_proj.weight";
    let tensor = files.tensor(name);
    let (rows, cols) = (4 * tensor.shape[0], tensor.shape[1]);
    tensor.data = packed(&decode(&tensor.data, rows, cols, ZERO_FIRST, QUARTERS), rows, cols);
    let findings = files.findings();
    faults(&findings, &[]);
    says(only(&findings, "decode-map", Severity::Warning), &[name, "1 of 28", "--masters"]);
}

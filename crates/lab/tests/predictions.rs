//! Comparisons of predictions equal those of numpy on random logits.

use bitkv_lab::{logits::Logits, metrics::Reference};
use serde_json::Value;

/// Returns the numbers of a list in the fixture.
fn numbers(fixture: &Value, key: &str) -> Vec<f64> {
    fixture[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// The fixture is made by testdata/predictions/make_fixture.py, which also checks numpy's quantiles against
/// the formula of llama.cpp.
#[test]
fn comparisons_equal_those_of_numpy() {
    let fixture: Value =
        serde_json::from_str(include_str!("../../../testdata/predictions/fixture.json")).unwrap();
    let [full, compressed] = ["full", "compressed"]
        .map(|key| numbers(&fixture, key).into_iter().map(|value| value as f32).collect::<Vec<f32>>());
    let targets: Vec<u32> = numbers(&fixture, "targets").into_iter().map(|value| value as u32).collect();
    let logits = Logits::new(full, fixture["classes"].as_u64().unwrap() as usize);
    let found = Reference::new(&logits, &targets).compare(&[&compressed])[0].unwrap();
    let quantiles = found.kl_quantiles;
    for (name, found) in [
        ("kl", found.kl),
        ("median", quantiles.median),
        ("p90", quantiles.p90),
        ("p95", quantiles.p95),
        ("p99", quantiles.p99),
        ("p999", quantiles.p999),
        ("max", quantiles.max),
        ("agreement", found.agreement),
        ("dp_mean", found.dp_mean),
        ("dp_rms", found.dp_rms),
        ("nll", found.nll),
        ("nll_difference", found.nll_difference),
    ] {
        let expected = fixture["expected"][name].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-10, "{name}: {found}, but numpy has {expected}");
    }
}

//! The published statistics follow from the published entropies of each head.

use std::path::Path;

use bitkv_stats::Summary;

fn entropies(file: &str) -> Vec<f64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/published").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|l| !l.starts_with('#')).skip(1);
    rows.map(|l| l.rsplit(',').next().unwrap())
        .filter(|h| !h.is_empty())
        .map(|h| h.parse().unwrap())
        .collect()
}

#[test]
fn the_large_profile_has_the_published_statistics() {
    let s = Summary::new(&entropies("bitnet_b1_58-large.csv")).unwrap();
    assert_eq!(s.count, 384);
    // The values agree to the last digits with entropy_config.json, whose standard deviation divides by the
    // count.
    assert!((s.mean - 1.541_588_823_079_751_6).abs() < 1e-12);
    assert!((s.std - 0.850_203_177_119_327_8).abs() < 1e-12);
    assert!((s.cv - 0.551_510_989_435_439_1).abs() < 1e-12);
    assert_eq!((s.min, s.max), (0.015_457_816_824_526_549, 3.393_650_469_183_922));
}

#[test]
fn the_heat_map_agrees_with_the_published_range() {
    let known = entropies("bitnet-b1.58-2B-4T.csv");
    assert_eq!(known.len(), 600 - 21);
    let s = Summary::new(&known).unwrap();
    assert_eq!(s.max, 4.1);
    // The unknown heads are in 0..0.5 bits, which brackets the published mean of 2.402.
    let sum = s.mean * 579.0;
    assert!(sum / 600.0 < 2.402 && 2.402 < (sum + 21.0 * 0.5) / 600.0, "{sum}");
}

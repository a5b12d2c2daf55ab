//! The published rules reproduce the published figures from the published entropies of each head.

use std::path::Path;

use bitkv_evict::{
    Budget, EntropyPooling, Need, Observation, Policy, Shape,
    published::{global_budget, inverted_budgets, inverted_range, proportional_budgets},
};

const LARGE: Shape = Shape { layers: 24, query_heads: 16, kv_heads: 16, tokens: 2048, head_dim: 96 };

/// Returns the entropies in bits in layer-major order; `None` for those that were not published.
fn profile(file: &str) -> Vec<Option<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/published").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| row.rsplit(',').next().filter(|h| !h.is_empty()).map(|h| h.parse().unwrap())).collect()
}

fn large() -> Vec<f64> {
    profile("bitnet_b1_58-large.csv").into_iter().map(Option::unwrap).collect()
}

#[test]
fn the_global_rule_compresses_far_less_than_it_is_asked_to() {
    let entropy = large();
    assert_eq!(global_budget(LARGE, &entropy, 0.5), 1858);
    for (asked, delivered) in [(2.0, "1.10"), (5.0, "2.72"), (10.0, "5.43")] {
        let cells = global_budget(LARGE, &entropy, 1.0 / asked);
        assert_eq!(format!("{:.2}", 2048.0 / cells as f64), delivered);
    }
}

#[test]
fn the_global_rule_is_one_sink_and_recency() {
    let entropy = large();
    let observation = Observation::new(LARGE).with_numbers(Need::Entropy, &entropy);
    let plan = |spec: &str, part| {
        Policy::parse(spec).unwrap().plan(&observation, Budget::fraction(part).unwrap()).unwrap()
    };
    let rule = plan("entropy-global", 0.5);
    assert_eq!((rule.asked(), rule.total()), (1024 * 384, 1858 * 384));
    let streaming = plan("uniform+recency{sinks=1,recent=0}", 1858.0 / 2048.0);
    for (layer, head) in (0..24).flat_map(|l| (0..16).map(move |h| (l, h))) {
        assert_eq!(rule.kept(layer, head), streaming.kept(layer, head));
    }
}

#[test]
fn the_inverted_rule_has_the_published_ranges() {
    // The printed statistics of BitNet-b1.58-2B-4T.
    for (ratio, expected) in [(2.0, [0.355, 0.710]), (5.0, [0.142, 0.284]), (10.0, [0.071, 0.142])] {
        let range = inverted_range(0.001, 2.402, 4.063, ratio).map(|b| (b * 1000.0).round() / 1000.0);
        assert_eq!(range, expected);
    }
}

#[test]
fn the_rules_give_opposite_orders() {
    let entropy = large();
    let proportional = proportional_budgets(&entropy, 0.5);
    let inverted = inverted_budgets(&entropy, 2.0);
    assert!(bitkv_stats::spearman(&entropy, &proportional).unwrap() > 0.95);
    assert!(bitkv_stats::spearman(&entropy, &inverted).unwrap() < -0.999);
    // No share is clipped here, so the inverted rule does spend its budget; the other rule spends less than
    // its budget.
    let mean = |parts: &[f64]| parts.iter().sum::<f64>() / parts.len() as f64;
    assert!((mean(&inverted) - 0.5).abs() < 1e-12);
    assert!(mean(&proportional_budgets(&entropy, 1.0)) < 0.85);
}

#[test]
fn the_heat_map_lacks_only_the_sinks() {
    let heads = profile("bitnet-b1.58-2B-4T.csv");
    assert_eq!(heads.len(), 30 * 20);
    // The unknown heads are those below 0.5 bits.
    assert_eq!(heads.iter().filter(|h| h.is_none()).count(), 21);
}

#[test]
fn a_group_is_as_wide_as_its_widest_head() {
    let known: Vec<f64> = profile("bitnet-b1.58-2B-4T.csv").into_iter().map(|h| h.unwrap_or(0.25)).collect();
    let (max, mean) = (EntropyPooling::Max.pool(&known, 4), EntropyPooling::Mean.pool(&known, 4));
    assert_eq!((max.len(), mean.len()), (150, 150));
    assert!(max.iter().zip(&mean).all(|(max, mean)| max >= mean));
    assert_eq!(max[0], known[..4].iter().copied().fold(0.0, f64::max));
}

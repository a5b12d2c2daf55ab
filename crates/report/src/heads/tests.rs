use super::*;

/// One layer of heads with these entropies, as a mean over texts.
fn rows(model: &str, profile: &str, context: usize, entropies: &[Option<f64>]) -> Vec<HeadRow> {
    let row = |(head, entropy_bits): (usize, &Option<f64>)| HeadRow {
        model: model.into(),
        profile: profile.into(),
        context,
        text: String::new(),
        layer: 0,
        head,
        entropy_bits: *entropy_bits,
        normalised_entropy: Some(0.5),
    };
    entropies.iter().enumerate().map(row).collect()
}

fn example() -> Vec<HeadRow> {
    [
        rows("bitnet_b1_58-large", "published", 0, &[Some(0.2), None]),
        rows("m", "calibration-16", 16, &[Some(0.2), Some(1.0), Some(2.0), Some(2.2)]),
        rows("m", "calibration-64", 64, &[Some(0.8), Some(2.0), Some(2.7), Some(5.5)]),
        rows("m", "calibration-32", 32, &[Some(0.4), Some(2.0), Some(2.7), Some(3.2)]),
    ]
    .concat()
}

#[test]
fn both_bounds_are_counted_at_the_longest_context_only() {
    let text = summary(&example(), 1).unwrap().classes.to_markdown();
    assert!(
        text.contains("| calibration-64 | 64 | code: 0.5/1.5/3.0/4.0 | 4 | 0 | 1 | 2 | 0 | 1 | 25.0 |"),
        "{text}"
    );
    assert!(
        text.contains("| calibration-64 | 64 | printed: 0.5/1.5/2.5/3.5 | 4 | 0 | 1 | 1 | 1 | 1 | 25.0 |"),
        "{text}"
    );
    assert!(!text.contains("calibration-16") && !text.contains("calibration-32"));
    assert_eq!(text.matches("as published").count(), 2, "published figures stand once");
    assert!(
        text.contains("bitnet\\_b1\\_58-large, published entropies, recounted: 1 of 2 heads have no"),
        "{text}"
    );
}

#[test]
fn the_other_contexts_stand_in_one_table_by_rising_length() {
    let heads = summary(&example(), 1).unwrap();
    assert_eq!(heads.lengths.len(), 1, "the published profile has no lengths");
    let text = heads.lengths[0].to_markdown();
    let at = |row: &str| text.find(row).unwrap_or_else(|| panic!("{row} in {text}"));
    assert!(at("| 16 | 1.350 |") < at("| 32 | 2.075 |") && at("| 32 | 2.075 |") < at("| 64 | 2.750 |"));
    assert!(text.contains("| 0.500 | 1 | 1 | 2 | 0 | 0 | 50.0 |"), "{text}");
}

#[test]
fn maps_beside_the_longest_are_kept_apart() {
    let heads = summary(&example(), 1).unwrap();
    let titles = |maps: &[HeatMap]| maps.iter().map(|map| map.title.clone()).collect::<Vec<_>>();
    assert_eq!(
        titles(&heads.maps),
        ["bitnet_b1_58-large: attention entropy, published", "m: attention entropy, calibration-64"]
    );
    assert_eq!(heads.other_maps.len(), 2);
    assert!(heads.maps.iter().chain(&heads.other_maps).all(|map| map.maximum == 6.0), "one scale");
    assert_eq!(heads.charts[0].series.len(), 1);
    assert_eq!(heads.charts[0].series[0].label, "m");
}

#[test]
fn shares_are_those_of_the_shortest_and_the_longest_context() {
    let shares = focused_shares(&example(), 1);
    assert_eq!(shares.len(), 1);
    assert_eq!((shares[0].shortest, shares[0].longest), ((16, 0.5), (64, 0.25)));
    assert!(summary(&[], 1).is_none());
}

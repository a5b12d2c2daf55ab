//! The published format of profiles is read, converted to the suite's format and written back unchanged.

use bitkv_record::{HeadClass, Profile, PublishedProfile, PublishedShape, Thresholds};

const EXAMPLE: &str = include_str!("data/published-profile.json");

#[test]
fn a_published_profile_becomes_a_profile_of_the_suite() {
    let profile = PublishedProfile::from_json(EXAMPLE, "example").unwrap().to_profile().unwrap();
    assert_eq!((profile.layers(), profile.heads.len(), profile.context), (2, 8, None));
    assert_eq!((profile.heads[7].layer, profile.heads[7].head), (1, 3));
    assert_eq!((profile.heads[7].entropy_bits, profile.heads[7].class), (3.5, HeadClass::Mixed));
    assert_eq!(profile.summary.classes.moderate, 3);
}

#[test]
fn a_published_profile_is_written_back_unchanged() {
    let published = PublishedProfile::from_json(EXAMPLE, "example").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    published.write(file.path(), bitkv_bytes::Existing::Replace).unwrap();
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(EXAMPLE).unwrap());

    let shape = PublishedShape { n_head_kv: 2, n_ctx: 64, model_info: published.model_info.clone() };
    let again = PublishedProfile::from_profile(&published.to_profile().unwrap(), shape).unwrap();
    assert_eq!(again, published);
}

#[test]
fn heads_are_written_in_numerical_order() {
    let entropies = [(0..12).map(f64::from).collect::<Vec<_>>()];
    let profile = Profile::new("m", None, vec![], Thresholds::CODE, &entropies).unwrap();
    let shape = PublishedShape { n_head_kv: 12, n_ctx: 8, model_info: Default::default() };
    let file = tempfile::NamedTempFile::new().unwrap();
    PublishedProfile::from_profile(&profile, shape)
        .unwrap()
        .write(file.path(), bitkv_bytes::Existing::Replace)
        .unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    let position = |key: &str| text.find(&format!("\"{key}\"")).unwrap();
    assert!(position("L0_H2") < position("L0_H10") && position("L0_H9") < position("L0_H10"));
    assert!(text.contains("\"range_ratio\": null"), "a smallest entropy of 0 has no ratio");
    assert_eq!(PublishedProfile::read(file.path()).unwrap().to_profile().unwrap(), profile);
}

#[test]
fn errors_name_the_key() {
    let cases = [
        ("\"L1_H3\": 3.5", "\"L1_H4\": 3.5", "L1_H3"),
        ("\"L1_H3\": 3.5", "\"Layer1\": 3.5", "Layer1"),
        ("\"L1_H3\": 3.5", "\"L1_H3\": -3.5", "-3.5"),
        ("\"mean\": 1.5", "\"mean\": 1.6", "entropy_stats.mean"),
        ("\"focused\": 2", "\"focused\": 3", "head_types"),
        ("\"n_head_kv\": 2", "\"n_head_kv\": 3", "n_head_kv = 3"),
        ("\"format_version\": 1", "\"format_version\": 2", "format_version"),
    ];
    for (good, bad, expected) in cases {
        let text = EXAMPLE.replacen(good, bad, 1);
        assert_ne!(text, EXAMPLE);
        let message = PublishedProfile::from_json(&text, "example").unwrap_err().to_string();
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
}

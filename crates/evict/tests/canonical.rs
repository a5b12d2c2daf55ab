//! A policy has one canonical specification, regardless of how its options are written. Rows are identified
//! by this specification.

use bitkv_evict::{Policy, PolicyKind, Registry};

fn spec(text: &str) -> String {
    let policy = Policy::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(Policy::parse(policy.explicit_spec()).unwrap().spec(), policy.spec());
    policy.spec().to_owned()
}

#[test]
fn an_option_set_to_its_default_is_left_out() {
    let mut options = 0;
    for method in Registry::standard().listings() {
        let spec_with = |options: &str| match method.kind {
            PolicyKind::Allocator => format!("{}{options}+kvzip", method.name),
            PolicyKind::Scorer => format!("uniform+{}{options}", method.name),
            PolicyKind::Rule | PolicyKind::Suite(_) => format!("{}{options}", method.name),
        };
        for (key, value) in &method.options {
            assert_eq!(spec(&spec_with(&format!("{{{key}={value}}}"))), spec_with(""), "{key}={value}");
            options += 1;
            // A whole number may be written without a decimal point.
            if let Some(whole) = value.strip_suffix(".0") {
                assert_eq!(spec(&spec_with(&format!("{{{key}={whole}}}"))), spec_with(""), "{key}={whole}");
            }
        }
    }
    assert!(options > 80, "{options}");
}

#[test]
fn a_number_has_one_form() {
    for (one, other) in [
        ("adaptive{safeguard=0}+kvzip", "adaptive{safeguard=0.0}+kvzip"),
        ("uniform+critical{epsilon=1e-3}", "uniform+critical{epsilon=0.001}"),
        ("uniform+r-kv{lambda=1}", "uniform+r-kv{lambda=1.0}"),
    ] {
        assert_eq!(spec(one), spec(other));
        assert_eq!(spec(one), other);
    }
}

#[test]
fn a_base_scorer_has_one_form() {
    let critical = |base: &str| spec(&format!("uniform+critical{{base=\"{base}\"}}"));
    assert_eq!(critical("window-attention{kernel=5}"), "uniform+critical");
    assert_eq!(critical("cake-attention{gamma=200}"), critical("cake-attention"));
    assert_eq!(critical(" tova{} "), critical("tova"));
    assert_ne!(critical("tova"), critical("kvzip"));
}

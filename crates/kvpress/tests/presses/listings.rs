//! Tests of the list of presses and of the text of their options.

use bitkv_evict::{Policy, PolicyKind, Registry, Role};

use crate::support::{listings, read};

#[test]
fn every_press_is_listed_with_source_and_description() {
    assert_eq!(listings().len(), 20);
    for listing in listings() {
        let press = listing.name.strip_prefix("kvpress:").unwrap();
        let is_name_character = |c: char| c.is_ascii_lowercase() || c == '_' || c == '2';
        assert!(press.chars().all(is_name_character), "{press}");
        assert!(listing.source.starts_with("kvpress ") && !listing.description.is_empty(), "{press}");
        assert!(!listing.description.contains('\n') && listing.description.len() < 100, "{press}");
        assert_eq!(listing.conserving, !["pyramidkv", "chunkkv"].contains(&press), "{press}");
        assert_eq!((listing.kind.name(), listing.role, listing.oracle), ("kvpress", Role::Method, false));
        assert!(listing.options.iter().all(|(option, _)| option != "sinks" && option != "recent"), "{press}");
    }
}

#[test]
fn an_option_with_its_default_value_is_left_out_of_the_spec() {
    let spec = |text: &str| read(text).unwrap().spec().to_owned();
    for listing in listings() {
        for (key, value) in &listing.options {
            assert_eq!(spec(&format!("{}{{{key}={value}}}", listing.name)), listing.name, "{key}={value}");
        }
        let policy = read(listing.name).unwrap();
        assert_eq!(spec(policy.explicit_spec()), listing.name);
    }
    assert_eq!(spec("kvpress:adakv_snapkv{alpha_safeguard=1}"), "kvpress:adakv_snapkv{alpha_safeguard=1.0}");
}

#[test]
fn presses_are_added_once_to_a_registry() {
    assert!(Policy::parse("kvpress:snapkv").is_err());
    let registry = bitkv_kvpress::presses(Registry::empty()).unwrap();
    assert!(registry.listings().iter().all(|listing| listing.kind == PolicyKind::Suite("kvpress")));
    let error = bitkv_kvpress::presses(registry).unwrap_err().to_string();
    assert_eq!(error, "there is already a rule named `kvpress:streaming_llm`; choose another name");
    let error = read("kvprss").unwrap_err().to_string();
    assert!(
        error.contains(", one of kvpress such as `kvpress:streaming_llm`, streaming-llm, h2o, ")
            && error.ends_with(", or ALLOCATOR+SCORER such as `uniform+recency`"),
        "{error}"
    );
}

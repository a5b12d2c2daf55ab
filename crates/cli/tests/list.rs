//! `bitkv list`: what there is, as the registry and the built-in models say.

mod support;

use support::{Place, keys, list, model::MODEL};

#[test]
fn the_document() {
    let document = Place::new().json(&["list"]);
    assert_eq!(keys(&document), ["models", "policies"]);
    let names = |key: &str| list(&document["models"][key]).to_vec();
    assert!(names("built_in").contains(&MODEL.into()), "{document}");
    assert_eq!(names("configurations"), ["bitnet_b1_58-large", "BitNet-b1.58-2B-4T"]);
    for policy in list(&document["policies"]) {
        let texts = ["kind", "name", "description", "source"].map(|key| policy[key].as_str().unwrap());
        assert!(["allocator", "scorer", "rule"].contains(&texts[0]) && texts.iter().all(|t| !t.is_empty()));
        assert!(policy["oracle"].is_boolean() && policy["conserving"].is_boolean());
    }
    let named = |name: &str| list(&document["policies"]).iter().find(|policy| policy["name"] == name);
    assert_eq!(named("entropy-inverted").unwrap()["oracle"], true);
    assert_eq!(named("entropy-global").unwrap()["conserving"], false);
    assert_eq!(named("oracle").unwrap()["oracle"], true);
    assert_eq!(named("uniform").unwrap()["conserving"], true);
}

#[test]
fn a_part_of_it() {
    let place = Place::new();
    assert_eq!(keys(&place.json(&["list", "models"])), ["models"]);
    assert_eq!(keys(&place.json(&["list", "policies"])), ["policies"]);
    let text = place.text(&["list"]);
    assert!(
        [MODEL, "window-attention", "entropy-inverted (oracle)"].iter().all(|n| text.contains(n)),
        "{text}"
    );
}

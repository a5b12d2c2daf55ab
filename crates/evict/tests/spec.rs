//! What can be written as a policy, what is said of what cannot, and what is listed.

use std::collections::BTreeSet;

use bitkv_evict::{Kind, Need, Needs, PRESETS, Policy, registry};

fn policy(spec: &str) -> Policy {
    Policy::parse(spec).unwrap_or_else(|e| panic!("{spec}: {e}"))
}

fn said(spec: &str) -> String {
    let said = Policy::parse(spec).unwrap_err().to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

#[test]
fn the_canonical_spec_leaves_out_defaults_and_sorts() {
    let canonical = |spec| policy(spec).spec().to_owned();
    assert_eq!(canonical(" uniform + recency{} "), "uniform+recency");
    assert_eq!(
        canonical("uniform+window-attention{window=64, kernel=5, sinks=0}"),
        "uniform+window-attention{sinks=0,window=64}"
    );
    assert_eq!(canonical("entropy{group='mean'}+recency{pool='mean'}"), "entropy{group=\"mean\"}+recency");
    assert_eq!(canonical("entropy-inverted"), "entropy-inverted");
    assert_eq!(policy("full{}").to_string(), "full");
    assert_eq!(
        policy("entropy+window-attention{sinks=0}").explicit_spec(),
        "entropy{group=\"max\"}+window-attention{kernel=5,pool=\"mean\",recent=8,sinks=0,window=32}"
    );
}

#[test]
fn every_spec_reads_back() {
    let listed = registry();
    let of = |kind| listed.iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs =
        of(Kind::Allocator).flat_map(|a| of(Kind::Scorer).map(move |s| format!("{a}+{s}{{recent=3}}")));
    for spec in pairs.chain(of(Kind::Rule).map(str::to_owned)) {
        let first = policy(&spec);
        for text in [first.spec(), first.explicit_spec()] {
            let again: Policy = text.parse().unwrap();
            assert_eq!((again.spec(), again.explicit_spec()), (first.spec(), first.explicit_spec()));
            assert_eq!(again.needs(), first.needs());
        }
    }
}

#[test]
fn needs_follow_from_the_parts() {
    let needs = |spec| policy(spec).needs();
    assert!(
        needs("uniform+recency").is_empty() && needs("uniform+random").is_empty() && needs("full").is_empty()
    );
    let window = Needs::from([Need::Window(64)]);
    assert_eq!(needs("uniform+window-attention{window=64}"), window);
    assert_eq!(needs("entropy+key-norm"), Needs::from([Need::Keys, Need::Entropy]));
    assert_eq!(needs("entropy-inverted"), Needs::from([Need::Window(1), Need::Entropy]));
    assert_eq!(needs("entropy-global"), Needs::from([Need::Entropy]));
}

#[test]
fn oracles_and_conservation_are_told() {
    let told = |spec| (policy(spec).is_oracle(), policy(spec).conserves());
    assert_eq!(told("entropy+recency"), (false, true));
    assert_eq!(told("entropy+oracle"), (true, true));
    assert_eq!(told("full"), (false, false));
    assert_eq!(told("entropy-proportional"), (true, false));
    assert_eq!(told("entropy-global"), (false, false));
    assert_eq!(told("entropy-inverted"), (true, false));
}

#[test]
fn unknown_names_list_what_there_is() {
    let entropi = said("entropi+recency");
    let start =
        "there is no allocator named `entropi`, did you mean `entropy`? There are: uniform, entropy, ";
    assert!(entropi.starts_with(start), "{entropi}");
    let snap = said("uniform+xyz");
    assert!(snap.starts_with("there is no scorer named `xyz`; there are: recency, "), "{snap}");
    let listed =
        "there is no policy named `ful`, did you mean `full`? There are: full, entropy-proportional, ";
    assert!(said("ful").starts_with(listed), "{}", said("ful"));
    assert!(said("ful").contains(", or ALLOCATOR+SCORER with an allocator of uniform, entropy"));
    // A rule is a whole, not a half.
    assert!(said("entropy-global+recency").starts_with("there is no allocator named `entropy-global`"));
}

#[test]
fn presets_stand_for_policies() {
    for preset in PRESETS {
        let (named, spelt) = (policy(preset.name), policy(preset.spec));
        assert_eq!(named.explicit_spec(), spelt.explicit_spec());
        assert!(registry().iter().all(|listing| listing.name != preset.name), "{}", preset.name);
        assert!(!preset.source.is_empty());
    }
    assert!(said("streaming-llm{sinks=2}").starts_with("`streaming-llm` has no options"));
}

#[test]
fn a_meaningless_combination_says_why() {
    // Filled in by the allocators that let heads compete.
    for listing in registry().into_iter().filter(|l| l.kind == Kind::Allocator) {
        let Err(error) = Policy::parse(&format!("{}+recency", listing.name)) else { continue };
        let start = format!("`{}+recency` means nothing: `{0}` lets heads compete by score", listing.name);
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[test]
fn half_a_policy_says_what_is_missing() {
    assert!(
        said("uniform").ends_with("`uniform` is an allocator; join it to a scorer, as in `uniform+recency`")
    );
    assert!(
        said("recency").ends_with("`recency` is a scorer; join an allocator to it, as in `uniform+recency`")
    );
    assert!(said("uniform+recency+oracle").ends_with("it has 3 parts; write ALLOCATOR+SCORER"));
    for empty in ["", "  \n"] {
        assert!(
            said(empty).starts_with("the policy is empty; write ALLOCATOR+SCORER such as `uniform+recency`")
        );
    }
    assert!(said("+").contains("a name is missing"));
}

#[test]
fn unknown_options_name_the_known_ones() {
    assert_eq!(
        said("uniform+window-attention{windw=64}"),
        "`window-attention` has no option `windw`; it has: kernel, pool, recent, sinks, window"
    );
    assert_eq!(said("uniform{group='max'}+recency"), "`uniform` has no option `group`; it has none");
    assert_eq!(said("entropy{sinks=1}+recency"), "`entropy` has no option `sinks`; it has: group");
    assert_eq!(said("entropy-global{keep=1}"), "`entropy-global` has no option `keep`; it has none");
}

#[test]
fn values_of_the_wrong_type_or_without_meaning_are_refused() {
    let refused = [
        (
            "uniform+window-attention{kernel=3,window='x'}",
            "option `window` of `window-attention` cannot be \"x\": invalid type: string",
        ),
        (
            "uniform+window-attention{window=32.0}",
            "option `window` of `window-attention` cannot be 32.0: invalid type: floating point",
        ),
        (
            "uniform+window-attention{window=-1}",
            "option `window` of `window-attention` cannot be -1: invalid value: integer",
        ),
        (
            "uniform+window-attention{window=0}",
            "option `window` of `window-attention` cannot be 0: a window has at least one query",
        ),
        (
            "uniform+window-attention{kernel=4}",
            "option `kernel` of `window-attention` cannot be 4: a centred mean has an odd width",
        ),
        (
            "uniform+window-attention{kernel=0}",
            "option `kernel` of `window-attention` cannot be 0: a centred mean has an odd width",
        ),
        (
            "uniform+recency{sinks='x',recent=1}",
            "option `sinks` of `recency` cannot be \"x\": invalid type: string",
        ),
        (
            "uniform+recency{pool='min'}",
            "option `pool` of `recency` cannot be \"min\": \
             unknown variant `min`, expected one of `mean`, `max`, `sum`",
        ),
        (
            "entropy{group='sum'}+recency",
            "option `group` of `entropy` cannot be \"sum\": unknown variant `sum`, expected `max` or `mean`",
        ),
        ("uniform+random{seed=-1}", "option `seed` of `random` cannot be -1: invalid value: integer"),
    ];
    for (spec, start) in refused {
        let said = said(spec);
        assert!(said.starts_with(start), "{spec}: {said}");
    }
}

#[test]
fn the_registry_is_complete_and_tidy() {
    let mut seen = BTreeSet::new();
    for listing in registry() {
        assert!(seen.insert(listing.name), "{} is listed twice", listing.name);
        assert!(listing.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", listing.name);
        assert!(!listing.source.is_empty() && !listing.description.is_empty());
        assert!(!listing.description.contains('\n') && listing.description.len() < 90, "{}", listing.name);
        assert_eq!(listing.conserving, listing.kind != Kind::Rule);
        for common in ["sinks", "recent"] {
            let has = listing.options.iter().any(|(name, _)| name == common);
            assert_eq!(has, listing.kind == Kind::Scorer, "{} {common}", listing.name);
        }
    }
    let oracles: Vec<_> = registry().into_iter().filter(|l| l.oracle).map(|l| l.name).collect();
    assert_eq!(oracles, ["oracle", "entropy-proportional", "entropy-inverted"]);
    let window = registry().into_iter().find(|l| l.name == "window-attention").unwrap();
    assert!(window.options.contains(&("window".into(), "32".into())));
    assert!(window.options.contains(&("pool".into(), "\"mean\"".into())));
}

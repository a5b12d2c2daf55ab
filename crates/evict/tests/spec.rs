//! Specifications of policies: what can be written, the errors for what cannot, and the listings.

use std::collections::BTreeSet;

use bitkv_evict::{Error, Listing, Need, Needs, Policy, PolicyKind, Registry};

fn policy(spec: &str) -> Policy {
    Policy::parse(spec).unwrap_or_else(|e| panic!("{spec}: {e}"))
}

fn registry() -> Vec<Listing> {
    Registry::standard().listings()
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
        "entropy{group=\"max\"}+window-attention{kernel=5,pool=\"mean\",recent=8,sinks=0,smooth=\"mean\",window=32}"
    );
}

#[test]
fn every_spec_reads_back() {
    let listed = registry();
    let of = |kind| listed.iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs = of(PolicyKind::Allocator)
        .flat_map(|a| of(PolicyKind::Scorer).map(move |s| format!("{a}+{s}{{recent=3}}")));
    for spec in pairs.chain(of(PolicyKind::Rule).map(str::to_owned)) {
        let first = match Policy::parse(&spec) {
            Err(Error::Meaningless { .. }) => continue,
            first => first.unwrap(),
        };
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
    assert_eq!(needs("uniform+tova"), Needs::from([Need::Window(1)]));
    let expected = Needs::from([Need::Keys, Need::Values, Need::QueryMoments(4)]);
    assert_eq!(needs("uniform+expected-attention"), expected);
    let expected = Needs::from([Need::Keys, Need::QueryMoments(2)]);
    assert_eq!(needs("uniform+expected-attention{skip=2,value-norm=false}"), expected);
    let expected = Needs::from([Need::WindowRows(32), Need::SubNormOutputNorms]);
    assert_eq!(needs("global+defensive"), expected);
    let expected = Needs::from([Need::WindowRows(8), Need::OutputNorms]);
    assert_eq!(needs("global+defensive{norm='plain',window=8}"), expected);
    assert_eq!(needs("cake+kvzip"), Needs::from([Need::WindowRows(32), Need::Reconstruction]));
    assert_eq!(
        needs("squeeze+r-kv"),
        Needs::from([Need::ResidualSimilarity, Need::Keys, Need::WindowRows(8)])
    );
    assert_eq!(needs("duo+recency"), Needs::from([Need::HeadPattern]));
    assert_eq!(needs("duo{by='measured'}+recency"), Needs::from([Need::Window(32)]));
    assert_eq!(needs("head-scores+lag"), Needs::from([Need::HeadScores, Need::Keys, Need::Values]));
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
fn a_seed_goes_where_chance_is() {
    let seeded = |spec| Policy::seeded(spec, 7).unwrap().map(|policy| policy.spec().to_owned());
    assert_eq!(seeded("uniform+random").as_deref(), Some("uniform+random{seed=7}"));
    assert_eq!(seeded("entropy-permuted+recency").as_deref(), Some("entropy-permuted{seed=7}+recency"));
    assert_eq!(
        seeded("entropy-permuted{seed=1}+random").as_deref(),
        Some("entropy-permuted{seed=1}+random{seed=7}")
    );
    for fixed in ["uniform+recency", "uniform+random{seed=3}", "full", "streaming-llm"] {
        assert_eq!(seeded(fixed), None);
    }
    assert!(Policy::seeded("uniform+nothing", 7).is_err());
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
    for preset in Registry::standard().presets() {
        let (named, spelt) = (policy(preset.name), policy(preset.spec));
        assert_eq!(named.explicit_spec(), spelt.explicit_spec());
        // On its own, the name of a scorer or an allocator is not a policy, but the name of a rule is.
        let hidden = registry().into_iter().any(|l| l.name == preset.name && l.kind == PolicyKind::Rule);
        assert!(!hidden, "{}", preset.name);
        assert!(!preset.source.is_empty());
    }
    assert_eq!(policy("tova").spec(), "uniform+tova{recent=0,sinks=0}");
    assert_eq!(policy("uniform+tova").spec(), "uniform+tova");
    assert!(said("streaming-llm{sinks=2}").starts_with("`streaming-llm` has no options"));
}

#[test]
fn a_meaningless_combination_says_why() {
    let refused = [
        ("recency", "recency gives every head the same scores"),
        ("random", "chance says nothing about heads"),
        ("tova", "`tova` gives all heads of a layer the same scores"),
        ("critical{base='tova'}", "`tova` gives all heads of a layer the same scores"),
        ("lag", "`lag` ranks tokens within a partition, the same ranks in every head"),
    ];
    for allocator in ["adaptive", "global"] {
        for (scorer, reason) in refused {
            let name = scorer.split('{').next().unwrap();
            let expected = format!(
                "`{allocator}+{name}` means nothing: `{allocator}` lets heads compete by score, and {reason}"
            );
            assert_eq!(said(&format!("{allocator}+{scorer}")), expected);
        }
        policy(&format!("{allocator}+lag{{cross-scoring=true}}"));
    }
    // Nothing else is refused, and what is names the pair.
    let of = |kind| registry().into_iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs = of(PolicyKind::Allocator).flat_map(|a| of(PolicyKind::Scorer).map(move |s| (a, s)));
    for (one, other) in pairs {
        match Policy::parse(&format!("{one}+{other}")) {
            Ok(_) => {}
            Err(Error::Meaningless { allocator, scorer, .. }) => {
                assert_eq!((allocator, scorer), (one, other));
                assert!(["adaptive", "global"].contains(&one), "{one}+{other}");
            }
            Err(error) => panic!("{one}+{other}: {error}"),
        }
    }
    for scorer in ["kvzip", "window-attention", "accumulated-attention", "key-norm", "defensive", "oracle"] {
        policy(&format!("adaptive+{scorer}"));
    }
}

#[test]
fn the_first_of_two_stages_is_chosen_from_a_list() {
    let said = |base: &str| said(&format!("uniform+critical{{base=\"{base}\"}}"));
    for base in ["key-norm", "critical", "oracle", "nothing", "tova+tova", "kvpress:tova"] {
        let start =
            format!("option `base` of `critical` cannot be \"{base}\": the first stage is one of window");
        assert!(said(base).starts_with(&start), "{}", said(base));
    }
    assert!(said("tova{x=1}").ends_with("`tova` has no option `x`; it has none"), "{}", said("tova{x=1}"));
    assert!(said("window-attention{window=0}").contains("cannot be 0: a window has at least one query"));
    assert!(said("tova{").contains("not a TOML inline table"));
    assert_eq!(
        policy("uniform+critical{base='window-attention{window=8}'}").needs(),
        Needs::from([Need::Window(8), Need::SubNormOutputNorms])
    );
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
fn the_registry_is_complete_and_tidy() {
    let mut seen = BTreeSet::new();
    for listing in registry() {
        assert!(seen.insert(listing.name), "{} is listed twice", listing.name);
        let own = |c: char| c.is_ascii_lowercase() || c == '-';
        let tidy = listing.name.chars().all(own);
        assert!(tidy, "{}", listing.name);
        assert!(!listing.source.is_empty() && !listing.description.is_empty());
        assert!(!listing.description.contains('\n') && listing.description.len() < 100, "{}", listing.name);
        assert_eq!(listing.conserving, listing.kind != PolicyKind::Rule, "{}", listing.name);
        for common in ["sinks", "recent"] {
            let has = listing.options.iter().any(|(name, _)| name == common);
            // `duo` has options for the sinks and recent tokens of a streaming head.
            assert_eq!(
                has,
                listing.kind == PolicyKind::Scorer || listing.name == "duo",
                "{} {common}",
                listing.name
            );
        }
    }
    let oracles: Vec<_> = registry().into_iter().filter(|l| l.oracle).map(|l| l.name).collect();
    assert_eq!(oracles, ["oracle", "entropy-proportional", "entropy-inverted"]);
    let window = registry().into_iter().find(|l| l.name == "window-attention").unwrap();
    assert!(window.options.contains(&("window".into(), "32".into())));
    assert!(window.options.contains(&("pool".into(), "\"mean\"".into())));
}

//! Specifications of policies: what can be written, the errors for what cannot, and the listings.

use std::collections::BTreeSet;

use bitkv_evict::{Error, Listing, Need, Needs, Policy, PolicyKind, Registry};

fn policy(spec: &str) -> Policy {
    Policy::parse(spec).unwrap_or_else(|e| panic!("{spec}: {e}"))
}

fn registry() -> Vec<Listing> {
    Registry::standard().listings()
}

fn error_of(spec: &str) -> String {
    let message = Policy::parse(spec).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn the_canonical_spec_omits_defaults_and_sorts_options() {
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
fn every_spec_can_be_parsed_again() {
    let listed = registry();
    let names = |kind| listed.iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs = names(PolicyKind::Allocator)
        .flat_map(|a| names(PolicyKind::Scorer).map(move |s| format!("{a}+{s}{{recent=3}}")));
    for spec in pairs.chain(names(PolicyKind::Rule).map(str::to_owned)) {
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
fn policies_know_oracles_and_conservation() {
    let oracle_and_conserving = |spec| (policy(spec).is_oracle(), policy(spec).conserves());
    assert_eq!(oracle_and_conserving("entropy+recency"), (false, true));
    assert_eq!(oracle_and_conserving("entropy+oracle"), (true, true));
    assert_eq!(oracle_and_conserving("full"), (false, false));
    assert_eq!(oracle_and_conserving("entropy-proportional"), (true, false));
    assert_eq!(oracle_and_conserving("entropy-global"), (false, false));
    assert_eq!(oracle_and_conserving("entropy-inverted"), (true, false));
}

#[test]
fn random_parts_without_a_seed_are_seeded() {
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
fn the_error_for_an_unknown_name_lists_the_names() {
    let entropi = error_of("entropi+recency");
    let start =
        "there is no allocator named `entropi`, did you mean `entropy`? There are: uniform, entropy, ";
    assert!(entropi.starts_with(start), "{entropi}");
    let snap = error_of("uniform+xyz");
    assert!(snap.starts_with("there is no scorer named `xyz`; there are: recency, "), "{snap}");
    let listed =
        "there is no policy named `ful`, did you mean `full`? There are: full, entropy-proportional, ";
    assert!(error_of("ful").starts_with(listed), "{}", error_of("ful"));
    assert!(error_of("ful").contains(", streaming-llm, h2o, "), "presets are listed");
    assert!(error_of("ful").ends_with(", or ALLOCATOR+SCORER such as `uniform+recency`"));
    // A rule is a complete policy and cannot be a part of one.
    assert!(error_of("entropy-global+recency").starts_with("there is no allocator named `entropy-global`"));
}

#[test]
fn presets_are_policies() {
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
    assert!(error_of("streaming-llm{sinks=2}").starts_with("`streaming-llm` is a preset and has no options"));
}

#[test]
fn the_error_for_an_invalid_pair_gives_the_reason() {
    let refused = [
        ("recency", "`recency` gives every head the same scores"),
        ("random", "random scores say nothing about heads"),
        ("tova", "`tova` gives all heads of a layer the same scores"),
        ("critical{base='tova'}", "`tova` gives all heads of a layer the same scores"),
        ("lag", "`lag` scores are ranks within a partition, which are the same in every head"),
    ];
    for allocator in ["adaptive", "global"] {
        for (scorer, reason) in refused {
            let name = scorer.split('{').next().unwrap();
            let expected = format!(
                "`{allocator}+{name}` is not a valid policy: `{allocator}` compares scores between heads, but {reason}"
            );
            assert_eq!(error_of(&format!("{allocator}+{scorer}")), expected);
        }
        policy(&format!("{allocator}+lag{{cross-scoring=true}}"));
    }
    // No other pair is refused, and the error names the pair.
    let names = |kind| registry().into_iter().filter(move |l| l.kind == kind).map(|l| l.name);
    let pairs = names(PolicyKind::Allocator).flat_map(|a| names(PolicyKind::Scorer).map(move |s| (a, s)));
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
    let error_with_base = |base: &str| error_of(&format!("uniform+critical{{base=\"{base}\"}}"));
    for base in ["key-norm", "critical", "oracle", "nothing", "tova+tova", "kvpress:tova"] {
        let start = format!(
            "option `base` of `critical` cannot be \"{base}\": the first stage must be one of window"
        );
        assert!(error_with_base(base).starts_with(&start), "{}", error_with_base(base));
    }
    assert!(
        error_with_base("tova{x=1}").ends_with("`tova` has no option `x`; it has none"),
        "{}",
        error_with_base("tova{x=1}")
    );
    assert!(
        error_with_base("window-attention{window=0}")
            .contains("cannot be 0: a window has at least one query")
    );
    assert!(error_with_base("tova{").contains("not a TOML inline table"));
    assert_eq!(
        policy("uniform+critical{base='window-attention{window=8}'}").needs(),
        Needs::from([Need::Window(8), Need::SubNormOutputNorms])
    );
}

#[test]
fn the_error_for_half_a_policy_names_the_missing_part() {
    assert!(
        error_of("uniform").ends_with("`uniform` is an allocator; add a scorer, as in `uniform+recency`")
    );
    assert!(
        error_of("recency").ends_with("`recency` is a scorer; add an allocator, as in `uniform+recency`")
    );
    assert!(error_of("uniform+recency+oracle").ends_with("it has 3 parts; write ALLOCATOR+SCORER"));
    for empty in ["", "  \n"] {
        assert!(
            error_of(empty)
                .starts_with("the policy is empty; write ALLOCATOR+SCORER such as `uniform+recency`")
        );
    }
    assert!(error_of("+").contains("a name is missing"));
}

#[test]
fn the_registry_is_complete_and_tidy() {
    let mut seen = BTreeSet::new();
    for listing in registry() {
        assert!(seen.insert(listing.name), "{} is listed twice", listing.name);
        let is_allowed = |c: char| c.is_ascii_lowercase() || c == '-';
        let tidy = listing.name.chars().all(is_allowed);
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

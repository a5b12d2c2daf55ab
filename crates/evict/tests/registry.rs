//! Registries and builders: what they accept, what they refuse, and their error messages.

use bitkv_evict::{
    Error, Guard, Head, Method, Policy, PolicyKind, Pooling, Preset, Registry, Role, Scorer,
    allocators::{Adaptive, Uniform},
    method, published,
    scorers::{Critical, KeyDiff, Random, Recency, WindowAttention},
};

/// Declares a scorer with the given options that writes no scores.
macro_rules! scorer {
    ($type:ident, $name:literal, {$($option:ident: $value:ty = $default:expr $(=> $check:expr)?),*}) => {
        method! {
            /// A scorer of these tests.
            pub struct $type {
                $(
                    /// An option of these tests.
                    pub $option: $value = $default $(=> $check)?
                ),*
            }
            $name from "these tests", "Scores nothing.", role: Control
        }

        impl Scorer for $type {
            fn score(&self, _: &Head<'_>, _: &mut [f32]) {}
        }
    };
}

scorer!(Drawn, "drawn", { seed: u64 = 0 });
scorer!(Shouting, "Shouting", {});
scorer!(Greedy, "greedy", { sinks: usize = 0 });
scorer!(Hollow, "hollow", { window: usize = 0 => bitkv_evict::checks::window });
scorer!(Twin, "recency", {});

fn refused<S: Method + Scorer>() -> String {
    Registry::standard().with_scorer::<S>().unwrap_err().to_string()
}

#[test]
fn a_method_that_could_not_be_named_is_refused() {
    assert_eq!(refused::<Twin>(), "there is already a scorer named `recency`; choose another name");
    assert_eq!(
        refused::<Shouting>(),
        "`Shouting` cannot be the name of a method; use lower-case letters, digits and hyphens"
    );
    assert_eq!(
        refused::<Greedy>(),
        "scorer `greedy` declares an option `sinks`, which every scorer already has; give it another name"
    );
    assert_eq!(
        refused::<Hollow>(),
        "option `window` of `hollow` cannot be 0: a window has at least one query"
    );
}

#[test]
fn a_registry_accepts_the_methods_of_the_standard_registry_once() {
    let standard = Registry::standard();
    for again in [
        standard.clone().with_rule::<published::EntropyGlobal>(),
        standard.clone().with_allocator::<Uniform>(),
        standard.clone().with_scorer::<Recency>(),
    ] {
        assert!(matches!(again, Err(Error::Duplicate { .. })));
    }
    let empty = Registry::empty().with_allocator::<Uniform>().unwrap().with_scorer::<Random>().unwrap();
    assert_eq!(empty.policy("uniform+random{seed=2}").unwrap().spec(), "uniform+random{seed=2}");
    assert!(empty.policy("uniform+recency").unwrap_err().to_string().ends_with("there are: random"));
    assert!(
        empty
            .policy("full")
            .unwrap_err()
            .to_string()
            .ends_with("there are: ALLOCATOR+SCORER such as `uniform+random`")
    );
    // Adding to a copy does not change the original.
    assert!(standard.clone().with_scorer::<Drawn>().is_ok() && standard.policy("uniform+drawn").is_err());
}

#[test]
fn presets_are_names_of_policies() {
    let preset = |name, spec| Preset { name, spec, source: "these tests" };
    let registry = Registry::standard().with_scorer::<Drawn>().unwrap();
    let registry = registry.with_preset(preset("mine", "uniform+drawn{recent=0}")).unwrap();
    assert_eq!(registry.policy("mine").unwrap().spec(), "uniform+drawn{recent=0}");
    assert_eq!(registry.presets().last().unwrap().name, "mine");
    // A random part of a preset is seeded like any other.
    assert_eq!(registry.seeded("mine", 5).unwrap().unwrap().spec(), "uniform+drawn{recent=0,seed=5}");
    let refused = |preset| registry.clone().with_preset(preset).unwrap_err().to_string();
    assert!(refused(preset("mine", "full")).starts_with("there is already a preset named `mine`"));
    assert!(refused(preset("full", "uniform+recency")).starts_with("there is already a rule named `full`"));
    assert!(refused(preset("yours", "uniform+nothing")).starts_with("there is no scorer named `nothing`"));
    assert!(refused(preset("Yours", "full")).starts_with("`Yours` cannot be the name"));
    let near = registry.policy("min").unwrap_err().to_string();
    assert!(
        near.starts_with("there is no policy named `min`, did you mean `mine`? There are: full"),
        "{near}"
    );
    let near = registry.policy("recensy").unwrap_err().to_string();
    assert!(near.contains("did you mean `recency`?"), "{near}");
}

#[test]
fn a_built_policy_equals_the_policy_parsed_from_its_specification() {
    let scorer = WindowAttention { window: 8, ..WindowAttention::default() };
    let built = Policy::builder(Adaptive::default(), scorer)
        .guard(Guard { sinks: 1, recent: 0 })
        .pooling(Pooling::Max)
        .build()
        .unwrap();
    let read = Policy::parse(built.spec()).unwrap();
    assert_eq!(
        (built.spec(), built.explicit_spec(), built.needs(), built.role(), built.guard()),
        (read.spec(), read.explicit_spec(), read.needs(), read.role(), read.guard())
    );
    let seeded = Policy::builder(Uniform::default(), Random { seed: 3 }).build().unwrap();
    assert_eq!((seeded.spec(), seeded.role()), ("uniform+random{seed=3}", Role::Control));
    // The registry does not need to know a part.
    let unregistered = Policy::builder(Uniform::default(), Drawn::default()).build().unwrap();
    assert_eq!((unregistered.spec(), unregistered.role()), ("uniform+drawn", Role::Control));
}

#[test]
fn a_builder_refuses_invalid_policies() {
    let error_of = |built: Result<Policy, Error>| built.unwrap_err().to_string();
    assert_eq!(
        error_of(Policy::builder(Adaptive::default(), Recency::default()).build()),
        "`adaptive+recency` is not a valid policy: `adaptive` compares scores between heads, but `recency` \
         gives every head the same scores"
    );
    let hollow = WindowAttention { window: 0, ..WindowAttention::default() };
    assert_eq!(
        error_of(Policy::builder(Uniform::default(), hollow).build()),
        "option `window` of `window-attention` cannot be 0: a window has at least one query"
    );
    assert_eq!(
        error_of(Policy::builder(Uniform::default(), KeyDiff::default()).pooling(Pooling::Max).build()),
        "option `pool` of `key-diff` cannot be \"max\": `key-diff` has no such option"
    );
    let tova = Policy::parse("uniform+critical{base='tova',pool='sum'}");
    assert!(error_of(tova).ends_with("its base scorer `tova` has no option `pool`"));
    let pooled =
        Policy::builder(Uniform::default(), Critical::default()).pooling(Pooling::Sum).build().unwrap();
    assert_eq!(pooled.spec(), "uniform+critical{pool=\"sum\"}");
}

#[test]
fn a_compressor_is_refused_in_one_sentence() {
    for text in ["uniform+recency|merge", "full|merge", "snapkv | merge{}"] {
        let message = Registry::standard().policy(text).unwrap_err().to_string();
        assert!(message.starts_with(&format!("policy `{text}` asks for the compressor `merge")), "{message}");
        assert!(message.ends_with("but no compressor exists yet: remove `|` and what follows"), "{message}");
    }
}

#[test]
fn kinds_have_names() {
    let kinds: Vec<&str> =
        Registry::standard().listings().iter().map(|listing| listing.kind.name()).collect();
    assert!(
        ["allocator", "scorer", "rule"].iter().all(|kind| kinds.contains(kind))
            && !kinds.contains(&"kvpress")
    );
    assert_eq!(PolicyKind::Suite("kvpress").name(), "kvpress");
}

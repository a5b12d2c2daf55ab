//! The error messages for options that a method does not have, and for invalid values.

use bitkv_evict::{Policy, Registry, Shape};

fn error_of(spec: &str) -> String {
    let message = Policy::parse(spec).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn unknown_options_name_the_known_ones() {
    assert_eq!(
        error_of("uniform+window-attention{windw=64}"),
        "`window-attention` has no option `windw`; it has: kernel, pool, recent, sinks, smooth, window"
    );
    assert_eq!(
        error_of("uniform{group='max'}+recency"),
        "`uniform` has no option `group`; it has: whole-layers"
    );
    assert_eq!(error_of("entropy{sinks=1}+recency"), "`entropy` has no option `sinks`; it has: group");
    assert_eq!(error_of("entropy-global{keep=1}"), "`entropy-global` has no option `keep`; it has none");
}

#[test]
fn values_of_the_wrong_type_or_out_of_range_are_errors() {
    let refused = [
        (
            "uniform+window-attention{kernel=3,window='x'}",
            "option `window` of `window-attention` cannot be \"x\": write a whole number of at least 0",
        ),
        (
            "uniform+window-attention{window=32.0}",
            "option `window` of `window-attention` cannot be 32.0: write a whole number of at least 0",
        ),
        (
            "uniform+window-attention{window=-1}",
            "option `window` of `window-attention` cannot be -1: write a whole number of at least 0",
        ),
        (
            "uniform+window-attention{window=0}",
            "option `window` of `window-attention` cannot be 0: a window has at least one query",
        ),
        (
            "uniform+window-attention{kernel=4}",
            "option `kernel` of `window-attention` cannot be 4: a centred kernel has an odd width",
        ),
        (
            "uniform+window-attention{kernel=0}",
            "option `kernel` of `window-attention` cannot be 0: a centred kernel has an odd width",
        ),
        (
            "uniform+recency{sinks='x',recent=1}",
            "option `sinks` of `recency` cannot be \"x\": write a whole number of at least 0",
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
        (
            "uniform+critical{epsilon=-1}",
            "option `epsilon` of `critical` cannot be -1: it must be between 0 and 1",
        ),
        (
            "uniform+critical{first-stage=1.5}",
            "option `first-stage` of `critical` cannot be 1.5: it must be between 0 and 1",
        ),
        (
            "uniform+critical{base='tova',pool='max'}",
            "option `pool` of `critical` cannot be \"max\": its base scorer `tova` has no option `pool`",
        ),
        (
            "uniform+critical{base='kvzip',pool='sum'}",
            "option `pool` of `critical` cannot be \"sum\": its base scorer `kvzip` has no option `pool`",
        ),
        (
            "uniform+accumulated-attention{recent-part=1.5}",
            "option `recent-part` of `accumulated-attention` cannot be 1.5: it must be between 0 and 1",
        ),
        (
            "uniform+defensive{mass=2.0}",
            "option `mass` of `defensive` cannot be 2.0: it must be between 0 and 1",
        ),
        (
            "uniform+defensive{kernel=2}",
            "option `kernel` of `defensive` cannot be 2: a centred kernel has an odd width",
        ),
        (
            "uniform+cake-attention{window=0}",
            "option `window` of `cake-attention` cannot be 0: a window has at least one query",
        ),
        (
            "uniform+cake-attention{gamma=-1.0}",
            "option `gamma` of `cake-attention` cannot be -1.0: a weight is finite and not negative",
        ),
        (
            "uniform+cake-attention{gamma=inf}",
            "option `gamma` of `cake-attention` cannot be inf: a weight is finite and not negative",
        ),
        (
            "uniform+expected-attention{future=0}",
            "option `future` of `expected-attention` cannot be 0: write 1 to 65536 future positions, because each takes time",
        ),
        (
            "uniform+expected-attention{epsilon=nan}",
            "option `epsilon` of `expected-attention` cannot be nan: it must be between 0 and 1",
        ),
        (
            "uniform+expected-attention{future=100000000}",
            "option `future` of `expected-attention` cannot be 100000000: write 1 to 65536 future positions, because each takes time",
        ),
        (
            "uniform+recency{sinks=9223372036854775807}",
            "option `sinks` of `recency` cannot be 9223372036854775807: write a whole number of at most 67108864",
        ),
        (
            "uniform{whole-layers=100000000}+recency",
            "option `whole-layers` of `uniform` cannot be 100000000: write a whole number of at most 67108864",
        ),
        (
            "uniform+cake-attention{gamma=1e308}",
            "option `gamma` of `cake-attention` cannot be 1000000000000000000000000000000000000000...: write a number from -1000000000 to 1000000000",
        ),
        ("uniform+lag{lag=0}", "option `lag` of `lag` cannot be 0: a partition has at least one token"),
        (
            "uniform+r-kv{threshold=1.1}",
            "option `threshold` of `r-kv` cannot be 1.1: a cosine is between -1 and 1",
        ),
        ("uniform+r-kv{lambda=2}", "option `lambda` of `r-kv` cannot be 2: it must be between 0 and 1"),
        ("uniform+r-kv{window=0}", "option `window` of `r-kv` cannot be 0: a window has at least one query"),
        (
            "pyramid{beta=0.5}+recency",
            "option `beta` of `pyramid` cannot be 0.5: \
             it is finite and at least 1, since the last layer gets 1 / beta of the average",
        ),
        (
            "pyramid{beta=inf}+recency",
            "option `beta` of `pyramid` cannot be inf: it is finite and at least 1, since the last layer",
        ),
        (
            "adaptive{safeguard=2.0}+kvzip",
            "option `safeguard` of `adaptive` cannot be 2.0: it must be between 0 and 1",
        ),
        (
            "global{safeguard=-1.0}+kvzip",
            "option `safeguard` of `global` cannot be -1.0: it must be between 0 and 1",
        ),
        ("cake{window=0}+recency", "option `window` of `cake` cannot be 0: a window has at least one query"),
        (
            "cake{tau1=0.0}+recency",
            "option `tau1` of `cake` cannot be 0.0: a temperature is finite and at least 0.001",
        ),
        (
            "cake{tau2=0.0009}+recency",
            "option `tau2` of `cake` cannot be 0.0009: a temperature is finite and at least 0.001",
        ),
        (
            "cake{tau2=inf}+recency",
            "option `tau2` of `cake` cannot be inf: a temperature is finite and at least 0.001",
        ),
        (
            "zig-zag{window=0}+recency",
            "option `window` of `zig-zag` cannot be 0: a window has at least one query",
        ),
        ("zig-zag{mass=1.5}+recency", "option `mass` of `zig-zag` cannot be 1.5: it must be between 0 and 1"),
        ("zig-zag{least=-1.0}+recency", "option `least` of `zig-zag` cannot be -1.0: it must be between"),
        ("squeeze{part=3.0}+recency", "option `part` of `squeeze` cannot be 3.0: it must be between 0 and 1"),
        (
            "head-scores{beta=0.9}+recency",
            "option `beta` of `head-scores` cannot be 0.9: it is finite and at least 1, since 1 / beta is the fraction that is divided by score",
        ),
        (
            "head-scores{beta=inf}+recency",
            "option `beta` of `head-scores` cannot be inf: it is finite and at least 1, since 1 / beta",
        ),
        (
            "duo{sinks=0,recent=0}+recency",
            "option `recent, sinks` of `duo` cannot be {recent=0,sinks=0}: \
             a streaming head needs room for at least one token",
        ),
        ("duo{window=0}+recency", "option `window` of `duo` cannot be 0: a window has at least one query"),
        ("uniform+critical{epsilon='x'}", "option `epsilon` of `critical` cannot be \"x\": write a number"),
        ("uniform+critical{base=1}", "option `base` of `critical` cannot be 1: write a string in quotes"),
        (
            "uniform+random{seed=-1}",
            "option `seed` of `random` cannot be -1: write a whole number of at least 0",
        ),
    ];
    for (spec, start) in refused {
        let message = error_of(spec);
        assert!(message.starts_with(start), "{spec}: {message}");
    }
}

/// Every option that takes a number has a range, and only a seed may be any number.
#[test]
fn every_number_of_every_method_has_a_range() {
    let registry = Registry::standard();
    for listing in registry.listings() {
        let ranges = registry.option_ranges(&listing);
        let numbers = listing.options.iter().filter(|(_, default)| default.parse::<f64>().is_ok());
        let names: Vec<&String> = numbers.map(|(name, _)| name).collect();
        assert_eq!(names, ranges.iter().map(|(name, _)| name).collect::<Vec<_>>(), "{}", listing.name);
        for (name, range) in ranges {
            let any = range.starts_with("any whole number");
            assert_eq!(any, name == "seed", "{} {name}: {range}", listing.name);
        }
    }
    let range = |name: &str, option: &str| {
        let listing = registry.listings().into_iter().find(|listing| listing.name == name).unwrap();
        registry.option_ranges(&listing).into_iter().find(|(name, _)| name == option).unwrap().1
    };
    assert_eq!(range("expected-attention", "future"), "1 to 65536");
    assert_eq!(range("window-attention", "kernel"), "1 to 67108864, odd");
    assert_eq!(range("window-attention", "sinks"), "0 to 67108864");
    assert_eq!(range("adaptive", "safeguard"), "0 to 1");
    assert_eq!(range("r-kv", "threshold"), "-1 to 1");
    assert_eq!(range("pyramid", "beta"), "1 to 1000000000");
}

#[test]
fn more_whole_layers_than_the_model_has_are_refused() {
    let shape = |layers| Shape { layers, query_heads: 1, kv_heads: 1, tokens: 4, head_dim: 0 };
    let policy = Policy::parse("uniform{whole-layers=5}+recency").unwrap();
    assert!(policy.check_shape(shape(5)).is_ok());
    let message = policy.check_shape(shape(4)).unwrap_err().to_string();
    assert!(message.ends_with("it has 4 layers and whole-layers is 5: use at most 4"), "{message}");
}

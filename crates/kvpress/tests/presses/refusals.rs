//! Tests of the inputs that presses refuse, and of the error messages.

use bitkv_evict::{Budget, Need, Observation, Shape};

use crate::support::read;

const SHAPE: Shape = Shape { layers: 1, query_heads: 1, kv_heads: 1, tokens: 4, head_dim: 2 };

/// Returns the error of planning `seen` with a press.
fn plan_error(press: &str, seen: &Observation<'_>) -> String {
    let policy = read(press).unwrap();
    policy.plan(seen, Budget::ratio(0.5).unwrap()).unwrap_err().to_string()
}

/// Returns the error of parsing a press.
fn parse_error(press: &str) -> String {
    read(press).unwrap_err().to_string()
}

#[test]
fn a_cache_not_longer_than_the_protected_tokens_is_refused() {
    let row = [0.25f32; 4];
    let seen = Observation::new(SHAPE).with_rows(Need::Window(4), [&row]);
    assert_eq!(
        plan_error("kvpress:snapkv{window_size=4}", &seen),
        "policy `kvpress:snapkv{window_size=4}` cannot plan this cache, because it has 4 tokens and the \
         press needs more than window_size=4: use a longer context, or set window_size below 4"
    );
    assert!(
        plan_error("kvpress:streaming_llm", &seen)
            .contains("more than n_sink=4: use a longer context, or set n_sink below 4")
    );
    let keys = [1.0f32; 8];
    let moments = [0.0f32; 6];
    let mut seen = seen
        .with_rows(Need::Keys, [&keys])
        .with_rows(Need::Values, [&keys])
        .with_rows(Need::QueryMoments(4), [&moments]);
    seen.rope_theta = Some(10_000.0);
    assert!(
        plan_error("kvpress:expected_attention", &seen)
            .contains("more than n_sink=4: use a longer context, or set n_sink below 4")
    );
    // LagKV plans caches of every length.
    let plan = read("kvpress:lagkv").unwrap().plan(&seen, Budget::ratio(0.5).unwrap()).unwrap();
    assert_eq!(plan.kept(0, 0), [2, 3]);
}

#[test]
fn an_odd_head_dim_and_infinite_scores_are_refused() {
    let row = [0.0f32; 12];
    let shape = Shape { head_dim: 3, ..SHAPE };
    let mut seen = Observation::new(shape)
        .with_rows(Need::Keys, [&row])
        .with_rows(Need::Values, [&row])
        .with_rows(Need::QueryMoments(1), [&row]);
    seen.rope_theta = Some(10_000.0);
    assert!(plan_error("kvpress:expected_attention{n_sink=1}", &seen).contains("head_dim is 3"));
    let cur = plan_error("kvpress:cur{num_sinks=0}", &seen);
    assert!(cur.contains("position 0 of layer 0, KV head 0 scores NaN, which is not finite"), "{cur}");
}

#[test]
fn a_compressed_cache_is_refused() {
    let mut seen = Observation::new(SHAPE);
    let held = [0u32, 3];
    seen.positions = vec![&held];
    assert!(plan_error("kvpress:streaming_llm{n_sink=1}", &seen).contains("plans whole caches only"));
}

#[test]
fn options_without_a_meaning_are_refused() {
    assert_eq!(
        parse_error("kvpress:adakv_snapkv{alpha_safeguard=1.5}"),
        "option `alpha_safeguard` of `kvpress:adakv_snapkv` cannot be 1.5: it must be between 0 and 1"
    );
    for (press, reason) in [
        ("snapkv{window_size=0}", "at least one query"),
        ("snapkv{kernel_size=4}", "odd width"),
        ("pyramidkv{beta=0}", "it divides the average budget; use at least 1"),
        ("pyramidkv{kernel_size=2}", "odd width"),
        ("chunkkv{chunk_length=0}", "at least one token"),
        ("block_keydiff{block_size=0}", "at least one token"),
        ("lagkv{lag_size=0}", "at least one token"),
        ("cur{local_window_size=0}", "at least one token"),
        ("cur{leverage_type='both'}", "unknown variant"),
        ("expected_attention{n_future_positions=0}", "no positions"),
        ("expected_attention{epsilon=-0.1}", "at least 0"),
        ("adakv_expected_attention_e2{epsilon=nan}", "at least 0"),
        ("critical_snapkv{first_stage_ratio=-0.5}", "between 0 and 1"),
        ("critical_snapkv{epsilon=inf}", "at least 0"),
        ("critical_adakv_snapkv{epsilon=-1.0}", "at least 0"),
        ("critical_adakv_snapkv{first_stage_ratio=2.0}", "between 0 and 1"),
        ("critical_adakv_snapkv{alpha_safeguard=-1.0}", "between 0 and 1"),
        ("critical_expected_attention{n_future_positions=0}", "no positions"),
        ("knorm{window_size=3}", "it has none"),
        ("critical_expected_attention{use_vnorm=true}", "has no option `use_vnorm`"),
    ] {
        let error = parse_error(&format!("kvpress:{press}"));
        assert!(error.contains(reason), "{press}: {error}");
    }
    assert!(parse_error("kvpress:snapvk").contains("did you mean `kvpress:snapkv`?"));
    let foo = parse_error("kvpress:foo");
    assert!(foo.starts_with("there is no policy named `kvpress:foo`; there are: kvpress:"), "{foo}");
    assert!(foo.contains("kvpress:snapkv, ") && foo.contains("kvpress:tova"), "{foo}");
}

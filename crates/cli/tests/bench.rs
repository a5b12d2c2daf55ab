//! `bitkv bench`: what it prints, and what it refuses.

mod support;

use support::{Place, keys, list, model::config, number};

/// A short run on the trained model's shape.
fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let base =
        ["bench", "--shape", "first-gqa/config.json", "--layers", "2", "--warm-up", "0", "--repeats", "2"];
    [&base[..], more].concat()
}

#[test]
fn rows_and_ceilings() {
    let place = Place::new();
    let tests = ["--prefill", "16,32", "--probes", "off,entropy", "--decode", "3", "--depth", "0,40"];
    let more = ["--budget", "1.0,0.25", "--head-budgets", "uneven", "--threads", "1,2"];
    let document = place.json(&short(&[&tests[..], &more[..]].concat()));
    assert_eq!(
        keys(&document),
        [
            "ceilings",
            "ceilings_by_threads",
            "isa",
            "machine",
            "memory",
            "method",
            "model",
            "peak_rss_bytes",
            "rows",
            "versions"
        ]
    );
    let rows = list(&document["rows"]);
    assert_eq!(rows.len(), 2 * (2 * 2 + 3));
    for row in rows {
        let rate = &row["tokens_per_second"];
        let [min, median, max] = ["min", "median", "max"].map(|key| number(&rate[key]));
        assert!(0.0 < min && min <= median && median <= max, "{rate}");
        assert_eq!(list(&row["seconds"]).len(), 2);
        assert!(["off", "entropy"].contains(&row["probes"].as_str().unwrap()));
        assert!(["prefill", "decode"].contains(&row["test"].as_str().unwrap()));
    }
    let ceilings = &document["ceilings"];
    for key in ["read_bytes_per_second", "int8_ops_per_second", "f32_ops_per_second"] {
        assert!(number(&ceilings[key]) > 0.0, "{key}");
    }
    assert_eq!(ceilings["threads"], 2);
    assert_eq!((&document["model"]["layers"], &document["model"]["random"]), (&2.into(), &true.into()));
    // The compressed cache holds a quarter of the entries of the full one.
    let cache = |budget: f64| {
        let row = rows.iter().find(|row| row["depth"] == 40 && row["budget"] == budget).unwrap();
        number(&row["cache_bytes"])
    };
    assert_eq!(cache(1.0), 4.0 * cache(0.25));
}

#[test]
fn a_model_a_file_and_a_fit() {
    let place = Place::new();
    let document =
        place.json(&["bench", "--model", "tiny-mha", "--decode", "2", "--warm-up", "0", "--repeats", "1"]);
    assert_eq!(
        (&document["model"]["name"], &document["model"]["random"]),
        (&"tiny-mha".into(), &false.into())
    );
    assert_eq!(list(&document["rows"]).len(), 1);
    assert!(document.get("fits").is_none());

    let mut short = config();
    short["max_position_embeddings"] = 64.into();
    place.write("shape.json", short.to_string());
    let base = ["bench", "--shape", "shape.json", "--warm-up", "0", "--repeats", "1", "--fit"];
    let document = place.json(&[&base[..], &["16,32,128"]].concat());
    assert_eq!(document["model"]["positions"], 128);
    let fit = &list(&document["fits"])[0];
    assert_eq!(list(&fit["points"]).len(), 3);
    assert!(fit["linear_seconds_per_token"].is_number());
    let text = place.text(&[&base[..], &["16,32,128"]].concat());
    for part in [
        "prefill 128",
        "read, GB/s",
        "linear layers",
        "a T + b T^2",
        "random weights",
        "Medians of 1 pass after 0 warm-up passes",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn instructions_can_be_forced() {
    let place = Place::new();
    let arguments = [&short(&["--prefill", "16"])[..], &["--json"]].concat();
    let output = place.command(&arguments).env("BITKV_ISA", "scalar").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["isa"], "scalar");
    let output = place.command(&arguments).env("BITKV_ISA", "mmx").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("BITKV_ISA is \"mmx\""), "{said}");
}

#[test]
fn an_int8_lm_head_is_smaller() {
    let place = Place::new();
    let [exact, rounded] =
        ["exact", "int8"].map(|head| place.json(&short(&["--decode", "3", "--lm-head", head])));
    let bytes = |document: &serde_json::Value| number(&document["memory"]["head_bytes"]);
    assert_eq!((&exact["model"]["head"], &rounded["model"]["head"]), (&"exact".into(), &"int8".into()));
    assert!(bytes(&rounded) < 0.6 * bytes(&exact), "{} {}", bytes(&rounded), bytes(&exact));
}

/// Compares the messages for an impossible number of layers, which is refused before any work.
#[test]
fn a_shape_has_several_names() {
    let place = Place::new();
    let refusal = |shape: &str| {
        let base = ["bench", "--shape", shape, "--layers", "99"];
        let said = String::from_utf8(place.run(&base).stderr).unwrap();
        assert!(said.contains("--layers 99"), "{said}");
        said.replace(shape, "SHAPE")
    };
    for names in [
        ["2b-4t", "BitNet-b1.58-2B-4T", "microsoft/bitnet-b1.58-2B-4T", "bitnet-b1.58-2b-4t"],
        ["large", "bitnet_b1_58-large", "1bitLLM/bitnet_b1_58-large", "Large"],
    ] {
        assert!(names.iter().all(|name| refusal(name) == refusal(names[0])), "{names:?}");
    }
    assert_eq!(refusal("Tiny-GQA"), refusal("tiny-gqa"));
}

#[test]
fn impossible_requests_are_refused() {
    let place = Place::new();
    for (more, says) in [
        (&["--prefill", "100000"][..], "--prefill 100000 is longer than the model's"),
        (&["--decode", "4", "--depth", "99999"], "--depth 99999"),
        (&["--prefill", "16", "--budget", "1.5"], "--budget 1.5"),
        (&["--prefill", "16", "--budget", "-1"], "--budget -1"),
        (&["--prefill", "16", "--threads", "0"], "--threads 0"),
        (&["--prefill", "16", "--probes", "entropi"], "--probes entropi is not known: use off, entropy"),
        (
            &["--prefill", "16", "--head-budgets", "odd"],
            "--head-budgets odd is not a way to divide a budget among heads: use even",
        ),
        (
            &["--prefill", "16", "--fill", "water"],
            "--fill water is not a way to fill the cache: use synthetic",
        ),
        (&["--fit", "64"], "two lengths"),
        (&["--decode", "0"], "--decode 0 measures nothing: give at least one token"),
    ] {
        place.refuses(&short(more), &[says]);
    }
    let few = ["--prefill", "16", "--repeats", "0"];
    place.refuses(&[&["bench", "--shape", "tiny-mha"][..], &few].concat(), &["--repeats 0"]);
    place.refuses(&["bench"], &["--shape", "--model"]);
    place.refuses(&["bench", "--shape", "tiny-mha", "--model", "tiny-mha"], &["either a --shape"]);
    place.refuses(&["bench", "--model", "tiny-mha", "--layers", "1"], &["--layers"]);
    place.refuses(&["bench", "--model", "tiny-mha", "--as", "plain-llama"], &["leave out --as"]);
    place.refuses(&["bench", "--shape", "tiny-mha", "--layers", "0"], &["--layers 0", "tiny-mha has"]);
    place.refuses(&["bench", "--shape", "7b"], &["no shape 7b", "2b-4t, large, tiny-mha, tiny-gqa"]);
    place.write("shape.json", "{\"architectures\": [");
    place.refuses(&["bench", "--shape", "shape.json"], &["shape.json is not valid JSON"]);
}

//! `bitkv memory`: the published table, the actual one, and their document.

mod support;

use std::process::Output;

use serde_json::Value;
use support::{
    Place, count, keys, list,
    model::{BUILT_IN, Copy, MODEL},
    number,
};

fn memory(place: &Place, model: &str, context: &str, accounting: &str) -> Value {
    place.json(&["memory", "--model", model, "--context", context, "--accounting", accounting])
}

/// Returns the KV shares in percent, rounded to one decimal.
fn shares(document: &Value) -> Vec<f64> {
    let rows = list(&document["rows"]).iter();
    rows.map(|row| (number(&row["kv_fraction"]) * 1000.0).round() / 10.0).collect()
}

#[test]
fn the_published_shares_to_their_last_digit() {
    let place = Place::new();
    let large = memory(&place, "bitnet_b1_58-large", "512,1024,2048", "published");
    assert_eq!(shares(&large), [32.7, 49.1, 65.4]);
    let grouped = memory(&place, "BitNet-b1.58-2B-4T", "512,1024,2048,4096", "published");
    assert_eq!(shares(&grouped), [7.6, 14.0, 24.4, 38.7]);
}

#[test]
fn the_actual_shares() {
    let place = Place::new();
    let grouped = memory(&place, "BitNet-b1.58-2B-4T", "512,2048,4096", "actual");
    assert_eq!(shares(&grouped), [3.2, 11.7, 20.8]);
}

#[test]
fn the_document() {
    let place = Place::new();
    for (model, accounting) in [("BitNet-b1.58-2B-4T", "published"), (MODEL, "actual")] {
        let document = memory(&place, model, "17,512", accounting);
        assert_eq!(keys(&document), ["accounting", "budget", "kv", "model", "rows"]);
        assert_eq!((&document["model"], &document["accounting"]), (&model.into(), &accounting.into()));
        let rows = list(&document["rows"]);
        assert_eq!(rows.iter().map(|row| count(&row["context"])).collect::<Vec<_>>(), [17, 512]);
        for row in rows {
            let bytes = ["weight_bytes", "kv_bytes", "activation_bytes"].map(|key| count(&row[key]));
            assert_eq!(count(&row["total_bytes"]), bytes.iter().sum::<usize>());
            assert_eq!(number(&row["kv_fraction"]), bytes[1] as f64 / count(&row["total_bytes"]) as f64);
        }
        // Weights do not depend on the context, and the cache is proportional to it.
        assert_eq!(rows[0]["weight_bytes"], rows[1]["weight_bytes"]);
        assert_eq!(count(&rows[0]["kv_bytes"]) * 512, count(&rows[1]["kv_bytes"]) * 17);
    }
}

#[test]
fn the_table_for_people_has_the_same_shares() {
    let text = Place::new().text(&["memory", "--model", "bitnet_b1_58-large", "--accounting", "published"]);
    assert!(["32.7", "49.1", "65.4"].iter().all(|share| text.contains(share)), "{text}");
}

/// Runs a command that can neither reach the hub nor find a model in its cache.
fn offline(place: &Place, arguments: &[&str]) -> Output {
    let mut command = place.command(arguments);
    let home = place.path("home");
    command.env_remove("HF_HUB_CACHE").env_remove("HUGGINGFACE_HUB_CACHE");
    command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", home).output().unwrap()
}

/// Returns the name of the model in the document.
#[track_caller]
fn named(place: &Place, model: &str, more: &[&str]) -> Value {
    let base = ["memory", "--model", model, "--context", "4096", "--json"];
    let output = offline(place, &[&base[..], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["model"].clone()
}

#[test]
fn known_configurations_need_no_hub() {
    let place = Place::new();
    for (name, others) in [
        ("BitNet-b1.58-2B-4T", ["microsoft/bitnet-b1.58-2B-4T", "BITNET-B1.58-2B-4T", "bitnet-b1.58-2b-4t"]),
        ("bitnet_b1_58-large", ["1bitLLM/bitnet_b1_58-large", "1bitllm/BitNet_b1_58-large", "LARGE"]),
    ] {
        for asked in [name].into_iter().chain(others) {
            assert_eq!(named(&place, asked, &[]), name, "{asked}");
            let marked = format!("{name}+plain-llama");
            assert_eq!(named(&place, asked, &["--as", "plain-llama"]), marked, "{asked}");
        }
    }
    assert_eq!(named(&place, &BUILT_IN.to_uppercase(), &[]), BUILT_IN);
    place.refuses(
        &["memory", "--model", "2b-4t", "--i2s-layout", "x86"],
        &["BitNet-b1.58-2B-4T", "leave out --i2s-layout"],
    );
}

/// A revision may have another configuration, so the known configuration is not used.
#[test]
fn a_revision_is_asked_of_the_hub() {
    let place = Place::new();
    for model in ["microsoft/bitnet-b1.58-2B-4T@main", "other/BitNet-b1.58-2B-4T"] {
        let output = offline(&place, &["memory", "--model", model]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("HF_HUB_OFFLINE is set"), "{model}: {said}");
    }
}

#[test]
fn a_folder_takes_precedence_over_a_known_name() {
    let place = Place::new();
    Copy::new(&place, "BitNet-b1.58-2B-4T");
    let first_row = |model: &str| list(&memory(&place, model, "512", "actual")["rows"])[0].clone();
    assert_eq!(first_row("BitNet-b1.58-2B-4T"), first_row(MODEL));
    assert_ne!(first_row("microsoft/bitnet-b1.58-2B-4T"), first_row(MODEL));
    let other_case = BUILT_IN.to_uppercase();
    Copy::new(&place, &other_case).change_json("config.json", |config| config["rope_theta"] = 20000.into());
    assert_eq!(memory(&place, &other_case, "512", "actual")["model"], *other_case);
}

#[test]
fn a_compressed_cache_and_what_fits() {
    let place = Place::new();
    let memory = |more: &[&str]| {
        let arguments = ["memory", "--model", "BitNet-b1.58-2B-4T", "--context", "4096"];
        place.json(&[&arguments[..], more].concat())
    };
    let kv = |document: &Value| count(&document["rows"][0]["kv_bytes"]);
    let whole = kv(&memory(&[]));
    assert_eq!(kv(&memory(&["--budget", "0.25"])) * 4, whole);
    assert_eq!(kv(&memory(&["--kv", "f32"])), 2 * whole);
    assert!(kv(&memory(&["--kv", "int8"])) < whole * 6 / 10);

    let fit = |more: &[&str]| memory(more)["fit"].clone();
    let full = count(&fit(&["--fit", "1240 MiB"])["context"]);
    assert!((500..4096).contains(&full), "{full}");
    let half = fit(&["--fit", "1240 MiB", "--budget", "0.5"]);
    assert_eq!(count(&half["context"]), full, "the prompt is read into a whole cache");
    assert!(count(&half["context_after_prompt"]) > full);
    assert_eq!(fit(&["--fit", "8 GiB"])["context"], 4096);
    assert_eq!(fit(&["--fit", "1 MiB"])["context"], Value::Null);
    assert_eq!(fit(&["--fit", "1.24 GB"]), fit(&["--fit", "1240000000"]));
    let text = |more: &[&str]| {
        let arguments = ["memory", "--model", "BitNet-b1.58-2B-4T", "--context", "512"];
        place.text(&[&arguments[..], more].concat())
    };
    assert!(text(&["--fit", "1 MiB"]).contains("Not even one token"));
    assert!(text(&["--fit", "8 GiB"]).contains("All 4096 tokens"));
    assert!(text(&["--budget", "0.5"]).contains("Until then it is whole"));
    assert!(!text(&[]).contains("Until then"));
    for (options, says) in [
        (["--budget", "0"], "--budget 0"),
        (["--fit", "0"], "--fit 0"),
        (["--fit", "two"], "--fit"),
        (["--budget", "1.5"], "1.5"),
    ] {
        let output = place.run(&[&["memory", "--model", "BitNet-b1.58-2B-4T"], &options[..]].concat());
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains(says));
    }
}

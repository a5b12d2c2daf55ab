//! `bitkv list`: the models, policies, metrics and experiments.

mod support;

use serde_json::Value;
use support::{Place, grid::definition, keys, list, model::BUILT_IN};

#[test]
fn the_document() {
    let document = Place::new().json(&["list"]);
    assert_eq!(keys(&document), ["commands", "metrics", "models", "policies", "presets"]);
    let names = |key: &str| list(&document["models"][key]).to_vec();
    assert!(names("built_in").contains(&BUILT_IN.into()), "{document}");
    assert_eq!(names("configurations"), ["bitnet_b1_58-large", "BitNet-b1.58-2B-4T"]);
    for policy in list(&document["policies"]) {
        let texts = ["kind", "name", "description", "source"].map(|key| policy[key].as_str().unwrap());
        assert!(
            ["allocator", "scorer", "rule", "kvpress"].contains(&texts[0])
                && texts.iter().all(|t| !t.is_empty())
        );
        let roles = ["full", "published", "method", "control", "oracle"];
        assert!(roles.contains(&policy["role"].as_str().unwrap()), "{policy}");
        assert!(policy["oracle"].is_boolean() && policy["conserving"].is_boolean());
        assert!(policy["options"].is_object());
    }
    let named = |name: &str| list(&document["policies"]).iter().find(|policy| policy["name"] == name);
    assert_eq!(named("entropy-inverted").unwrap()["oracle"], true);
    assert_eq!(named("entropy-global").unwrap()["conserving"], false);
    let role = |name: &str| named(name).unwrap()["role"].clone();
    assert_eq!([role("full"), role("entropy-global"), role("random")], ["full", "published", "control"]);
    assert_eq!([role("oracle"), role("tova"), role("entropy-permuted")], ["oracle", "method", "control"]);
    assert_eq!(named("oracle").unwrap()["oracle"], true);
    assert_eq!(named("uniform").unwrap()["conserving"], true);
    assert_eq!(named("recency").unwrap()["options"]["sinks"], "4");
    assert_eq!(named("kvpress:tova").unwrap()["kind"], "kvpress");
    let preset = list(&document["presets"]).iter().find(|preset| preset["name"] == "streaming-llm");
    assert_eq!(preset.unwrap()["spec"], "uniform+recency{recent=0}");
}

#[test]
fn metrics_say_which_way_is_better() {
    let document = Place::new().json(&["list", "metrics"]);
    for metric in list(&document["metrics"]) {
        let texts =
            ["name", "unit", "range", "better", "description"].map(|key| metric[key].as_str().unwrap());
        assert!(texts.iter().all(|text| !text.is_empty()), "{metric}");
    }
    let named = |name: &str| list(&document["metrics"]).iter().find(|metric| metric["name"] == name).unwrap();
    assert_eq!((&named("kl_nats")["better"], &named("kl_nats")["group"]), (&"lower".into(), &"kl".into()));
    assert_eq!((&named("correct")["better"], &named("correct")["group"]), (&"higher".into(), &Value::Null));
}

#[test]
fn experiments_come_from_the_folder_experiments() {
    let place = Place::with_texts();
    place.refuses(&["list", "experiments"], &["no folder experiments here: run bitkv in the repository"]);
    place.write("experiments/small.toml", definition(&[]));
    let document = place.json(&["list", "experiments"]);
    assert_eq!(document["experiments"], place.json(&["run", "--list"]));
    assert_eq!(document["experiments"][0]["file"], "experiments/small.toml");
    assert!(keys(&place.json(&["list"])).contains(&"experiments"));
    assert!(place.text(&["list"]).contains("Which is best?"));
}

#[test]
fn one_topic_can_be_listed() {
    let place = Place::new();
    assert_eq!(keys(&place.json(&["list", "models"])), ["models"]);
    assert_eq!(keys(&place.json(&["list", "policies"])), ["policies", "presets"]);
    let text = place.text(&["list"]);
    assert!(
        [BUILT_IN, "window-attention", "entropy-inverted (oracle)", "criticalkv", "sinks=4", "kl_nats"]
            .iter()
            .all(|n| text.contains(n)),
        "{text}"
    );
}

#[test]
fn one_policy_can_be_shown() {
    let place = Place::new();
    let text = place.text(&["list", "policies", "window-attention"]);
    for part in ["scorer", "options and their defaults", "kernel=", "formula"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let document = place.json(&["list", "policies", "snapkv"]);
    assert_eq!(document["preset"]["name"], "snapkv");
    assert_eq!(list(&document["policies"]).len(), 0);
    assert_eq!(keys(&place.json(&["list", "presets"])), ["presets"]);
    place.refuses(&["list", "policies", "snapvk"], &["there is no policy snapvk", "snapkv"]);
    place.refuses(&["list", "models", "tiny-gqa"], &["bitkv list policies tiny-gqa"]);
}

#[test]
fn tables_fit_the_width() {
    let place = Place::new();
    for columns in [100, 120, 200] {
        let lists = ["models", "policies", "metrics", "commands"].map(|topic| vec!["list", topic]);
        let memory = vec!["memory", "--model", "BitNet-b1.58-2B-4T", "--budget", "0.5", "--fit", "1GiB"];
        for arguments in lists.into_iter().chain([memory]) {
            let mut command = place.command(&arguments);
            let output = command.env("COLUMNS", columns.to_string()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{arguments:?} is {widest} wide in {columns} columns");
        }
    }
}

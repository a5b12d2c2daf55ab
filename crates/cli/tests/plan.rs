//! `bitkv plan`: the document and the exact budgets.

mod support;

use std::collections::BTreeMap;

use bitkv_evict::{Error, Need, Policy};
use safetensors::Dtype;
use serde_json::Value;
use support::{
    Place, count, list,
    model::{Copy, MODEL, Tensor, size},
    number,
};

const TOKENS: usize = 50;

fn plan(place: &Place, policy: &str, budget: &str) -> Value {
    let tokens = ["--tokens", "tokens.json"];
    let arguments = ["plan", "--model", MODEL, "--policy", policy, "--budget", budget];
    place.json(&[&arguments[..], &tokens].concat())
}

/// Returns the kept positions of every KV head, layer by layer.
fn kept(plan: &Value) -> Vec<Vec<usize>> {
    let heads = list(&plan["layers"]).iter().flat_map(|layer| list(&layer["heads"]));
    heads.map(|head| list(&head["kept"]).iter().map(count).collect()).collect()
}

/// Returns every policy of `bitkv list policies` that conserves its budget and can be planned.
fn conserving(place: &Place) -> Vec<String> {
    let listed = place.json(&["list", "policies"]);
    let names_of = |kind: &str| -> Vec<String> {
        let wanted = |p: &&Value| p["kind"] == kind && p["conserving"] == true && p["name"] != "oracle";
        let found = list(&listed["policies"]).iter().filter(wanted);
        found.map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let (allocators, scorers) = (names_of("allocator"), names_of("scorer"));
    let pairs = allocators.iter().flat_map(|a| scorers.iter().map(move |s| format!("{a}+{s}")));
    // Some scores cannot be compared between heads. Such pairs are refused, which other tests check.
    pairs.filter(|pair| !matches!(Policy::parse(pair), Err(Error::Meaningless { .. }))).collect()
}

/// Makes a plan with the files that the policy reads, so that no profile is measured.
fn profiled(place: &Place, policy: &str, budget: &str) -> Value {
    let needs = Policy::parse(policy).unwrap().needs();
    let files = [
        (Need::Entropy, ["--profile", "profile.json"]),
        (Need::HeadScores, ["--head-scores", "scores.json"]),
        (Need::HeadPattern, ["--head-pattern", "pattern.json"]),
    ];
    let read = files.into_iter().filter(|(need, _)| needs.contains(*need)).flat_map(|(_, file)| file);
    let base = ["plan", "--model", MODEL, "--tokens", "tokens.json", "--policy", policy, "--budget", budget];
    place.json(&base.into_iter().chain(read).collect::<Vec<_>>())
}

fn place_with_profile() -> Place {
    let place = Place::new();
    place.tokens("tokens.json", TOKENS as u32);
    place.json(&["profile", "--model", MODEL, "--tokens", "tokens.json", "--out", "profile.json"]);
    let rows = |heads: usize| {
        let row = |layer: usize| {
            (0..heads).map(|head| 0.1 * (1 + layer + 2 * head) as f64 / heads as f64).collect()
        };
        let rows: Vec<Vec<f64>> = (0..size("num_hidden_layers")).map(row).collect();
        serde_json::to_string(&rows).unwrap()
    };
    place.write("scores.json", rows(size("num_attention_heads")));
    place.write("pattern.json", rows(size("num_key_value_heads")));
    place
}

#[test]
fn the_document() {
    let place = place_with_profile();
    let document = profiled(&place, "uniform+window-attention{window=8}", "0.3");
    assert_eq!(document["policy"], "uniform+window-attention{window=8}");
    assert_eq!((number(&document["budget"]), count(&document["tokens"])), (0.3, TOKENS));
    assert_eq!(list(&document["layers"]).len(), size("num_hidden_layers"));
    for layer in list(&document["layers"]) {
        assert_eq!(list(&layer["heads"]).len(), size("num_key_value_heads"));
    }
    let kept = kept(&document);
    assert!(kept.iter().all(|head| head.is_sorted_by(|a, b| a < b) && *head.last().unwrap() < TOKENS));
    assert!(kept.iter().all(|head| head.len() == 15), "uniform gives every head floor(0.3 * 50)");
    assert_eq!(count(&document["kept_entries"]), kept.iter().map(Vec::len).sum::<usize>());
}

#[test]
fn every_conserving_policy_spends_exactly_its_budget() {
    let place = place_with_profile();
    let heads = size("num_hidden_layers") * size("num_key_value_heads");
    let policies = conserving(&place);
    assert!(policies.len() >= 20, "{policies:?}");
    for policy in policies {
        let document = profiled(&place, &policy, "0.37");
        let found: usize = kept(&document).iter().map(Vec::len).sum();
        assert_eq!(found, heads * 18, "{policy}: floor(0.37 * 50) tokens per head");
        assert_eq!(
            (count(&document["asked_tokens"]), count(&document["kept_entries"])),
            (found, found),
            "{policy}"
        );
    }
}

#[test]
fn a_full_budget_keeps_everything() {
    let place = place_with_profile();
    for policy in ["full".to_owned()].into_iter().chain(conserving(&place)) {
        let document = profiled(&place, &policy, "1.0");
        assert!(kept(&document).iter().all(|head| head.len() == TOKENS), "{policy}");
    }
}

#[test]
fn published_rules_report_the_asked_and_the_kept_tokens() {
    let place = place_with_profile();
    let heads = size("num_hidden_layers") * size("num_key_value_heads");
    for rule in ["entropy-proportional", "entropy-global", "entropy-inverted"] {
        let document = profiled(&place, rule, "0.2");
        assert_eq!(count(&document["asked_tokens"]), 10 * heads);
        assert_eq!(count(&document["kept_entries"]), kept(&document).iter().map(Vec::len).sum::<usize>());
    }
}

/// The expected sinks and recent tokens are computed by hand.
#[test]
fn recency_keeps_the_ends() {
    let place = place_with_profile();
    let document = plan(&place, "uniform+recency{sinks=2}", "0.1");
    assert!(kept(&document).iter().all(|head| *head == [0, 1, 47, 48, 49]), "{document}");
    let text = place.text(&[
        "plan",
        "--model",
        MODEL,
        "--tokens",
        "tokens.json",
        "--policy",
        "uniform+recency{sinks=2}",
        "--budget",
        "0.1",
    ]);
    assert!(text.contains("0-1, 47-49"), "{text}");
}

/// The norms of keys are whole numbers, so equal scores are known. `key-norm` keeps the lowest norms.
#[test]
fn ties_at_the_border_are_counted() {
    let place = Place::new();
    let norms: [[f32; 8]; 2] =
        [[1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0], [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 2.0]];
    let keys: Vec<u8> =
        norms.concat().iter().flat_map(|norm| [*norm, 0.0]).flat_map(f32::to_le_bytes).collect();
    let tensor = |heads| Tensor { dtype: Dtype::F32, shape: vec![heads, 8, 2], data: keys.clone() };
    let tensors: BTreeMap<String, Tensor> = [("k.0".into(), tensor(2)), ("q.0".into(), tensor(2))].into();
    place.write("keys.safetensors", safetensors::serialize(&tensors, None).unwrap());
    let arguments = |policy, tokens| {
        ["plan", "--tensors", "keys.safetensors", "--policy", policy, "--budget-tokens", tokens]
    };
    let unguarded = "uniform+key-norm{sinks=0,recent=0}";
    for (policy, tokens, ties) in [
        (unguarded, "1", 1),
        (unguarded, "2", 1),
        (unguarded, "3", 1),
        (unguarded, "4", 0),
        (unguarded, "8", 0),
        // The guard keeps the first and the last token. Then 2, 2 and 2 compete in the first head.
        ("uniform+key-norm{sinks=1,recent=1}", "4", 1),
        ("uniform+key-norm{sinks=1,recent=1}", "5", 0),
        ("uniform+recency{sinks=0,recent=0}", "3", 0),
        ("uniform+random{sinks=0,recent=0}", "3", 0),
        // A guard that does not fit the share gives no scores that could be equal.
        ("uniform+recency{sinks=2,recent=6}", "4", 0),
    ] {
        let document = place.json(&arguments(policy, tokens));
        assert_eq!(document["ties"], ties, "{policy} {tokens}: {document}");
        let note = format!(
            "{ties} of 2 KV heads ends in a tie: the last kept and the first evicted entry have the same"
        );
        let text = place.text(&arguments(policy, tokens)).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(text.contains(&note), ties > 0, "{text}");
    }
    assert!(place.json(&arguments("full", "8"))["ties"].is_null(), "a rule has no scores");
}

#[test]
fn tokens_need_no_tokenizer_and_texts_use_it() {
    let place = place_with_profile();
    Copy::new(&place, "mute").without("tokenizer.json");
    let policy = ["--policy", "uniform+accumulated-attention", "--budget", "0.5"];
    let on = |model, input: &[&str]| place.json(&[&["plan", "--model", model], input, &policy].concat());
    let tokens = ["--tokens", "tokens.json"];
    let (mute, mut full) = (on("mute", &tokens), on(MODEL, &tokens));
    assert_eq!((&mute["model"], &full["model"]), (&"mute".into(), &MODEL.into()));
    full["model"] = "mute".into();
    assert_eq!(mute, full);
    place.write("text.txt", "The same words give the same tokens, wherever they come from.");
    let from_text = on(MODEL, &["--text", "text.txt"]);
    let prompt = ["--prompt", "The same words give the same tokens, wherever they come from."];
    let generated = place.json(&[&["generate", "--model", MODEL, "--max-tokens", "1"], &prompt[..]].concat());
    place.write("ids.json", generated["prompt_tokens"].to_string());
    assert_eq!(from_text, on(MODEL, &["--tokens", "ids.json"]));
}

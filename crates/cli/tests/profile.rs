//! `bitkv profile`: the document, the files, and a plan that uses them.

mod support;

use bitkv_record::{Profile, PublishedProfile, sha256};
use serde_json::Value;
use support::{
    Place, count, list,
    model::{Copy, MODEL, size},
    number,
};

fn profile(place: &Place, more: &[&str]) -> Value {
    place.json(&[&["profile", "--model", MODEL], more].concat())
}

#[test]
fn the_document() {
    let place = Place::new();
    place.tokens("tokens.json", 64);
    let document = profile(&place, &["--tokens", "tokens.json"]);
    assert_eq!((&document["model"], count(&document["context"])), (&MODEL.into(), 64));
    let (layers, width) = (size("num_hidden_layers"), size("num_attention_heads"));
    let heads = list(&document["heads"]);
    assert_eq!(heads.len(), layers * width);
    for (i, head) in heads.iter().enumerate() {
        assert_eq!((count(&head["layer"]), count(&head["head"])), (i / width, i % width));
        assert!(
            (0.0..=6.0).contains(&number(&head["entropy_bits"])),
            "64 tokens have 6 bits at most: {head}"
        );
        assert!(head["class"].is_string());
    }
    let summary = &document["summary"];
    let bits: Vec<f64> = heads.iter().map(|head| number(&head["entropy_bits"])).collect();
    let mean = bits.iter().sum::<f64>() / bits.len() as f64;
    let std = (bits.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / bits.len() as f64).sqrt();
    for (key, due) in [("mean", mean), ("std", std), ("cv", std / mean)] {
        assert!((number(&summary[key]) - due).abs() < 1e-9, "{key}: {summary}");
    }
    assert_eq!(number(&summary["min"]), bits.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(number(&summary["max"]), bits.iter().copied().fold(0.0, f64::max));
    for class in ["sink", "focused", "moderate", "mixed", "diffuse"] {
        let of_class = heads.iter().filter(|head| head["class"] == class).count();
        assert_eq!(count(&summary["classes"][class]), of_class, "{class}");
    }
}

/// A statement of a report names this command for the share of heads below 1.5 bits.
#[test]
fn heads_below_the_published_bound_are_counted() {
    let place = Place::new();
    place.tokens("tokens.json", 64);
    let document = profile(&place, &["--tokens", "tokens.json"]);
    let heads = list(&document["heads"]);
    let below = heads.iter().filter(|head| number(&head["entropy_bits"]) < 1.5).count();
    let share = format!("{:.1}", 100.0 * below as f64 / heads.len() as f64);
    let text = place.text(&["profile", "--model", MODEL, "--tokens", "tokens.json"]);
    let due = format!("Below 1.5 bits: {below} of {} heads ({share} %).", heads.len());
    assert!(text.contains(&due), "{due}\n{text}");
}

/// Both sets of thresholds classify the same entropies.
#[test]
fn thresholds_and_queries_can_be_chosen() {
    let place = Place::new();
    place.tokens("tokens.json", 64);
    let tokens = ["--tokens", "tokens.json"];
    let code = profile(&place, &tokens);
    let printed = profile(&place, &[&tokens[..], &["--thresholds", "printed"]].concat());
    let bits = |document: &Value| -> Vec<Value> {
        list(&document["heads"]).iter().map(|head| head["entropy_bits"].clone()).collect()
    };
    assert_eq!(bits(&code), bits(&printed));
    assert_eq!(
        (number(&code["thresholds"]["moderate"]), number(&printed["thresholds"]["moderate"])),
        (3.0, 2.5)
    );
    let all = profile(&place, &[&tokens[..], &["--queries", "all"]].concat());
    assert_ne!(bits(&code), bits(&all));
}

#[test]
fn the_files_read_back() {
    let place = Place::new();
    place.tokens("tokens.json", 48);
    let arguments =
        ["--tokens", "tokens.json", "--out", "profile.json", "--out-published", "entropy_config.json"];
    let document = profile(&place, &arguments);
    let own = Profile::read(&place.path("profile.json")).unwrap();
    assert_eq!(serde_json::to_value(&own).unwrap(), document);
    assert_eq!(own.texts[0].sha256, sha256(&std::fs::read(place.path("tokens.json")).unwrap()));
    let published = PublishedProfile::read(&place.path("entropy_config.json")).unwrap();
    assert_eq!(published.to_profile().unwrap().entropies(), own.entropies());
    let shape = (published.n_layer, published.n_head, published.n_head_kv, published.n_ctx);
    let keys = ["num_hidden_layers", "num_attention_heads", "num_key_value_heads", "max_position_embeddings"];
    assert_eq!([shape.0, shape.1, shape.2, shape.3], keys.map(size));
}

#[test]
fn a_plan_uses_a_profile_from_a_file() {
    let place = Place::new();
    place.tokens("tokens.json", 48);
    profile(&place, &["--tokens", "tokens.json", "--out", "profile.json"]);
    let plan = |profile: &str| {
        place.json(&[
            "plan",
            "--model",
            MODEL,
            "--tokens",
            "tokens.json",
            "--policy",
            "entropy+recency",
            "--budget",
            "0.4",
            "--profile",
            profile,
        ])
    };
    let before = plan("profile.json");
    // With steeper entropies in reverse order, other heads must get the tokens.
    let own = Profile::read(&place.path("profile.json")).unwrap();
    let mut heads = own.entropies().concat();
    heads.reverse();
    let steep: Vec<f64> = heads.iter().enumerate().map(|(i, bits)| bits + (heads.len() - i) as f64).collect();
    let layers: Vec<Vec<f64>> = steep.chunks(size("num_attention_heads")).map(<[f64]>::to_vec).collect();
    let other = Profile::new(MODEL, None, vec![], own.thresholds, &layers).unwrap();
    other.write(&place.path("other.json"), bitkv_bytes::Existing::Replace).unwrap();
    let after = plan("other.json");
    assert_eq!(before["kept_entries"], after["kept_entries"]);
    assert_ne!(before["layers"], after["layers"]);
}

#[test]
fn texts_of_the_suite_and_of_the_user() {
    let place = Place::new();
    let suite = profile(&place, &["--context", "32"]);
    assert_eq!((list(&suite["texts"]).len(), count(&suite["context"])), (20, 32));
    place
        .write("texts/a.txt", "A sentence of some length, said again and again to fill the page. ".repeat(9));
    place.write(
        "texts/b.txt",
        "Another one, quite different in kind, with other words in other places. ".repeat(9),
    );
    let own = profile(&place, &["--texts", "texts", "--context", "32"]);
    let names: Vec<&Value> = list(&own["texts"]).iter().map(|text| &text["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    assert_ne!(own["heads"], suite["heads"]);
    let text = place.text(&["profile", "--model", MODEL, "--context", "32"]);
    assert!(text.contains("mean attention entropy in bits") && text.contains("focused"), "{text}");
    let heads = size("num_hidden_layers") * size("num_attention_heads");
    for part in [&format!("Over all {heads} heads: mean"), "Heads by class"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn tokens_need_no_tokenizer() {
    let place = Place::new();
    place.tokens("tokens.json", 48);
    Copy::new(&place, "mute").without("tokenizer.json");
    let mute = place.json(&["profile", "--model", "mute", "--tokens", "tokens.json"]);
    assert_eq!(mute["heads"], profile(&place, &["--tokens", "tokens.json"])["heads"]);
}

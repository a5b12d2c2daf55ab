//! `bitkv verify`: the run folder, that it reads back, and that the same run gives the same numbers.

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use bitkv_record::{CellRow, ClaimId, FileHash, HeadRow, Manifest, MemoryRow, Task, Verification, read_rows};
use serde_json::Value;
use support::{
    Place, keys, list,
    model::{Copy, MODEL, original, size},
};

const CONTEXT: usize = 96;
const SMALL: [&str; 12] = [
    "verify",
    "--model",
    MODEL,
    "--calibration-tokens",
    "64",
    "--context-tokens",
    "96",
    "--scored-tokens",
    "32",
    "--recalls",
    "2",
    "--out",
];
const RULES: [&str; 3] = ["entropy-proportional", "entropy-global", "entropy-inverted"];

/// One run is measured once and looked at from all sides, because it takes seconds.
#[test]
fn a_small_verification() {
    let place = Place::new();
    let document = place.json(&[&SMALL[..], &["runs/small"]].concat());
    let run = place.path("runs/small");
    the_document_is_the_recorded_one(&document, &run);
    the_manifest_says_what_was_read(&run);
    the_reports_are_whole(&run);
    memory_and_heads_are_complete(&run);
    let cells: Vec<CellRow> = read_rows(&run.join("cells.csv")).unwrap();
    every_cell_is_there_once(&cells);
    a_whole_budget_costs_nothing(&cells);
    budgets_are_spent_or_stated(&cells);
    // Again, on one thread: another folder, the same numbers.
    let mut again = place.command(&[&SMALL[..], &["runs/small"]].concat());
    let again = again.env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("runs/small-2/report.html"), "{text}");
    for file in ["memory.csv", "heads.csv", "cells.csv"] {
        let other = place.path("runs/small-2").join(file);
        assert!(fs::read(run.join(file)).unwrap() == fs::read(other).unwrap(), "{file} differs");
    }
    let names: Vec<_> = fs::read_dir(place.path("runs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_folder_named_like_a_published_model_is_told_apart() {
    let place = Place::new();
    Copy::new(&place, "BitNet-b1.58-2B-4T");
    let mut arguments = SMALL;
    arguments[2] = "BitNet-b1.58-2B-4T";
    let document = place.json(&[&arguments[..], &["runs/named"]].concat());
    assert_eq!(list(&document["models"]), ["BitNet-b1.58-2B-4T (measured)"]);
    let heads: Vec<HeadRow> = read_rows(&place.path("runs/named/heads.csv")).unwrap();
    let published = heads.iter().filter(|row| row.model == "BitNet-b1.58-2B-4T");
    assert!(published.clone().count() == 600 && published.clone().all(|row| row.profile == "published"));
}

fn the_document_is_the_recorded_one(document: &Value, run: &Path) {
    let recorded = Verification::read(&run.join("verification.json")).unwrap();
    assert_eq!(&serde_json::to_value(&recorded).unwrap(), document);
    let ids = recorded.claims.iter().map(|claim| claim.id).collect::<Vec<_>>();
    assert_eq!(ids, [ClaimId::Memory, ClaimId::Heads, ClaimId::Compression]);
    assert_eq!((recorded.models, recorded.run), (vec![MODEL.to_owned()], Some("runs/small".to_owned())));
    for claim in list(&document["claims"]) {
        for key in ["id", "published", "measured", "verdict"] {
            assert!(keys(claim).contains(&key), "{key}");
        }
        let statements = list(&claim["statements"]);
        assert!(!statements.is_empty() && statements.iter().any(|s| s["holds"].is_boolean()));
    }
    let memory = &list(&document["claims"])[0];
    let reproduced = &list(&memory["statements"])[0];
    assert_eq!((&reproduced["holds"], &reproduced["measured"]), (&true.into(), &"7 of 7 agree".into()));
}

fn the_manifest_says_what_was_read(run: &Path) {
    let manifest = Manifest::read(&run.join("manifest.json")).unwrap();
    let model = &manifest.models[0];
    assert_eq!((manifest.models.len(), model.name.as_str(), model.source.as_str()), (1, MODEL, "built-in"));
    for FileHash { name, sha256, .. } in &model.files {
        assert_eq!(*sha256, FileHash::of_file(&original(name)).unwrap().sha256, "{name}");
    }
    assert_eq!((model.files.len(), manifest.command[0].as_str()), (3, "bitkv"));
    assert!(manifest.texts.len() >= 40 && manifest.seconds > 0.0 && manifest.threads >= 1);
    assert_eq!(manifest.options["context_tokens"], CONTEXT);
}

fn the_reports_are_whole(run: &Path) {
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(html.contains("<svg") && html.contains(MODEL) && html.trim_end().ends_with("</html>"));
    assert!(!html.contains("src=\"http") && !html.contains("@import"), "the page must be self-contained");
    let markdown = fs::read_to_string(run.join("report.md")).unwrap();
    assert!(RULES.iter().all(|rule| html.contains(rule) && markdown.contains(rule)));
}

fn memory_and_heads_are_complete(run: &Path) {
    let memory: Vec<MemoryRow> = read_rows(&run.join("memory.csv")).unwrap();
    let published = memory.iter().filter(|row| row.published_fraction.is_some()).count();
    assert_eq!(published, 7);
    let measured: Vec<&MemoryRow> = memory.iter().filter(|row| row.accounting.name() == "measured").collect();
    assert_eq!((measured.len(), measured[0].context), (1, CONTEXT));
    let entries = size("num_hidden_layers") * size("num_key_value_heads") * CONTEXT;
    assert_eq!(measured[0].kv_bytes, (entries * size("head_dim") * 4) as u64);
    let heads: Vec<HeadRow> = read_rows(&run.join("heads.csv")).unwrap();
    let all = size("num_hidden_layers") * size("num_attention_heads");
    for (model, text, count) in
        [("bitnet_b1_58-large", "", 384), ("BitNet-b1.58-2B-4T", "", 600), (MODEL, "", 3 * all)]
    {
        let found = heads.iter().filter(|row| row.model == model && row.text == text).count();
        assert_eq!(found, count, "{model}");
    }
    // Contexts of 16, 32 and 64 tokens, for each text and for their mean.
    assert_eq!(heads.iter().filter(|row| row.model == MODEL).count(), 3 * all * 21);
}

fn every_cell_is_there_once(cells: &[CellRow]) {
    let texts = cells.iter().filter(|c| c.policy == "full" && c.task == Task::Text).count();
    let recalls = cells.iter().filter(|c| c.policy == "full" && c.task == Task::Recall).count();
    assert!(texts >= 20);
    assert_eq!(recalls, 2);
    let policies: BTreeSet<&str> = cells.iter().map(|c| c.policy.as_str()).collect();
    assert!(RULES.iter().all(|rule| policies.contains(rule)) && policies.len() >= 14, "{policies:?}");
    // Every policy at four budgets, full attention at one.
    assert_eq!(cells.len(), (texts + recalls) * ((policies.len() - 1) * 4 + 1));
    for cell in cells {
        let text = cell.task == Task::Text;
        assert_eq!(
            (cell.kl_nats.is_some(), cell.nll_nats.is_some(), cell.correct.is_some()),
            (text, text, !text)
        );
        assert_eq!((cell.targets, cell.questions), if text { (32, 0) } else { (0, 20) });
    }
}

/// The self-check of every grid.
fn a_whole_budget_costs_nothing(cells: &[CellRow]) {
    let whole: Vec<&CellRow> =
        cells.iter().filter(|c| c.budget == 1.0 && (c.conserving || c.policy == "full")).collect();
    assert!(whole.len() > 200);
    for cell in &whole {
        let place = format!("{} on {}", cell.policy, cell.text);
        assert_eq!(cell.kept_tokens, cell.full_tokens, "{place}");
        let full = whole.iter().find(|c| c.policy == "full" && c.text == cell.text).unwrap();
        match cell.task {
            Task::Text => {
                assert_eq!((cell.kl_nats, cell.agreement), (Some(0.0), Some(1.0)), "{place}");
                assert_eq!(cell.nll_nats, full.nll_nats, "{place}");
            }
            Task::Recall => assert_eq!(cell.correct, full.correct, "{place}"),
        }
    }
    // What the zeros are worth: without half of the cache something changes.
    let half = cells.iter().filter(|c| c.budget == 0.5 && c.policy.starts_with("uniform+random"));
    assert!(half.filter_map(|c| c.kl_nats).any(|kl| kl > 0.0));
}

fn budgets_are_spent_or_stated(cells: &[CellRow]) {
    let heads = size("num_hidden_layers") * size("num_key_value_heads");
    for cell in cells {
        let place = format!("{} at {} on {}", cell.policy, cell.budget, cell.text);
        let asked = (cell.context_tokens as f64 * cell.budget).floor() as usize * heads;
        assert_eq!((cell.asked_tokens, cell.full_tokens), (asked, cell.context_tokens * heads), "{place}");
        assert!((1..=cell.full_tokens).contains(&cell.kept_tokens), "{place}");
        assert_eq!(cell.cache_bytes, (cell.kept_tokens * size("head_dim") * 4) as u64, "{place}");
        assert!(!cell.conserving || cell.kept_tokens == asked, "{place} keeps {}", cell.kept_tokens);
    }
    for rule in RULES {
        let of_rule: Vec<&CellRow> = cells.iter().filter(|c| c.policy == rule).collect();
        assert!(of_rule.iter().all(|c| !c.conserving));
        assert!(of_rule.iter().any(|c| c.kept_tokens != c.asked_tokens), "{rule} does not conserve");
    }
}

//! `bitkv verify`: the run folder, its report from rows alone, and equal numbers in a second run.

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use bitkv_record::{
    AskedBudget, FileHash, GridRow, HeadRow, Manifest, MemoryRow, PolicyRole, PolicyText, ScoredTask,
    read_rows,
};
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

/// One run is measured once and checked in many ways, because it takes seconds.
#[test]
fn a_small_verification() {
    let place = Place::new();
    let document = place.json(&[&SMALL[..], &["runs/small"]].concat());
    let run = place.path("runs/small");
    the_document_has_its_keys(&document);
    the_manifest_lists_what_was_read(&run);
    the_reports_are_whole(&run);
    memory_and_heads_are_complete(&run);
    let rows: Vec<GridRow> = read_rows(&run.join("rows.csv")).unwrap();
    every_cell_is_there_once(&rows);
    a_whole_budget_costs_nothing(&rows);
    budgets_are_spent_or_stated(&rows);
    a_report_follows_from_rows_alone(&place, &document);
    a_second_run_is_the_same(&place, &run);
    statements_are_measured_again_by_their_commands(&place, &document);
}

/// The command of a statement measures less than the run and gives the same numbers.
fn statements_are_measured_again_by_their_commands(place: &Place, document: &Value) {
    let statements = |document: &Value| -> Vec<Value> {
        list(&document["claims"]).iter().flat_map(|claim| list(&claim["statements"])).cloned().collect()
    };
    for wanted in [
        "budgets by entropy beat uniform and permuted budgets at 2x",
        "entropy-global predicts the same next token as the full cache when asked for 5x",
    ] {
        let is_wanted = |statement: &&Value| statement["text"].as_str().unwrap().contains(wanted);
        let all = statements(document);
        let original = all.iter().find(is_wanted).unwrap();
        let command = original["command"].as_str().unwrap();
        assert!(command.starts_with("bitkv verify --model"), "{command}");
        let mut arguments: Vec<&str> = command.split(' ').skip(1).collect();
        arguments.extend(["--out", "runs/statement"]);
        let again = place.json(&arguments);
        assert!(again["rows"].as_u64() < document["rows"].as_u64());
        let found = statements(&again);
        let found = found.iter().find(is_wanted).unwrap();
        assert!(!found["measured"].as_str().unwrap().is_empty());
        assert_eq!((&found["measured"], &found["holds"]), (&original["measured"], &original["holds"]));
    }
}

/// A second run, on one thread, writes another folder with the same numbers, and `compare` finds no
/// difference.
fn a_second_run_is_the_same(place: &Place, run: &Path) {
    let mut again = place.command(&[&SMALL[..], &["runs/small"]].concat());
    let again = again.env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("runs/small-2/report.html"), "{text}");
    for file in ["memory.csv", "heads.csv", "rows.csv", "definition.toml"] {
        let other = place.path("runs/small-2").join(file);
        assert!(fs::read(run.join(file)).unwrap() == fs::read(other).unwrap(), "{file} differs");
    }
    let names: Vec<_> = fs::read_dir(place.path("runs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let compared = place.json(&["compare", "runs/small", "runs/small-2"]);
    assert_eq!(compared["matched"], compared["identical"]);
    assert!(compared["matched"].as_u64().unwrap() > 1000);
}

/// In another folder without the model, `report` writes the same bytes.
fn a_report_follows_from_rows_alone(place: &Place, document: &Value) {
    let (bare, folder) = (Place::new(), place.path("runs/small"));
    for file in ["rows.csv", "heads.csv", "memory.csv", "definition.toml", "manifest.json"] {
        bare.write(&format!("runs/small/{file}"), fs::read(folder.join(file)).unwrap());
    }
    let mut again = bare.json(&["report", "runs/small", "--write"]);
    for key in ["rows", "resumed"] {
        again[key] = document[key].clone();
    }
    assert_eq!(&again, document);
    for file in ["report.md", "report.html", "verification.json"] {
        let same =
            fs::read(folder.join(file)).unwrap() == fs::read(bare.path("runs/small").join(file)).unwrap();
        assert!(same, "{file} differs");
    }
    let splice = ["report", "runs/small", "--splice", "README.md"];
    bare.write("README.md", "# Title\n<!-- findings -->\nold\n<!-- /findings -->\nend\n");
    assert!(bare.text(&splice).ends_with("\nREADME.md: findings updated\n"));
    let readme = fs::read_to_string(bare.path("README.md")).unwrap();
    assert!(
        readme.starts_with("# Title\n<!-- findings -->\n| claim |")
            && readme.ends_with("<!-- /findings -->\nend\n")
    );
    // A place with the name of the run comes first.
    bare.write(
        "README.md",
        "<!-- findings -->\nkept\n<!-- /findings -->\n<!-- findings small -->\n<!-- /findings small -->\n",
    );
    bare.text(&splice);
    let readme = fs::read_to_string(bare.path("README.md")).unwrap();
    assert!(
        readme.starts_with("<!-- findings -->\nkept\n<!-- /findings -->\n<!-- findings small -->\n| claim"),
        "{readme}"
    );
    bare.write("README.md", "# Title\n");
    bare.refuses(&splice, &["README.md has no place for findings: put the lines", "<!-- findings -->"]);
}

#[test]
fn a_folder_named_like_a_published_model_is_distinguished() {
    let place = Place::new();
    Copy::new(&place, "BitNet-b1.58-2B-4T");
    let mut arguments = SMALL;
    arguments[2] = "./BitNet-b1.58-2B-4T";
    let document = place.json(&[&arguments[..], &["runs/named"]].concat());
    assert_eq!(list(&document["models"]), ["BitNet-b1.58-2B-4T (measured)"]);
    let memory: Vec<MemoryRow> = read_rows(&place.path("runs/named/memory.csv")).unwrap();
    let published = memory.iter().filter(|row| row.model == "BitNet-b1.58-2B-4T").count();
    assert_eq!(published, 8, "four contexts under two accountings");
}

#[test]
fn a_dry_run_estimates_the_cost_and_writes_nothing() {
    let place = Place::new();
    let before = place.entries();
    let document = place.json(&[&SMALL[..], &["runs/small", "--dry-run"]].concat());
    let job = &list(&document["jobs"])[0];
    assert!(job["rows"].as_u64().unwrap() > 1000 && job["seconds"].as_f64().unwrap() > 0.0, "{job}");
    assert_eq!((list(&document["profiles"]).len(), list(&document["memory"]).len()), (1, 4));
    assert_eq!(place.entries(), before);
}

#[test]
fn a_plain_llama_is_marked_in_every_file() {
    let place = Place::new();
    place.json(&[&SMALL[..], &["runs/plain", "--as", "plain-llama"]].concat());
    let folder = place.path("runs/plain");
    let name = format!("{MODEL}+plain-llama");
    let rows: Vec<GridRow> = read_rows(&folder.join("rows.csv")).unwrap();
    let heads: Vec<HeadRow> = read_rows(&folder.join("heads.csv")).unwrap();
    let memory: Vec<MemoryRow> = read_rows(&folder.join("memory.csv")).unwrap();
    assert!(rows.iter().all(|row| row.model == name) && heads.iter().all(|row| row.model == name));
    let own: Vec<&MemoryRow> = memory.iter().filter(|row| row.model.starts_with(MODEL)).collect();
    assert!(!own.is_empty() && own.iter().all(|row| row.model == name), "{own:?}");
}

/// Random weights predict nothing, so no claim about compression or heads may be decided on them.
#[test]
fn random_weights_decide_nothing() {
    let place = Place::new();
    let shape = format!("{MODEL}/config.json");
    place.text(&["random", "--shape", &shape, "--out", "random"]);
    place.write("random/tokenizer.json", fs::read(original("tokenizer.json")).unwrap());
    let mut arguments = SMALL;
    arguments[2] = "random";
    let document = place.json(&[&arguments[..], &["runs/random"]].concat());
    for claim in list(&document["claims"]).iter().filter(|claim| claim["id"] != "memory") {
        let verdict = claim["verdict"].as_str().unwrap();
        assert!(verdict.contains("cannot be decided"), "{}: {verdict}", claim["id"]);
    }
    let report = fs::read_to_string(place.path("runs/random/report.md")).unwrap();
    assert!(report.contains("predicts no better than guessing"), "{report}");
}

fn the_document_has_its_keys(document: &Value) {
    let ids: Vec<&str> =
        list(&document["claims"]).iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["memory", "heads", "compression"]);
    assert_eq!((&document["models"][0], &document["run"]), (&MODEL.into(), &"runs/small".into()));
    assert_eq!(document["resumed"], 0);
    for claim in list(&document["claims"]) {
        for key in ["id", "published", "measured", "verdict"] {
            assert!(keys(claim).contains(&key), "{key}");
        }
        let statements = list(&claim["statements"]);
        assert!(!statements.is_empty() && statements.iter().any(|s| s["holds"].is_boolean()));
        // Published arithmetic can be reproduced exactly.
        let reproductions = statements.iter().filter(|s| s["role"] == "reproduction");
        assert!(reproductions.clone().all(|s| s["holds"] == true), "{claim}");
    }
    let memory = &list(&document["claims"])[0];
    let reproduced = &list(&memory["statements"])[0];
    assert_eq!(
        (&reproduced["holds"], &reproduced["measured"]),
        (&true.into(), &"7 of 7 shares agree".into())
    );
}

fn the_manifest_lists_what_was_read(run: &Path) {
    let manifest = Manifest::read(&run.join("manifest.json")).unwrap();
    let model = &manifest.models[0];
    assert_eq!((manifest.models.len(), model.name.as_str(), model.source.as_str()), (1, MODEL, MODEL));
    for FileHash { name, sha256, .. } in &model.files {
        assert_eq!(*sha256, FileHash::from_file(&original(name)).unwrap().sha256, "{name}");
    }
    assert_eq!((model.files.len(), manifest.command[0].as_str()), (3, "bitkv"));
    assert!(manifest.texts.len() >= 40 && manifest.seconds > 0.0 && manifest.threads >= 1);
    let definition = fs::read_to_string(run.join("definition.toml")).unwrap();
    assert!(definition.contains(&format!("context = {CONTEXT}\n")), "{definition}");
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
    let measured: Vec<&MemoryRow> =
        memory.iter().filter(|row| row.accounting == bitkv_record::Accounting::Measured).collect();
    assert_eq!((measured.len(), measured[0].context), (1, CONTEXT));
    let entries = size("num_hidden_layers") * size("num_key_value_heads") * CONTEXT;
    assert_eq!(measured[0].kv_bytes, (entries * size("head_dim") * 4) as u64);
    let heads: Vec<HeadRow> = read_rows(&run.join("heads.csv")).unwrap();
    let all = size("num_hidden_layers") * size("num_attention_heads");
    // There are contexts of 16, 32 and 64 tokens for each of 20 texts.
    assert_eq!(heads.len(), 3 * all * 20);
    let group = size("num_attention_heads") / size("num_key_value_heads");
    for row in &heads {
        assert_eq!((row.model.as_str(), row.kv_head), (MODEL, Some(row.head / group)));
        assert!(row.entropy_bits.unwrap() <= (row.context as f64).log2() + 1e-4);
    }
}

fn is_task(row: &GridRow, name: &str) -> bool {
    row.task.to_string() == name
}

fn every_cell_is_there_once(rows: &[GridRow]) {
    let full = |task: &str| rows.iter().filter(|r| r.role == PolicyRole::Full && is_task(r, task)).count();
    let (texts, recalls) = (full("text"), full("recall-together"));
    assert!(texts >= 20);
    assert_eq!(recalls, 2);
    let policies: BTreeSet<&str> = rows.iter().map(|c| c.policy.as_str()).collect();
    assert!(RULES.iter().all(|rule| policies.contains(rule)) && policies.len() >= 14, "{policies:?}");
    // Every policy has four budgets, and the full cache has one. On texts, the two random policies have 16
    // draws at each budget below the full one.
    let names: BTreeSet<PolicyText> =
        policies.iter().map(|policy| PolicyText::new(policy).without_seed().0).collect();
    let cells = (names.len() - 1) * 4 + 1;
    assert_eq!(rows.len(), (texts + recalls) * cells + texts * 2 * 15 * 3);
    for row in rows {
        let text = row.task == ScoredTask::TEXT;
        assert_eq!(
            (row.kl_nats.is_some(), row.nll_nats.is_some(), row.correct.is_some()),
            (text, text, !text)
        );
        assert_eq!((row.targets, row.questions), if text { (32, 0) } else { (0, 20) });
        assert_eq!((row.bytes_scored.is_some(), row.chance.is_some()), (text, !text));
    }
}

/// Every run must pass this self-check.
fn a_whole_budget_costs_nothing(rows: &[GridRow]) {
    let whole: Vec<&GridRow> = rows
        .iter()
        .filter(|c| c.budget == AskedBudget::FULL && (c.conserving || c.role == PolicyRole::Full))
        .collect();
    assert!(whole.len() > 200);
    for row in &whole {
        let place = format!("{} on {}", row.policy, row.text);
        assert_eq!(row.kept_entries, row.full_entries, "{place}");
        let full = whole.iter().find(|c| c.role == PolicyRole::Full && c.text == row.text).unwrap();
        match row.task == ScoredTask::TEXT {
            true => {
                assert_eq!((row.kl_nats, row.agreement), (Some(0.0), Some(1.0)), "{place}");
                assert_eq!(row.nll_nats, full.nll_nats, "{place}");
            }
            false => assert_eq!(row.correct, full.correct, "{place}"),
        }
    }
    // The zeros above show something only because half of the cache changes something.
    let half =
        rows.iter().filter(|c| c.budget.to_string() == "0.5" && c.policy.starts_with("uniform+random"));
    assert!(half.filter_map(|c| c.kl_nats).any(|kl| kl > 0.0));
}

fn budgets_are_spent_or_stated(rows: &[GridRow]) {
    let heads = size("num_hidden_layers") * size("num_key_value_heads");
    for row in rows {
        let place = format!("{} at {} on {}", row.policy, row.budget, row.text);
        let AskedBudget::Fraction(budget) = row.budget else { panic!("{place}") };
        let asked = (row.context_tokens as f64 * budget).floor() as usize * heads;
        let kept = row.kept_entries.unwrap();
        assert_eq!(
            (row.asked_entries, row.full_entries),
            (Some(asked), Some(row.context_tokens * heads)),
            "{place}"
        );
        assert!((1..=row.full_entries.unwrap()).contains(&kept), "{place}");
        assert_eq!(row.cache_bytes, Some((kept * size("head_dim") * 4) as u64), "{place}");
        assert!(!row.conserving || kept == asked, "{place} keeps {kept}");
    }
    for rule in RULES {
        let of_rule: Vec<&GridRow> = rows.iter().filter(|c| c.policy == rule).collect();
        assert!(of_rule.iter().all(|c| !c.conserving && c.role == PolicyRole::Published));
        assert!(of_rule.iter().any(|c| c.kept_entries != c.asked_entries), "{rule} does not conserve");
    }
}

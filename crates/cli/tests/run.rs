//! `bitkv run`: the files of a run folder, and rows for every axis of a definition.

mod support;

use bitkv_record::{Definition, Form, KvFormat, Manifest, WeightKind};
use support::{
    Place, count,
    grid::{RUN, definition, numbers, rows, rows_at},
    keys, list,
    model::{MODEL, size},
    number,
};

const CONTEXT: usize = 64;

/// The number of KV heads of the whole model.
fn heads() -> usize {
    size("num_hidden_layers") * size("num_key_value_heads")
}

#[test]
fn the_run_folder() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[]));
    let document = place.json(&["run", "small.toml", "--out", RUN]);
    assert_eq!(document["run"], RUN);
    let folder = place.path(RUN);
    let rows = rows(&folder);
    // For each of two texts: the full cache once, and four policies at three budgets.
    assert_eq!(rows.len(), 2 * 13);
    assert_eq!(["rows", "resumed", "failed"].map(|key| count(&document[key])), [26, 0, 0]);
    assert_eq!(std::fs::read_to_string(folder.join("definition.toml")).unwrap(), definition(&[]));
    let kept = Definition::read(&folder.join("definition.toml")).unwrap();
    let manifest = Manifest::read(&folder.join("manifest.json")).unwrap();
    assert_eq!(manifest.models.iter().map(|model| &*model.name).collect::<Vec<_>>(), [MODEL]);
    assert_eq!(manifest.options["definition_sha256"], kept.sha256());
    let texts: Vec<&str> = manifest.texts.iter().map(|text| &*text.name).collect();
    assert!(["counting", "later"].iter().all(|name| texts.contains(name)), "{texts:?}");
    for report in ["report.md", "report.html"] {
        let report = std::fs::read_to_string(folder.join(report)).unwrap();
        assert!(report.contains("uniform+window-attention") && report.contains("Refuted if"), "{report}");
    }
    let report = std::fs::read_to_string(folder.join("report.md")).unwrap();
    let figures: Vec<&str> =
        report.split("](").skip(1).filter_map(|rest| rest.split_once(".svg)")).map(|r| r.0).collect();
    assert!(
        !figures.is_empty() && figures.iter().all(|f| folder.join(format!("{f}.svg")).exists()),
        "{figures:?}"
    );
    let runs = std::fs::read_dir(place.path("runs")).unwrap();
    let left: Vec<_> = runs.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["small"]);
}

#[test]
fn only_an_evicted_cache_changes_the_predictions() {
    let place = Place::with_texts();
    let rows = place.run_grid(&definition(&[]));
    for row in &rows {
        let whole = row.budget.to_string() == "1.0";
        assert_eq!(row.kl_nats == Some(0.0), whole, "{row:?}");
        assert_eq!(row.nll_difference == Some(0.0), whole, "{row:?}");
        assert!(!whole || row.agreement == Some(1.0), "{row:?}");
        assert_eq!((row.targets, row.context_tokens), (16, CONTEXT));
        assert_eq!(row.cache_bytes, Some((4 * size("head_dim") * row.kept_entries.unwrap()) as u64));
    }
    let oracles: Vec<bool> = rows.iter().map(|row| row.oracle).collect();
    assert_eq!(oracles, rows.iter().map(|row| row.policy.contains("oracle")).collect::<Vec<_>>());
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("[1.0, 0.5, 0.25]", "[1.0, 0.3, \"20 tokens\"]")]));
    let rows_with = |threads: &str| {
        let folder = format!("runs/{threads}");
        let mut command = place.command(&["run", "small.toml", "--out", &folder]);
        assert!(command.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
        std::fs::read(place.path(&folder).join("rows.csv")).unwrap()
    };
    assert_eq!(rows_with("1"), rows_with("2"));
}

#[test]
fn one_experiment_of_several() {
    let place = Place::with_texts();
    let one = definition(&[]);
    let other = one[one.find("[[").unwrap()..].replace("\"small\"", "\"other\"");
    place.write("two.toml", one.clone() + &other);
    place.write("one.toml", one);
    place.json(&["run", "two.toml", "--only", "other", "--out", "runs/two"]);
    let rows = rows(&place.path("runs/two"));
    assert!(rows.len() == 26 && rows.iter().all(|row| row.experiment == "other"));
    let says = ["two.toml", "no experiment `others`", "small, other"];
    place.refuses(&["run", "two.toml", "--only", "others", "--out", "runs/x"], &says);
}

#[test]
fn definitions_are_listed() {
    let place = Place::with_texts();
    place.write("experiments/b.toml", definition(&[("\"small\"", "\"sinks\"")]));
    place.write("experiments/a.toml", definition(&[]));
    place.write("experiments/README.md", "not one");
    let document = place.json(&["run", "--list"]);
    let files: Vec<_> = list(&document).iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["experiments/a.toml", "experiments/b.toml"]);
    assert_eq!(document[1]["experiments"], serde_json::json!(["sinks"]));
    let text = place.text(&["run", "--list"]);
    assert!(text.contains("sinks") && text.contains("Which is best?") && !text.contains("Refuted"), "{text}");
    place.write("experiments/texts/a.txt", numbers(1, 400));
    assert_eq!(
        count(&place.json(&["run", "a", "--dry-run"])["rows"]),
        13,
        "a name is enough to find the file"
    );
    for (name, says) in [
        ("bb", "there is no definition bb: use b if that is meant (`bitkv run --list` shows all)"),
        ("sinks.toml", "there is no definition sinks.toml: use one that `bitkv run --list` shows"),
        ("experiments", "experiments is a folder: name a definition in it, such as experiments/NAME.toml"),
    ] {
        place.refuses(&["run", name, "--dry-run"], &[says]);
    }
    let nothing =
        "there is no folder experiments here: run bitkv in the repository, or name a definition's file\n";
    Place::new().refuses(&["run", "--list"], &[nothing]);
}

#[test]
fn a_dry_run_estimates_the_cost_and_writes_nothing() {
    let place = Place::with_texts();
    place.write("small.toml", definition(&[("[\"first-gqa\"]", "[\"first-gqa\", \"first-mha\"]")]));
    let before = place.entries();
    let document = place.json(&["run", "small.toml", "--dry-run", "--out", RUN]);
    assert_eq!(keys(&document), ["jobs", "memory", "profiles", "rows"]);
    assert_eq!(count(&document["rows"]), 52);
    for (job, model) in list(&document["jobs"]).iter().zip(["first-gqa", "first-mha"]) {
        assert_eq!((&job["model"], &job["experiment"]), (&model.into(), &"small".into()));
        assert_eq!(["contexts", "cells", "rows"].map(|key| count(&job[key])), [2, 13, 26]);
        assert!(number(&job["seconds"]) > 0.0);
        assert!(count(&job["bytes"]) > 1_000_000, "the weights alone are more: {job}");
    }
    assert!(place.text(&["run", "small.toml", "--dry-run"]).contains("52 rows"));
    assert_eq!(place.entries(), before);
}

#[test]
fn budgets_in_tokens_and_bytes() {
    let place = Place::with_texts();
    let rows = place.run_grid(&definition(&[("0.5, 0.25", "\"16 tokens\", \"1 token\", \"32 KiB\", 0.1")]));
    let entry = 4 * size("head_dim");
    for policy in ["uniform+recency", "uniform+window-attention"] {
        let kept = |budget| rows_at(&rows, policy, budget)[0].kept_entries.unwrap();
        assert_eq!(kept("16 tokens"), 16 * heads());
        assert_eq!(kept("1 token"), heads());
        assert_eq!(kept("32 KiB"), 32 * 1024 / entry);
        assert_eq!(kept("0.1"), (CONTEXT / 10) * heads());
    }
    let bytes = rows_at(&rows, "uniform+recency", "32 KiB")[0].cache_bytes.unwrap();
    assert!(bytes <= 32 * 1024, "{bytes}");
}

#[test]
fn budgets_that_a_rule_realises() {
    let place = Place::with_texts();
    let policies = ("\"uniform+random\"", "\"uniform+random\", \"entropy-inverted\", \"entropy-global\"");
    let budgets = ("0.5, 0.25", "\"0.2 by entropy-inverted\"");
    let rows = place.run_grid(&definition(&[policies, budgets]));
    let asked = "0.2 by entropy-inverted";
    let kept = |policy| rows_at(&rows, policy, asked).iter().map(|row| row.kept_entries).collect::<Vec<_>>();
    let rule = kept("entropy-inverted");
    assert_eq!(rule.len(), 2);
    for policy in ["uniform+recency", "uniform+window-attention", "uniform+oracle"] {
        assert_eq!(kept(policy), rule, "{policy}");
    }
    // A rule that does not conserve its budget cannot realise the budget of another rule.
    assert!(rows.iter().all(|row| row.policy != "entropy-global" || row.budget.to_string() != asked));
    assert!(rows_at(&rows, "entropy-inverted", "1.0").iter().all(|row| !row.conserving));
}

#[test]
fn only_random_policies_have_several_seeds() {
    let place = Place::with_texts();
    let rows = place.run_grid(&(definition(&[]) + "seeds = [0, 7]\n"));
    let hashes = |policy: &str| -> Vec<(u64, Option<String>)> {
        let of = rows.iter().filter(|r| r.policy.starts_with(policy) && r.text == "later");
        of.filter(|r| r.budget.to_string() == "0.25").map(|r| (r.seed, r.plan_hash.clone())).collect()
    };
    let random = hashes("uniform+random");
    assert_eq!(random.iter().map(|(seed, _)| *seed).collect::<Vec<_>>(), [0, 7]);
    assert_ne!(random[0].1, random[1].1);
    assert_eq!(hashes("uniform+recency").len(), 1);
}

#[test]
fn every_kv_format_has_its_number_of_bytes() {
    let place = Place::with_texts();
    let longer = [("context = 64", "context = 320"), ("0.5, 0.25", "0.75, 0.5")];
    let text = definition(&longer) + "kv = [\"f16\", \"int8\", \"int4\", \"kivi4\", \"kivi2\"]\n";
    let of_format = |rows: &[bitkv_record::GridRow], kv: KvFormat, budget: &str| {
        let found =
            rows_at(rows, "uniform+recency", budget).into_iter().find(|row| row.axes.kv == kv).cloned();
        found.unwrap()
    };
    use KvFormat::{F16, Int4, Int8, Kivi2, Kivi4};
    let rows = place.run_grid(&text);
    let plain = of_format(&rows, F16, "0.5");
    let mut last = plain.cache_bytes.unwrap();
    for kv in [Int8, Int4] {
        let row = of_format(&rows, kv, "0.5");
        assert_eq!(row.kept_entries, plain.kept_entries);
        assert!(row.cache_bytes.unwrap() < last, "{kv}: {:?}", row.cache_bytes);
        last = row.cache_bytes.unwrap();
        let whole = of_format(&rows, kv, "1.0");
        assert!(whole.kl_nats.unwrap() > 0.0, "{kv} rounds, so something changes");
    }
    let kivi = [Kivi2, Kivi4].map(|kv| of_format(&rows, kv, "1.0").cache_bytes.unwrap());
    assert!(kivi[0] < kivi[1] && kivi[1] < plain.full_bytes.unwrap(), "{kivi:?}");

    let rows = place.run_grid(&(text + "equal = \"bytes\"\n"));
    for budget in ["0.75", "0.5"] {
        let plain = of_format(&rows, F16, budget);
        for kv in [Int8, Int4, Kivi4, Kivi2] {
            let row = of_format(&rows, kv, budget);
            assert!(row.cache_bytes <= plain.cache_bytes, "{kv} at {budget}: {row:?}");
            assert!(row.kept_entries >= plain.kept_entries, "{kv} at {budget}: {row:?}");
        }
        let int8 = of_format(&rows, Int8, budget).kept_entries.unwrap();
        assert!(int8 > plain.kept_entries.unwrap());
    }
}

#[test]
fn retrieval_rows_have_a_depth() {
    let place = Place::with_texts();
    let tasks = "tasks = [{ kind = \"passkey\", count = 3, tokens = 160 }, { kind = \"recall\", count = 1, tokens = 132 },\n\
                 { kind = \"passkey\", count = 2, tokens = 160, aware = true }]\n";
    let rows = place.run_grid(&(definition(&[]) + tasks));
    let task = |name: &str| -> Vec<_> { rows.iter().filter(|row| row.task.to_string() == name).collect() };
    let passkeys = task("passkey");
    let mut depths: Vec<f64> = passkeys.iter().filter_map(|row| row.depth).collect();
    depths.dedup();
    depths.truncate(3);
    assert!(depths.is_sorted_by(|a, b| a < b) && depths.len() == 3, "one depth per context: {depths:?}");
    assert_eq!(passkeys.len(), 3 * 13);
    assert!(passkeys.iter().all(|row| (row.questions, row.context_tokens, row.targets) == (1, 160, 0)));
    let recall = rows_at(&rows, "full", "1.0").into_iter().filter(|row| row.task.to_string() == "recall");
    let recall: Vec<_> = recall.map(|row| (row.depth, row.questions)).collect();
    assert_eq!(
        recall.iter().map(|(depth, _)| depth.unwrap()).collect::<Vec<_>>(),
        [0.125, 0.375, 0.625, 0.875]
    );
    assert_eq!(recall.iter().map(|(_, questions)| questions).sum::<usize>(), 16);
    assert_eq!(task("passkey-aware").len(), 2 * 13);
    assert!(rows.iter().all(|row| row.kl_nats.is_none() && row.correct.is_some()));
}

/// While a cache is read in chunks, or tokens are decoded, an oracle has no future to read.
#[test]
fn oracles_are_measured_only_if_cells_evict_once() {
    let place = Place::with_texts();
    let note = "note: small: `uniform+oracle` reads future attention, which is observed only if a cell evicts once, so \
                there are no such cells with when = chunked-24 and decoding-4\n";
    let when = "when = [\"once\", { prefill-chunk = 24 }, { every = 4 }]\n";
    place.write("small.toml", definition(&[]) + when);
    let output = place.run(&["run", "small.toml", "--out", RUN]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches(note).count(), 1, "{said}");
    let rows = rows(&place.path(RUN));
    assert_eq!(rows.len(), 26 + 2 * 20);
    assert!(rows.iter().all(|row| row.error.is_none()));
    let oracles = rows.iter().filter(|row| row.oracle);
    assert_eq!(oracles.filter(|row| row.axes.when.to_string() == "once").count(), 2 * 3);
    // An experiment that never evicts once needs no oracle.
    let never = definition(&[(", \"uniform+oracle\"]", "]")]);
    place.write("never.toml", never.clone() + "when = [\"chunked-24\"]\n");
    place.text(&["run", "never.toml", "--dry-run"]);
    place.write("never.toml", never);
    place.refuses(&["run", "never.toml"], &["policies lacks an oracle"]);
}

#[test]
fn every_time_of_eviction_gives_other_results() {
    let place = Place::with_texts();
    let when = "when = [\"once\", { prefill-chunk = 24 }, { every = 4 }]\npositions = [\"original\", \"rerotated\"]\n";
    let rows = place.run_grid(&(definition(&[("0.5, 0.25", "0.25")]) + when));
    let kl = |when: &str, positions: &str, budget: &str| -> f64 {
        let found = rows_at(&rows, "uniform+window-attention", budget).into_iter();
        let found =
            found.filter(|r| r.axes.when.to_string() == when && r.axes.positions.to_string() == positions);
        let found: Vec<f64> = found.map(|row| row.kl_nats.unwrap()).collect();
        assert_eq!(found.len(), 2);
        found[0]
    };
    let ways =
        [("once", "original"), ("once", "rerotated"), ("chunked-24", "original"), ("decoding-4", "original")];
    let evicted = ways.map(|(when, positions)| kl(when, positions, "0.25"));
    assert!(ways.iter().all(|(when, positions)| kl(when, positions, "1.0") == 0.0));
    assert!((1..4).all(|i| evicted[i] > 0.0 && (0..i).all(|j| evicted[i] != evicted[j])), "{evicted:?}");
    let chunked = rows_at(&rows, "uniform+recency", "0.25")
        .into_iter()
        .find(|row| row.axes.when.prefill_chunk.is_some());
    assert_eq!(chunked.unwrap().kept_entries, Some(CONTEXT / 4 * heads()));
}

#[test]
fn presets_keep_their_names() {
    let place = Place::with_texts();
    let policies = "[\"full\", \"snapkv\", \"streaming-llm\", \"uniform+random\", \"uniform+oracle\"]";
    let pairs = "pairs = [[\"snapkv\", \"streaming-llm\"]]\ncalibration";
    let old = "[\"full\", \"uniform+recency\", \"uniform+window-attention\", \"uniform+random\", \"uniform+oracle\"]";
    place.write("small.toml", definition(&[(old, policies), ("calibration", pairs)]));
    place.text(&["run", "small.toml", "--out", RUN]);
    let rows = rows(&place.path(RUN));
    let snapkv: Vec<_> = rows.iter().filter(|row| row.written == "snapkv").collect();
    assert_eq!(snapkv.len(), 2 * 3);
    // The canonical form says what the preset is made of.
    assert!(snapkv.iter().all(|row| row.policy.contains("window-attention{")), "{:?}", snapkv[0]);
    let report = std::fs::read_to_string(place.path(RUN).join("report.md")).unwrap();
    let table = report.split_once("**snapkv minus streaming-llm**").unwrap().1;
    let budgets: Vec<&str> = table.lines().skip(1).take(2).map(|line| &line[..7]).collect();
    assert_eq!(budgets, ["| 0.5 |", "| 0.25 "]);
    assert!(!report.contains("was not measured under this text"), "{report}");
}

#[test]
fn forms_are_an_axis() {
    let place = Place::with_texts();
    let forms = [
        ("texts = \"texts\"", "texts = \"texts\"\nforms = [\"true\", \"plain-llama\"]"),
        ("calibration", "metrics = [\"kl\", \"form\"]\ncalibration"),
    ];
    let rows = place.run_grid(&definition(&forms));
    assert_eq!(rows.len(), 2 * 26);
    let (plain, truth): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.axes.form == Form::PlainLlama);
    assert!(truth.iter().all(|row| row.model == MODEL && row.form_kl_nats.is_none()), "{truth:?}");
    for row in plain {
        assert_eq!((&*row.model, row.weights), (&*format!("{MODEL}+plain-llama"), Some(WeightKind::Ternary)));
        // Policies are compared within a form.
        assert_eq!(row.kl_nats == Some(0.0), row.budget.to_string() == "1.0", "{row:?}");
        // The forms are compared with nothing evicted: another form is another model.
        let compared = row.form_kl_nats.zip(row.form_agreement);
        assert_eq!(compared.is_some(), row.policy == "full", "{row:?}");
        assert!(compared.is_none_or(|(kl, same)| kl > 0.0 && (0.0..1.0).contains(&same)), "{row:?}");
    }
    // The metric compares two forms, so both must be there.
    place.write("one.toml", definition(&[forms[1]]));
    let says = ["metrics lists \"form\"", "forms = [\"true\", \"plain-llama\"]"];
    place.refuses(&["run", "one.toml"], &says);
}

//! Models of one name: runs measure all of them and keep their rows apart, and a profile is bound to the
//! content of its model.

mod support;

use std::{collections::BTreeSet, fs};

use bitkv_record::{GridRow, HeadRow, Manifest, Profile, read_rows};
use support::{
    Place, count,
    grid::{RUN, definition, rows},
    model::{Copy, MODEL, frozen, size},
};

const MHA: &str = "first-mha";

/// A section with the entropies of heads, and one with memory.
const STUDIES: &str = r#"
[[profile]]
name = "entropies"
models = ["first-gqa"]
texts = "texts"
lengths = [32]

[[memory]]
name = "bytes"
models = ["first-gqa"]
contexts = [32]
accounting = ["actual", "measured"]
"#;

/// Copies a frozen model into a folder.
fn copy(place: &Place, model: &str, folder: &str) {
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        place.write(&format!("{folder}/{file}"), fs::read(frozen(model).join(file)).unwrap());
    }
}

/// Returns the definition with these models in all sections.
fn with_models(models: &str) -> String {
    (definition(&[]) + STUDIES).replace("[\"first-gqa\"]", models)
}

/// Runs the definition with these models, and returns the rows. Asserts that every model has as many rows as
/// a model alone, and that the commands that read a run read this one.
#[track_caller]
fn measured(place: &Place, models: &str, names: [&str; 2]) -> Vec<GridRow> {
    place.write("two.toml", with_models(models));
    let document = place.json(&["run", "two.toml", "--out", RUN]);
    let folder = place.path(RUN);
    let rows = rows(&folder);
    let heads: Vec<HeadRow> = read_rows(&folder.join("heads.csv")).unwrap();
    let memory: Vec<bitkv_record::MemoryRow> = read_rows(&folder.join("memory.csv")).unwrap();
    for name in names {
        assert_eq!(rows.iter().filter(|row| row.model == name).count(), 26, "{name}");
        assert!(heads.iter().any(|row| row.model == name), "{name}");
        assert_eq!(memory.iter().filter(|row| row.model == name).count(), 2, "{name}");
    }
    assert_eq!(rows.len(), 52);
    assert_eq!(rows.iter().map(|row| &row.key).collect::<BTreeSet<_>>().len(), 52);
    assert_eq!(count(&document["rows"]), rows.len() + heads.len() + memory.len());
    let manifest = Manifest::read(&folder.join("manifest.json")).unwrap();
    assert_eq!(manifest.models.iter().map(|model| &*model.name).collect::<Vec<_>>(), names);
    assert_ne!(manifest.models[0].files, manifest.models[1].files);
    let report = place.text(&["report", RUN]);
    assert!(names.iter().all(|name| report.contains(name)), "{report}");
    assert!(place.text(&["compare", RUN, RUN]).contains("are identical"));
    fs::remove_dir_all(place.path("runs")).unwrap();
    rows
}

/// Returns the values of the rows of one model.
fn values(rows: &[GridRow], model: &str) -> Vec<(String, String, Option<f64>)> {
    let own = rows.iter().filter(|row| row.model == model);
    own.map(|row| (row.policy.clone(), row.budget.to_string(), row.kl_nats)).collect()
}

#[test]
fn two_folders_of_one_name_are_both_measured() {
    let place = Place::with_texts();
    copy(&place, MODEL, "A/m");
    copy(&place, MHA, "B/m");
    let both = measured(&place, "[\"A/m\", \"B/m/\"]", ["A/m", "B/m"]);
    place.write("small.toml", definition(&[]));
    place.text(&["run", "small.toml", "--out", RUN]);
    let alone = rows(&place.path(RUN));
    assert_eq!(values(&both, "A/m"), values(&alone, MODEL));
    assert_ne!(values(&both, "B/m"), values(&alone, MODEL));
    fs::remove_dir_all(place.path("runs")).unwrap();

    let named = "[{ name = \"first\", model = \"A/m\" }, { name = \"second\", model = \"B/m\" }]";
    let named = measured(&place, named, ["first", "second"]);
    assert_eq!(values(&named, "second"), values(&both, "B/m"));

    let one = "[\"A/m\", { name = \"m2\", model = \"B/m\" }]";
    measured(&place, one, ["m", "m2"]);
}

#[test]
fn a_file_beside_a_folder_and_two_revisions_are_distinguished() {
    let place = Place::with_texts();
    copy(&place, MODEL, "A/m");
    place.text(&["convert", MHA, "A/m.gguf", "--to", "i2_s"]);
    measured(&place, "[\"A/m\", \"A/m.gguf\"]", ["A/m", "m.gguf"]);
    let cache = "models--org--tiny/snapshots";
    copy(&place, MODEL, &format!("{cache}/1111111111"));
    copy(&place, MHA, &format!("{cache}/2222222222"));
    let revisions = format!("[\"{cache}/1111111111\", \"{cache}/2222222222\"]");
    measured(&place, &revisions, ["tiny@1111111", "tiny@2222222"]);
}

#[test]
fn the_same_model_is_given_once() {
    let place = Place::with_texts();
    copy(&place, MODEL, "A/m");
    copy(&place, MODEL, "B/m");
    copy(&place, MODEL, "C/other");
    let twice = "models lists m twice: give it once";
    let equal = "which are the same model, because all their files are equal: give one of them";
    let named = "{ name = \"x\", model = \"A/m\" }";
    for (models, says) in [
        ("\"A/m\", \"./A/m\"", twice),
        ("\"A/m\", \"B/../A/m/\"", twice),
        ("\"A/m\", \"B/m\"", &*format!("models lists A/m and B/m, {equal}")),
        ("\"A/m\", \"C/other\"", &*format!("models lists A/m and C/other, {equal}")),
        (&*format!("{named}, {{ name = \"y\", model = \"./A/m\" }}"), "give each model one name"),
        (&*format!("{named}, {{ name = \"X\", model = \"B/m\" }}"), "each name to one model"),
        (&*format!("{named}, {{ path = \"B/m\" }}"), "there is no key 'models.path'"),
    ] {
        place.write("two.toml", with_models(&format!("[{models}]")));
        place.refuses(&["run", "two.toml"], &["models", says]);
    }
    let verify = ["verify", "--model", "A/m", "--model", "B/m"];
    place.refuses(&verify, &[equal]);
}

/// The names of the models are in the definition of the run, so that it can be repeated.
#[test]
fn verify_measures_two_folders_of_one_name() {
    let place = Place::with_texts();
    copy(&place, MODEL, "A/m");
    copy(&place, MHA, "B/m");
    let models = ["verify", "--model", "A/m", "--model", "B/m", "--out", RUN];
    place.write("cal/a.txt", support::grid::numbers(0, 400));
    let texts = ["--calibration", "cal", "--evaluation", "texts", "--recalls", "0"];
    let sizes = ["--calibration-tokens", "64", "--context-tokens", "64", "--scored-tokens", "8"];
    let part = ["--policy", "uniform+recency", "--budget", "0.5"];
    place.text(&[&models[..], &texts, &sizes, &part].concat());
    let rows = rows(&place.path(RUN));
    let names: BTreeSet<&str> = rows.iter().map(|row| &*row.model).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["A/m", "B/m"]);
}

#[test]
fn a_profile_is_bound_to_the_content_of_its_model() {
    let place = Place::new();
    place.tokens("tokens.json", 48);
    copy(&place, MODEL, "A/m");
    copy(&place, MODEL, "renamed");
    copy(&place, MODEL, "B/m");
    // Another model of the same name and shape.
    let other = Copy::new(&place, "B/m");
    other.change_tensors(|tensors| {
        let norm = tensors.get_mut("model.norm.weight").unwrap();
        norm.data[3] ^= 1;
    });
    let tokens = ["--tokens", "tokens.json"];
    place.json(
        &[&["profile", "--model", "A/m", "--out", "p.json", "--out-published", "q.json"], &tokens[..]]
            .concat(),
    );
    let plan = |model: &'static str, profile: &'static str| {
        let policy = ["--policy", "entropy+recency", "--budget", "0.5", "--profile", profile];
        [&["plan", "--model", model], &tokens[..], &policy].concat()
    };
    for profile in ["p.json", "q.json"] {
        for model in ["A/m", "A/m/", "renamed"] {
            let output = place.run(&plan(model, profile));
            assert!(output.status.success() && output.stderr.is_empty(), "{model}: {output:?}");
        }
        place.refuses(&plan("B/m", profile), &[profile, "other files than m has", "`bitkv profile`"]);
    }
    // A profile of an older version has no hash.
    let own = Profile::read(&place.path("p.json")).unwrap();
    Profile { model_sha256: None, ..own }
        .write(&place.path("old.json"), bitkv_bytes::Existing::Replace)
        .unwrap();
    let output = place.run(&plan("B/m", "old.json"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.starts_with("note: old.json has no hash of its model"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    place.refuses(&plan("renamed", "old.json"), &["old.json is a profile of m, not of renamed"]);
}

#[test]
fn head_scores_can_be_bound_to_the_content_of_their_model() {
    let place = Place::new();
    place.tokens("tokens.json", 48);
    copy(&place, MODEL, "A/m");
    let profile = ["profile", "--model", "A/m", "--tokens", "tokens.json", "--out", "p.json"];
    let content = place.json(&profile)["model_sha256"].as_str().unwrap().to_owned();
    let (layers, heads) = (size("num_hidden_layers"), size("num_attention_heads"));
    let mut scores = serde_json::Map::new();
    for i in 0..layers * heads {
        scores.insert(format!("{}-{}", i / heads, i % heads), i.into());
    }
    let plan = ["plan", "--model", "A/m", "--tokens", "tokens.json", "--policy", "head-scores+recency"];
    let plan = [&plan[..], &["--budget", "0.5", "--head-scores", "scores.json"]].concat();
    for (sha256, note) in [(None, true), (Some(content), false)] {
        scores.extend(sha256.map(|content| ("model_sha256".to_owned(), content.into())));
        place.write("scores.json", serde_json::to_string(&scores).unwrap());
        let output = place.run(&plan);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains("no hash of its model") == note, "{said}");
    }
    scores.insert("model_sha256".into(), "0".repeat(64).into());
    place.write("scores.json", serde_json::to_string(&scores).unwrap());
    place.refuses(&plan, &["scores.json has scores of other files than m has"]);
}

#[test]
fn a_calibration_from_a_file_is_bound_too() {
    let place = Place::with_texts();
    place.tokens("tokens.json", 48);
    copy(&place, MODEL, "A/m");
    copy(&place, MHA, "B/m");
    place.json(&["profile", "--model", "A/m", "--tokens", "tokens.json", "--out", "p.json"]);
    let calibration = [("{ tokens = 64 }", "{ profile = \"p.json\" }")];
    let text = definition(&calibration).replace("\"first-gqa\"", "\"A/m\"");
    place.write("own.toml", &text);
    place.text(&["run", "own.toml", "--dry-run"]);
    place.write("other.toml", text.replace("\"A/m\"", "\"A/m\", \"B/m\""));
    place.refuses(&["run", "other.toml"], &["calibration.profile", "p.json", "other files than B/m has"]);
}

#[test]
fn a_folder_given_as_a_point_has_its_own_name() {
    let place = Place::new();
    copy(&place, MODEL, "A/m");
    place.write("A/m/inner/empty", "");
    copy(&place, MODEL, "models--org--tiny/snapshots/1111111111");
    place.tokens("tokens.json", 8);
    let tokens = place.path("tokens.json");
    for (folder, model, name) in [
        ("A/m", ".", "m"),
        ("A/m", "./", "m"),
        ("A/m/inner", "..", "m"),
        ("A", "m/", "m"),
        ("models--org--tiny/snapshots/1111111111", ".", "tiny"),
        (".", "models--org--tiny/snapshots/1111111111/", "tiny"),
    ] {
        let mut command = place.command(&["trace", "--model", model, "--json", "--tokens"]);
        let output = command.arg(&tokens).current_dir(place.path(folder)).output().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["model"], name, "{model} in {folder}");
    }
}

//! `bitkv skeleton`: the run folder, its marks, and what is refused.

mod support;

use std::fs;

use bitkv_record::{HeadRow, LossRow, Manifest, SkeletonComparison, read_rows};
use support::{
    Place, keys, list,
    model::{MODEL, original, size},
    number,
};

const SMALL: [&str; 7] =
    ["skeleton", "--model", MODEL, "--calibration-tokens", "80", "--evaluation-tokens", "96"];

fn marked() -> String {
    format!("{MODEL}+llama-skeleton")
}

#[test]
fn a_small_comparison() {
    let place = Place::new();
    let document = place.json(&[&SMALL[..], &["--out", "runs/small"]].concat());
    let run = place.path("runs/small");
    let recorded = SkeletonComparison::read(&run.join("summary.json")).unwrap();
    assert_eq!(serde_json::to_value(&recorded).unwrap(), document);
    assert_eq!(document["run"], "runs/small");
    assert!(recorded.refutation.contains("would be harmless if"), "{}", recorded.refutation);

    let model = &list(&document["models"])[0];
    for key in ["model", "true", "skeleton", "difference", "mistakes", "expectations", "harmless"] {
        assert!(keys(model).contains(&key), "{key}");
    }
    assert_eq!((&model["true"]["name"], &model["skeleton"]["name"]), (&MODEL.into(), &marked().into()));
    assert_eq!(model["mistakes"]["weights"], "codes-times-scale");
    assert_eq!(number(&model["true"]["uniform_bits"]), (size("vocab_size") as f64).log2());

    let manifest = Manifest::read(&run.join("manifest.json")).unwrap();
    let names: Vec<&str> = manifest.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, [MODEL, &marked()]);

    let texts: Vec<LossRow> = read_rows(&run.join("texts.csv")).unwrap();
    let (own, its): (Vec<&LossRow>, Vec<&LossRow>) = texts.iter().partition(|row| row.model == MODEL);
    assert!(own.len() >= 20 && own.len() == its.len());
    assert!(its.iter().all(|row| row.model == marked() && row.reference == MODEL && row.targets == 95));

    let heads: Vec<HeadRow> = read_rows(&run.join("heads.csv")).unwrap();
    let all = size("num_hidden_layers") * size("num_attention_heads");
    for name in [MODEL, &marked()] {
        for context in [64, 80] {
            let of = |row: &&HeadRow| row.model == name && row.context == context && row.text.is_empty();
            assert_eq!(heads.iter().filter(of).count(), all, "{name} at {context}");
        }
    }
    let report = fs::read_to_string(run.join("report.md")).unwrap();
    assert!(report.contains(&marked()) && report.contains("codes times their scale"), "{report}");

    // Again, for people: the same rows in another folder.
    let text = place.text(&[&SMALL[..], &["--out", "runs/small"]].concat());
    assert!(text.contains(&marked()) && text.contains("runs/small-2/report.md"), "{text}");
    for file in ["texts.csv", "heads.csv"] {
        let other = place.path("runs/small-2").join(file);
        assert!(fs::read(run.join(file)).unwrap() == fs::read(other).unwrap(), "{file} differs");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let place = Place::new();
    place.refuses(&["skeleton", "--model", "absent"], &["there is no model 'absent'"]);
    let twice = [&SMALL[..], &["--model", MODEL]].concat();
    place.refuses(&twice, &["two models are named tiny-gqa", "give each once"]);
    place.refuses(
        &[&SMALL[..5], &["--evaluation-tokens", "2000"]].concat(),
        &["reads 1024 tokens at most", "2000"],
    );
    place.refuses(&[&SMALL[..5], &["--evaluation-tokens", "1"]].concat(), &["too short", "use 2 or more"]);
    place.write("short/brief.txt", "Too short for anything.");
    for split in ["--calibration", "--evaluation"] {
        place.refuses(&[&SMALL[..], &[split, "short"]].concat(), &["brief.txt", "use a longer text"]);
    }
    // A folder cannot be told from its skeleton's rows when it bears the mark itself.
    let folder = format!("{MODEL}+llama-skeleton");
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        place.write(&format!("{folder}/{file}"), fs::read(original(file)).unwrap());
    }
    place.refuses(
        &[&SMALL[..], &["--model", &folder]].concat(),
        &["two models are named", "rename one folder"],
    );
}

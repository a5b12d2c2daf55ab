//! Tests that a run that is interrupted and resumed ends like an uninterrupted one, and that the exported
//! model is the trained one.

use std::{fs, path::Path};

use bitkv_bitnet::{Checkpoint, Model};
use bitkv_stats::Rng;
use bitkv_tokenizer::{Tokenizer, TokenizerOptions};
use bitkv_train::{
    corpus::Corpus,
    export::export,
    model::{Shape, Style},
    ops::Precision,
    recipe::{Recipe, Stage, WeightInit},
    trainer::{LogRow, Trainer},
};

/// Returns sentences of made-up words, enough for a vocabulary.
fn text(seed: u64, sentences: usize) -> String {
    const PARTS: [&str; 16] = [
        "ra", "to", "mi", "sel", "ban", "ko", "lu", "ner", "pa", "di", "ves", "ga", "hol", "tri", "mon", "fu",
    ];
    let mut rng = Rng::new(seed);
    let mut text = String::new();
    for _ in 0..sentences {
        for _ in 0..8 {
            let first = rng.below(PARTS.len());
            text += &format!("{}{} ", PARTS[first], PARTS[(first * 5 + rng.below(8)) % PARTS.len()]);
        }
        text += "\n";
    }
    text
}

fn recipe(style: Style) -> Recipe {
    let stage = |steps, length| Stage {
        steps,
        length,
        batch: 2,
        synthetic: 0.5,
        distance: 16,
        alphabet: 32,
        rate: [2e-3, 1e-3],
        decay: 0.1,
        gate: None,
    };
    Recipe {
        name: "tiny".into(),
        seed: 1,
        data_seed: 2,
        checkpoint_every: 3,
        validate_every: 4,
        shape: Shape {
            style,
            vocabulary: 448,
            hidden: 64,
            intermediate: 96,
            layers: 2,
            query_heads: 2,
            kv_heads: if style == Style::Large { 2 } else { 1 },
            head_dim: 32,
            rope_theta: 10_000,
            max_positions: 128,
        },
        start: WeightInit { previous_token_heads: 1, amplitude: 5.0 },
        stages: vec![stage(4, 64), stage(6, 96)],
    }
}

fn corpus(folder: &Path) -> Corpus {
    fs::write(folder.join("train.txt"), text(3, 2000)).unwrap();
    fs::write(folder.join("valid.txt"), text(4, 800)).unwrap();
    Corpus::open(folder, &folder.join("data"), 448).unwrap()
}

fn log(folder: &Path) -> Vec<LogRow> {
    csv::Reader::from_path(folder.join("log.csv")).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let recipe = recipe(Style::TwoB4T);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    Trainer::open(&recipe, &corpus, &whole, Precision::Ternary)
        .unwrap()
        .run(None, &bitkv_progress::Silent)
        .unwrap();
    for steps in [5, 2, 100] {
        let mut trainer = Trainer::open(&recipe, &corpus, &parts, Precision::Ternary).unwrap();
        trainer.run(Some(steps), &bitkv_progress::Silent).unwrap();
    }
    let resumed = Trainer::open(&recipe, &corpus, &parts, Precision::Ternary).unwrap();
    let uninterrupted = Trainer::open(&recipe, &corpus, &whole, Precision::Ternary).unwrap();
    assert_eq!((resumed.position().step, resumed.position().tokens), (10, 4 * 2 * 64 + 6 * 2 * 96));
    for (a, b) in resumed.model().parameters.iter().zip(&uninterrupted.model().parameters) {
        let values =
            |p: &bitkv_train::model::Parameter| p.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(values(a) == values(b), "{} differs after resuming", a.name);
    }
    let losses = |folder: &Path| {
        log(folder).iter().map(|r| (r.step, r.loss, r.valid_bits_per_byte)).collect::<Vec<_>>()
    };
    assert_eq!(losses(&parts), losses(&whole));
}

#[test]
fn steps_after_the_last_checkpoint_are_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let recipe = recipe(Style::TwoB4T);
    let run = folder.path().join("run");
    Trainer::open(&recipe, &corpus, &run, Precision::Ternary)
        .unwrap()
        .run(Some(3), &bitkv_progress::Silent)
        .unwrap();
    let kept = fs::read(run.join("checkpoint.safetensors")).unwrap();
    Trainer::open(&recipe, &corpus, &run, Precision::Ternary)
        .unwrap()
        .run(Some(2), &bitkv_progress::Silent)
        .unwrap();
    // This is the state after the process was killed: the log has rows of steps after the checkpoint.
    fs::write(run.join("checkpoint.safetensors"), kept).unwrap();
    let mut trainer = Trainer::open(&recipe, &corpus, &run, Precision::Ternary).unwrap();
    assert_eq!(trainer.position().step, 3);
    trainer.run(None, &bitkv_progress::Silent).unwrap();
    let steps: Vec<usize> = log(&run).iter().map(|r| r.step).collect();
    assert_eq!(steps, [4, 8], "each logged step occurs once");
}

#[test]
fn both_styles_export_the_trained_model() {
    for style in [Style::Large, Style::TwoB4T] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path());
        let recipe = recipe(style);
        let (run, out) = (folder.path().join("run"), folder.path().join("model"));
        let mut trainer = Trainer::open(&recipe, &corpus, &run, Precision::Ternary).unwrap();
        trainer.run(Some(4), &bitkv_progress::Silent).unwrap();
        // The export itself compares the losses of the trained and the packed model.
        export(&out, (&recipe, "recipe text"), &corpus, Some("| source |"), &trainer, &run).unwrap();
        let model = Model::load(&Checkpoint::open(&out).unwrap()).unwrap();
        let options =
            TokenizerOptions { bos: model.config().bos_token_id, vocab_size: model.config().vocab_size };
        Tokenizer::from_file(out.join("tokenizer.json"), &options).unwrap();
        let card = fs::read_to_string(out.join("README.md")).unwrap();
        assert!(card.contains("| source |"));
        assert_eq!(fs::read_to_string(out.join("recipe.toml")).unwrap(), "recipe text");
        for heading in ["## Held-out text", "## In-context tasks", "## Attention sinks", "## Samples"] {
            assert!(card.contains(heading), "{style:?}: {heading}");
        }
    }
}

#[test]
fn a_folder_of_another_run_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let run = folder.path().join("run");
    let first = recipe(Style::TwoB4T);
    Trainer::open(&first, &corpus, &run, Precision::Ternary)
        .unwrap()
        .run(Some(1), &bitkv_progress::Silent)
        .unwrap();
    let mut second = first.clone();
    second.shape.layers = 1;
    let error = Trainer::open(&second, &corpus, &run, Precision::Ternary).err().unwrap().to_string();
    assert!(error.contains("another shape"), "{error}");
    let mut third = first.clone();
    third.data_seed = 77;
    for (recipe, precision) in [(&third, Precision::Ternary), (&first, Precision::Full)] {
        let error = Trainer::open(recipe, &corpus, &run, precision).err().unwrap().to_string();
        assert!(error.contains("belongs to the run") && error.contains("use an empty folder"), "{error}");
    }
}

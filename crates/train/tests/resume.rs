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

/// Trains one step in the folder `run`.
fn train_a_step(recipe: &Recipe, corpus: &Corpus, run: &Path) {
    let mut trainer = Trainer::open(recipe, corpus, run, Precision::Ternary).unwrap();
    trainer.run(Some(1), &bitkv_progress::Silent).unwrap();
}

#[test]
fn a_training_resumes_only_with_the_same_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let run = folder.path().join("run");
    let first = recipe(Style::TwoB4T);
    train_a_step(&first, &corpus, &run);
    type Change = fn(&mut Recipe);
    let changes: [(Change, &str); 12] = [
        (|r| r.name = "other".into(), "name = \"tiny\", but now it is \"other\""),
        (|r| r.seed = 9, "seed = 1, but now it is 9"),
        (|r| r.data_seed = 77, "data-seed = 2, but now it is 77"),
        (|r| r.validate_every = 5, "validate-every = 4, but now it is 5"),
        (|r| r.shape.layers = 1, "shape.layers = 2, but now it is 1"),
        (|r| r.start.amplitude = 6.0, "start.amplitude = 5.0, but now it is 6.0"),
        (|r| r.stages[1].rate = [1e-3, 1e-3], "rate of stage 2 = "),
        (|r| r.stages[0].batch = 4, "batch of stage 1 = 2, but now it is 4"),
        (|r| r.stages[0].decay = 0.5, "decay of stage 1 = "),
        (|r| r.stages[0].gate = Some(0.5), "gate of stage 1 = none, but now it is 0.5"),
        (|r| r.stages[1].steps = 7, "steps of stage 2 = 6, but now it is 7"),
        (|r| r.stages.truncate(1), "the number of stages = 2, but now it is 1"),
    ];
    for (change, expected) in changes {
        let mut other = first.clone();
        change(&mut other);
        let error = Trainer::open(&other, &corpus, &run, Precision::Ternary).err().unwrap().to_string();
        assert!(error.contains(expected) && error.contains("use an empty folder"), "{expected}: {error}");
    }
    let error = Trainer::open(&first, &corpus, &run, Precision::Full).err().unwrap().to_string();
    assert!(error.contains("with --full-precision") && error.contains("use an empty folder"), "{error}");
    assert!(Trainer::open(&first, &corpus, &run, Precision::Ternary).is_ok());
}

/// Returns the bytes of a file with one bit changed.
fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

#[test]
fn a_training_resumes_only_with_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(Style::TwoB4T);
    let path = |name: &str| folder.path().join(name);
    train_a_step(&recipe, &corpus(folder.path()), &path("run"));
    let open = || Corpus::open(folder.path(), &path("data"), 448);
    for name in ["train.bin", "valid.bin", "tokenizer.json", "data.json"] {
        let path = path("data").join(name);
        let kept = fs::read(&path).unwrap();
        for damaged in [kept[..kept.len() / 2].to_vec(), flipped(&kept, kept.len() / 2)] {
            fs::write(&path, damaged).unwrap();
            let error = open().unwrap_err().to_string();
            assert!(error.contains("was changed after it was prepared"), "{name}: {error}");
            assert!(error.contains("remove the folder"), "{name}: {error}");
        }
        fs::write(&path, kept).unwrap();
    }
    // The texts are not needed once they are prepared, but other texts are refused.
    fs::remove_file(path("train.txt")).unwrap();
    assert!(open().is_ok());
    fs::write(path("train.txt"), text(5, 2000)).unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("train.txt is another text"), "{error}");
    // Data of other texts is not the data of the run, even in a new folder.
    let other = Corpus::open(folder.path(), &path("other"), 448).unwrap();
    let error = Trainer::open(&recipe, &other, &path("run"), Precision::Ternary).err().unwrap().to_string();
    assert!(error.contains("tokenizer.json = ") || error.contains("train."), "{error}");
    assert!(error.contains("use an empty folder"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, corpus) = (recipe(Style::TwoB4T), corpus(folder.path()));
    let run = folder.path().join("run");
    train_a_step(&recipe, &corpus, &run);
    let path = run.join("checkpoint.safetensors");
    let kept = fs::read(&path).unwrap();
    let positions = (0..40).map(|i| i * (kept.len() - 1) / 39);
    for at in positions.chain([8, 20, 60, 200]) {
        fs::write(&path, flipped(&kept, at)).unwrap();
        let found = Trainer::open(&recipe, &corpus, &run, Precision::Ternary);
        let error = found.err().unwrap_or_else(|| panic!("bit {at} is accepted")).to_string();
        assert!(error.contains("checkpoint.safetensors") && error.lines().count() == 1, "{error}");
    }
    fs::write(&path, &kept[..kept.len() / 2]).unwrap();
    assert!(Trainer::open(&recipe, &corpus, &run, Precision::Ternary).is_err());
    fs::write(&path, kept).unwrap();
    assert!(Trainer::open(&recipe, &corpus, &run, Precision::Ternary).is_ok());
}

/// Cancels work from the start.
struct Cancelling;

impl bitkv_progress::Progress for Cancelling {
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_cancelled_training_keeps_its_step_and_abandoned_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, corpus) = (recipe(Style::TwoB4T), corpus(folder.path()));
    let run = folder.path().join("run");
    let left = run.join(".checkpoint.safetensors.bitkv-4294967295-0.tmp");
    fs::create_dir(&run).unwrap();
    fs::write(&left, "half").unwrap();
    let mut trainer = Trainer::open(&recipe, &corpus, &run, Precision::Ternary).unwrap();
    let error = trainer.run(Some(usize::MAX), &Cancelling).unwrap_err();
    assert!(matches!(error, bitkv_train::Error::Cancelled));
    let locked = Trainer::open(&recipe, &corpus, &run, Precision::Ternary).err().unwrap();
    assert!(locked.to_string().contains("is being written by another process"), "{locked}");
    drop(trainer);
    let mut trainer = Trainer::open(&recipe, &corpus, &run, Precision::Ternary).unwrap();
    assert!(trainer.position().step == 1 && !left.exists());
    // The largest number of further steps does not wrap.
    trainer.run(Some(usize::MAX), &bitkv_progress::Silent).unwrap();
    assert_eq!(trainer.position().step, 10);
}

#[test]
fn an_export_appears_whole_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, corpus) = (recipe(Style::TwoB4T), corpus(folder.path()));
    let (run, out) = (folder.path().join("run"), folder.path().join("model"));
    train_a_step(&recipe, &corpus, &run);
    let trainer = Trainer::open(&recipe, &corpus, &run, Precision::Ternary).unwrap();
    let export = || export(&out, (&recipe, "recipe"), &corpus, None, &trainer, &run);
    fs::create_dir(&out).unwrap();
    let left = folder.path().join(".model.bitkv-4294967295-0.tmp");
    fs::create_dir(&left).unwrap();
    export().unwrap();
    assert!(out.join("README.md").exists() && !left.exists());
    let error = export().unwrap_err().to_string();
    assert!(error.contains("is not an empty folder"), "{error}");
    let hidden = fs::read_dir(folder.path()).unwrap();
    let hidden =
        hidden.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
}

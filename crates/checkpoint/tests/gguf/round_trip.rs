//! Tests that checkpoints are unchanged if they are written as GGUF files and read back.

use std::sync::Mutex;

use bitkv_checkpoint::{
    Architecture, Checkpoint, Coding, Config, FloatType, ScaleRule, WeightFormat,
    gguf::{Target, Vocabulary, WriteOptions, write},
};
use bitkv_progress::Progress;
use safetensors::Dtype;

use crate::model::{Recipe, checkpoint, checkpoint_with_config, config_json};

const ALL: [Architecture; 3] = [Architecture::BitNet, Architecture::OneBitLlm, Architecture::Llama];

fn options(target: Target) -> WriteOptions<'static> {
    WriteOptions { target, embedding: None, vocabulary: None, name: "small", lossy: false }
}

/// Records the progress of the work.
#[derive(Default)]
struct RecordedProgress(Mutex<Vec<u64>>);

impl Progress for RecordedProgress {
    fn reach(&self, done: u64) {
        self.0.lock().unwrap().push(done);
    }
}

/// Returns the checkpoint that is read back from the file.
fn written(checkpoint: &Checkpoint, options: &WriteOptions<'_>) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    let progress = RecordedProgress::default();
    let bytes = write(&path, checkpoint, options, &progress).unwrap();
    let reached = progress.0.into_inner().unwrap();
    assert!(reached.is_sorted_by(|a, b| a < b), "{reached:?}");
    assert_eq!(reached.last(), Some(&bytes), "everything was written");
    Checkpoint::open(&path).unwrap()
}

fn rows(checkpoint: &Checkpoint) -> Vec<(String, u32, Vec<Vec<u8>>)> {
    let linears = checkpoint.config().all_linears().map(|shape| {
        let linear = checkpoint.linear(&shape).unwrap();
        let row = |row| {
            let mut codes = vec![9; shape.cols];
            linear.codes(row, &mut codes);
            codes
        };
        (shape.name.clone(), linear.multiplier().to_bits(), (0..shape.rows).map(row).collect())
    });
    linears.collect()
}

fn assert_same(a: &Checkpoint, b: &Checkpoint) {
    let packed =
        |config: &Config| Config { weights: WeightFormat::Packed(ScaleRule::Multiply), ..config.clone() };
    assert_eq!(packed(a.config()), packed(b.config()));
    for ((name, scale, codes), (_, other_scale, other_codes)) in rows(a).into_iter().zip(rows(b)) {
        assert_eq!(scale, other_scale, "scale of {name}");
        assert!(codes == other_codes, "codes of {name}");
    }
    for norm in a.config().all_norms() {
        assert_eq!(a.norm(&norm).unwrap(), b.norm(&norm).unwrap(), "{}", norm.name);
    }
    let dense = |checkpoint: &Checkpoint| {
        let head = checkpoint.lm_head().unwrap();
        [Some(checkpoint.embedding().unwrap()), head].into_iter().flatten().collect::<Vec<_>>()
    };
    for (a, b) in dense(a).iter().zip(dense(b)) {
        let (mut x, mut y) = (vec![0.0; a.cols()], vec![1.0; b.cols()]);
        for row in 0..a.rows() {
            a.row(row, &mut x);
            b.row(row, &mut y);
            assert_eq!(x, y, "row {row}");
        }
    }
}

/// The scales are exact in bf16 and f16, so every type is exact. In the llama architecture results are
/// divided by the scale, so the scales are powers of two.
#[test]
fn every_architecture_survives_every_type() {
    for architecture in ALL {
        for tied in [true, false] {
            let original = checkpoint(Recipe { tied, ..Recipe::new(architecture) });
            for target in Target::all() {
                let options = WriteOptions { lossy: architecture != Architecture::BitNet, ..options(target) };
                let file = written(&original, &options);
                assert_eq!(file.gguf().unwrap().i2s_layout().is_some(), target == Target::I2S);
                if target == Target::I2S || !options.lossy {
                    assert_same(&original, &file);
                    assert_same(&original, &written(&file, &options));
                } else {
                    let codes = |checkpoint: &Checkpoint| {
                        rows(checkpoint).into_iter().map(|(_, _, codes)| codes).collect::<Vec<_>>()
                    };
                    assert!(codes(&original) == codes(&file), "{architecture:?} as {target:?}");
                }
            }
        }
    }
}

#[test]
fn scales_are_not_rounded_unless_asked_for() {
    let original = checkpoint(Recipe::new(Architecture::Llama));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    let message =
        write(&path, &original, &options(Target::Tq2_0), &bitkv_progress::Silent).unwrap_err().to_string();
    assert!(message.contains("cannot be written as TQ2_0: its scale 0.9"), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left");
    write(&path, &original, &WriteOptions { lossy: true, ..options(Target::Tq2_0) }, &bitkv_progress::Silent)
        .unwrap();
    for ((name, scale, codes), (_, rounded, same)) in
        rows(&original).into_iter().zip(rows(&Checkpoint::open(&path).unwrap()))
    {
        let (scale, rounded) = (f32::from_bits(scale), f32::from_bits(rounded));
        assert!((scale / rounded - 1.0).abs() < 1.0 / 2048.0 && codes == same, "{name}");
    }
}

#[test]
fn the_embedding_is_f16_when_that_is_exact() {
    let coding = |recipe: Recipe, embedding| {
        let original = checkpoint(recipe);
        let file = written(&original, &WriteOptions { embedding, ..options(Target::I2S) });
        if embedding.is_none() {
            assert_same(&original, &file);
        }
        file.embedding().unwrap().stored().coding.clone()
    };
    let recipe = Recipe::new(Architecture::BitNet);
    assert_eq!(coding(recipe, None), Coding::F16);
    assert_eq!(coding(Recipe { embedding: Dtype::F32, ..recipe }, None), Coding::F16);
    // The values are smaller than any nonzero f16.
    assert_eq!(coding(Recipe { step: 1e-9, ..recipe }, None), Coding::Bf16);
    assert_eq!(coding(Recipe { step: 1e-9, embedding: Dtype::F32, ..recipe }, None), Coding::F32);
    assert_eq!(coding(recipe, Some(FloatType::F32)), Coding::F32);
    assert_eq!(coding(Recipe { step: 0.3, ..recipe }, Some(FloatType::Bf16)), Coding::Bf16);
    let large = checkpoint(Recipe { step: 1024.0, ..recipe });
    let folder = tempfile::tempdir().unwrap();
    let half = WriteOptions { embedding: Some(FloatType::F16), ..options(Target::I2S) };
    let message =
        write(&folder.path().join("a"), &large, &half, &bitkv_progress::Silent).unwrap_err().to_string();
    assert!(message.contains("`model.embed_tokens.weight` cannot be written as F16: it holds"), "{message}");
}

#[test]
fn an_existing_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    std::fs::write(&path, "before").unwrap();
    let original = checkpoint(Recipe::new(Architecture::BitNet));
    let message =
        write(&path, &original, &options(Target::I2S), &bitkv_progress::Silent).unwrap_err().to_string();
    assert!(message.contains("small.gguf already exists"), "{message}");
    assert_eq!(std::fs::read(&path).unwrap(), b"before");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let recipe = Recipe::new(Architecture::BitNet);
    let json = config_json(recipe).replace("\"intermediate_size\": 512", "\"intermediate_size\": 320");
    let small = checkpoint_with_config(&json, recipe);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    for (target, block) in [(Target::I2S, 128), (Target::Tq1_0, 256), (Target::Tq2_0, 256)] {
        let message =
            write(&path, &small, &options(target), &bitkv_progress::Silent).unwrap_err().to_string();
        let expected = format!(
            "tensor `model.layers.0.mlp.down_proj.weight` cannot be written as {}: its rows have 320 weights, which is \
             not a multiple of {block}: write a packed folder instead",
            target.name()
        );
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
fn an_unusual_activation_is_written_as_a_key() {
    let recipe = Recipe::new(Architecture::OneBitLlm);
    let json = config_json(recipe).replace("\"silu\"", "\"relu2\"");
    let folder = tempfile::tempdir().unwrap();
    for (name, json, keys) in [("unusual.gguf", json, 1), ("usual.gguf", config_json(recipe), 0)] {
        let (path, written) = (folder.path().join(name), checkpoint_with_config(&json, recipe));
        write(&path, &written, &options(Target::I2S), &bitkv_progress::Silent).unwrap();
        let read = Checkpoint::open(&path).unwrap();
        assert_eq!(read.config().hidden_act, written.config().hidden_act);
        let named = |entry: &&bitkv_checkpoint::gguf::MetadataEntry| entry.key == "bitnet.hidden_activation";
        assert_eq!(read.gguf().unwrap().metadata().iter().filter(named).count(), keys);
    }
}

#[test]
fn a_plain_llama_is_not_written() {
    let recipe = Recipe::new(Architecture::BitNet);
    let plain_llama = checkpoint(recipe).as_plain_llama();
    let path = std::env::temp_dir().join("never-written.gguf");
    let message =
        write(&path, &plain_llama, &options(Target::I2S), &bitkv_progress::Silent).unwrap_err().to_string();
    assert!(message.contains("a plain Llama is a way to run a model"), "{message}");
}

#[test]
fn the_tokenizer_survives() {
    let vocabulary = Vocabulary {
        model: "gpt2".into(),
        pre: Some("llama-bpe".into()),
        tokens: (0..96).map(|id| format!("token {id} \u{120}")).collect(),
        scores: (0..96).map(|id| id as f32 / -7.0).collect(),
        token_types: (0..96).map(|id| 1 + id % 6).collect(),
        merges: vec!["a b".into(), "\u{120} c".into()],
        bos: Some(1),
        eos: Some(2),
        unk: Some(0),
        pad: Some(3),
        add_bos: Some(true),
        add_eos: Some(false),
        add_space_prefix: Some(false),
        chat_template: Some("{% for message in messages %}".into()),
    };
    let original = checkpoint(Recipe::new(Architecture::BitNet));
    let file = written(&original, &WriteOptions { vocabulary: Some(&vocabulary), ..options(Target::I2S) });
    assert_eq!(file.gguf().unwrap().vocabulary().unwrap(), vocabulary);
    assert_same(&original, &file);
    let without = written(&original, &options(Target::I2S));
    let message = without.gguf().unwrap().vocabulary().unwrap_err().to_string();
    assert!(message.contains("lacks the key `tokenizer.ggml.tokens`"), "{message}");
}

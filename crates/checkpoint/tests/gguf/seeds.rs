//! The seeds of the fuzz targets: small valid files of every kind, in `testdata/hostile`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bitkv_checkpoint::{
    Architecture, Checkpoint,
    codec::{CODECS, i2s, i2s::Layout},
    gguf::ReadOptions,
};
use half::f16;
use safetensors::Dtype;

use crate::{
    model::{Recipe, config_json, noise, weights},
    official::floats,
    raw::{File, Tensor, f32, flag, string, strings, u32},
};

/// Returns the file of a model with one layer, whose one head has a width of two.
fn file(architecture: &str, hidden: usize, inner: usize, kind: u32) -> File {
    let with_prefix = |key: &str| format!("{architecture}.{key}");
    let file = File::new()
        .field("general.architecture", string(architecture))
        .field(&with_prefix("context_length"), u32(16))
        .field(&with_prefix("embedding_length"), u32(hidden as u32))
        .field(&with_prefix("block_count"), u32(1))
        .field(&with_prefix("feed_forward_length"), u32(inner as u32))
        .field(&with_prefix("attention.head_count"), u32(1))
        .field(&with_prefix("attention.key_length"), u32(2))
        .field(&with_prefix("attention.layer_norm_rms_epsilon"), f32(1e-5))
        .field("tokenizer.ggml.model", string("llama"))
        .field("tokenizer.ggml.tokens", strings(&["<unk>", "<s>", "</s>", "a"]))
        .field(
            "tokenizer.ggml.scores",
            (9, [&[6, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0][..], &floats([0.0; 4])].concat()),
        )
        .field("tokenizer.ggml.add_bos_token", flag(true));
    let mut file = file.tensor(Tensor::new(
        "token_embd.weight",
        &[hidden as u64, 4],
        0,
        floats((0..4 * hidden).map(|i| i as f32 + 1.0)),
    ));
    for (name, width) in
        [("attn_norm", hidden), ("ffn_norm", hidden), ("attn_sub_norm", 2), ("ffn_sub_norm", inner)]
    {
        file = file.tensor(Tensor::new(
            &format!("blk.0.{name}.weight"),
            &[width as u64],
            0,
            floats((0..width).map(|i| i as f32)),
        ));
    }
    for (name, rows, cols) in [
        ("attn_q", 2, hidden),
        ("attn_k", 2, hidden),
        ("attn_v", 2, hidden),
        ("attn_output", hidden, 2),
        ("ffn_gate", inner, hidden),
        ("ffn_up", inner, hidden),
        ("ffn_down", hidden, inner),
    ] {
        file = file.tensor(linear(&format!("blk.0.{name}.weight"), rows, cols, kind));
    }
    file.tensor(Tensor::new("output_norm.weight", &[hidden as u64], 0, floats(vec![1.0; hidden])))
}

/// Returns a linear layer of this type if its shape fits, and of F16 otherwise.
fn linear(name: &str, rows: usize, cols: usize, kind: u32) -> Tensor {
    let fill = |row: usize, out: &mut [u8]| {
        (0..cols).for_each(|col| out[col] = (noise((row * cols + col) as u64) % 3) as u8);
    };
    let dims = [cols as u64, rows as u64];
    let codec = CODECS.iter().find(|codec| codec.id == kind && codec.fits(rows, cols));
    let Some(encoding) = codec.and_then(|codec| codec.encoding) else {
        let half = |i: usize| f16::from_f32((noise(i as u64) % 3) as f32 * 0.75 - 0.75).to_le_bytes();
        return Tensor::new(name, &dims, 1, (0..rows * cols).flat_map(half).collect());
    };
    let (mut bytes, mut codes) = (Vec::new(), vec![0; cols]);
    for row in 0..rows {
        fill(row, &mut codes);
        (encoding.encode_row)(&codes, 0.75, &mut bytes);
    }
    bytes.extend(encoding.tail.map_or(Vec::new(), |tail| tail(0.75)));
    Tensor::new(name, &dims, kind, bytes)
}

/// Returns the seed of a folder: the length of the configuration, the configuration and the weights.
fn folder_files(recipe: Recipe) -> Vec<u8> {
    let json = config_json(recipe)
        .replace("\"vocab_size\": 96", "\"vocab_size\": 4")
        .replace("\"hidden_size\": 256", "\"hidden_size\": 8")
        .replace("\"intermediate_size\": 512", "\"intermediate_size\": 6")
        .replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1")
        .replace("\"head_dim\": 64", "\"head_dim\": 2");
    let weights = weights(&json, recipe);
    Checkpoint::from_bytes(&json, weights.clone()).unwrap();
    [&(json.len() as u16).to_le_bytes()[..], json.as_bytes(), &weights].concat()
}

/// Returns the content of every seed, by its path below the folder of seeds.
fn seeds() -> BTreeMap<String, Vec<u8>> {
    let recipe = Recipe::new(Architecture::BitNet);
    let mut seeds = BTreeMap::from([
        ("gguf/i2s".into(), file("bitnet-b1.58", 128, 2, 36).bytes()),
        ("gguf/tq1_0".into(), file("bitnet", 256, 2, 34).bytes()),
        ("gguf/tq2_0-llama".into(), file("llama", 256, 2, 35).bytes()),
        ("gguf/floats".into(), file("bitnet-25", 4, 2, 1).bytes()),
        ("safetensors/packed".into(), folder_files(recipe)),
        (
            "safetensors/masters".into(),
            folder_files(Recipe { architecture: Architecture::OneBitLlm, ..recipe }),
        ),
        (
            "safetensors/llama".into(),
            folder_files(Recipe { architecture: Architecture::Llama, tied: false, ..recipe }),
        ),
        ("safetensors/f16".into(), folder_files(Recipe { embedding: Dtype::F16, ..recipe })),
    ]);
    // A file in the four-row layout of bitnet.cpp.
    let four_rows = i2s::encode(Layout::FourRow, 4, 4, |row, out| out.fill((row % 3) as u8), 1.0);
    let mut odd = file("bitnet", 4, 4, 1).tensor(Tensor::new("blk.1.odd.weight", &[4, 4], 36, four_rows));
    odd.tensors.push(Tensor::new("blk.0.attn_q.scale", &[], 0, floats([2.0])));
    seeds.insert("gguf/four-rows".into(), odd.bytes());
    seeds
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/hostile"))
}

#[test]
fn committed_seeds_are_up_to_date() {
    for (name, bytes) in seeds() {
        assert!(
            fs::read(folder().join(&name)).unwrap() == bytes,
            "{name}: run `cargo test -- --ignored regenerate`"
        );
    }
}

#[test]
fn seeds_are_valid() {
    for (name, bytes) in seeds() {
        if name.starts_with("gguf") {
            let checkpoint = Checkpoint::from_gguf_bytes(bytes, &ReadOptions::default()).unwrap();
            for shape in checkpoint.config().all_linears() {
                checkpoint.linear(&shape).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            checkpoint.gguf().unwrap().vocabulary().unwrap();
        }
    }
}

#[test]
#[ignore = "writes the committed seeds"]
fn regenerate_seeds() {
    for (name, bytes) in seeds() {
        let path = folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

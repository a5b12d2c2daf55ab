//! A small file like the published one, which tests modify.

use bitkv_checkpoint::{
    Checkpoint, Error,
    codec::{i2s, i2s::Layout},
    gguf::ReadOptions,
};
use half::f16;

use crate::{
    model::noise,
    raw::{File, Raw, Tensor, f32, flag, string, strings, u32},
};

pub(crate) const HIDDEN: usize = 256;
pub(crate) const KV: usize = 128;
pub(crate) const VOCABULARY: usize = 40;

/// Returns the bytes of F32 values.
pub(crate) fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// Returns the code of a weight.
pub(crate) fn code(name: &str, row: usize, col: usize) -> u8 {
    let seed = name.bytes().fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
    (noise(seed << 40 | (row << 20 | col) as u64) % 3) as u8
}

fn i2s_tensor(name: &str, rows: usize, cols: usize) -> Tensor {
    let fill = |row: usize, out: &mut [u8]| (0..cols).for_each(|col| out[col] = code(name, row, col));
    let mut bytes = i2s::encode(Layout::X86, rows, cols, fill, 1.25);
    // bitnet.cpp leaves the padding uninitialised.
    bytes[rows * cols / 4 + 4..].fill(0xAA);
    Tensor::new(name, &[cols as u64, rows as u64], 36, bytes)
}

/// The seven linear layers of layer 0: name, rows, columns.
pub(crate) const LINEARS: [(&str, usize, usize); 7] = [
    ("blk.0.attn_q.weight", HIDDEN, HIDDEN),
    ("blk.0.attn_k.weight", KV, HIDDEN),
    ("blk.0.attn_v.weight", KV, HIDDEN),
    ("blk.0.attn_output.weight", HIDDEN, HIDDEN),
    ("blk.0.ffn_gate.weight", HIDDEN, HIDDEN),
    ("blk.0.ffn_up.weight", HIDDEN, HIDDEN),
    ("blk.0.ffn_down.weight", HIDDEN, HIDDEN),
];

/// Returns a file with one layer like the thirty of the published 2B-4T file.
pub(crate) fn official(architecture: &str) -> File {
    let with_prefix = |key: &str| format!("{architecture}.{key}");
    let tokens: Vec<String> = (0..VOCABULARY).map(|id| format!("t{id}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let mut file = File::new()
        .field("general.architecture", string(architecture))
        .field("general.file_type", u32(40))
        .field(&with_prefix("vocab_size"), u32(VOCABULARY as u32))
        .field(&with_prefix("context_length"), u32(4096))
        .field(&with_prefix("embedding_length"), u32(HIDDEN as u32))
        .field(&with_prefix("block_count"), u32(1))
        .field(&with_prefix("feed_forward_length"), u32(HIDDEN as u32))
        .field(&with_prefix("rope.dimension_count"), u32(64))
        .field(&with_prefix("attention.head_count"), u32(4))
        .field(&with_prefix("attention.head_count_kv"), u32(2))
        .field(&with_prefix("attention.layer_norm_rms_epsilon"), f32(1e-5))
        .field(&with_prefix("rope.freq_base"), f32(500_000.0))
        .field("tokenizer.ggml.model", string("gpt2"))
        .field("tokenizer.ggml.tokens", strings(&tokens))
        .field("tokenizer.ggml.merges", strings(&["t 1", "t 2"]))
        .field("tokenizer.ggml.add_bos_token", flag(true))
        .field("tokenizer.ggml.bos_token_id", u32(3))
        .field("tokenizer.ggml.eos_token_id", u32(4));
    let embedding = (0..VOCABULARY * HIDDEN).flat_map(|i| f16::from_f32(i as f32 / 64.0 + 1.0).to_le_bytes());
    file = file.tensor(Tensor::new(
        "token_embd.weight",
        &[HIDDEN as u64, VOCABULARY as u64],
        1,
        embedding.collect(),
    ));
    for name in ["attn_norm", "ffn_norm", "attn_sub_norm", "ffn_sub_norm"] {
        let name = format!("blk.0.{name}.weight");
        file = file.tensor(Tensor::new(&name, &[HIDDEN as u64], 0, floats([1.0; HIDDEN])));
    }
    for (name, rows, cols) in LINEARS {
        file = file.tensor(i2s_tensor(name, rows, cols));
    }
    file.tensor(Tensor::new("output_norm.weight", &[HIDDEN as u64], 0, floats([1.0; HIDDEN])))
}

pub(crate) fn open(file: &File) -> Result<Checkpoint, Error> {
    Checkpoint::from_gguf_bytes(file.bytes(), &ReadOptions::default())
}

/// Returns the error message for a file.
pub(crate) fn refusal(file: &File) -> String {
    open(file).err().expect("it is refused").to_string()
}

pub(crate) fn without(mut file: File, key: &str) -> File {
    let before = file.fields.len();
    file.fields.retain(|field| field.0 != key);
    assert_eq!(file.fields.len(), before - 1, "{key}");
    file
}

pub(crate) fn with(mut file: File, key: &str, value: Raw) -> File {
    file.fields.retain(|field| field.0 != key);
    file.field(key, value)
}

pub(crate) fn tensor_mut<'f>(file: &'f mut File, name: &str) -> &'f mut Tensor {
    file.tensors.iter_mut().find(|tensor| tensor.name == name).expect("there is such a tensor")
}

/// Returns the codes of the query weight, by row, and its multiplier.
pub(crate) fn query(checkpoint: &Checkpoint) -> (Vec<Vec<u8>>, f32) {
    let [q, ..] = checkpoint.config().linears(0);
    let linear = checkpoint.linear(&q).unwrap();
    let row = |row| {
        let mut codes = vec![9; q.cols];
        linear.codes(row, &mut codes);
        codes
    };
    ((0..q.rows).map(row).collect(), linear.multiplier())
}

/// Returns the codes of a stored row of the query weight.
pub(crate) fn expected(row: usize) -> Vec<u8> {
    (0..HIDDEN).map(|col| code("blk.0.attn_q.weight", row, col)).collect()
}

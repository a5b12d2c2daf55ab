//! Files as others write them.

use bitkv_checkpoint::{
    Activation, Architecture, Checkpoint, Coding, Error,
    codec::{i2s, i2s::Layout, tq2_0},
    gguf::Options,
};
use half::f16;

use crate::{
    model::noise,
    raw::{File, Raw, Tensor, f32, flag, string, strings, u32},
};

pub(crate) const HIDDEN: usize = 256;
pub(crate) const KV: usize = 128;
pub(crate) const VOCABULARY: usize = 40;

/// F32 values.
pub(crate) fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub(crate) fn code(name: &str, row: usize, col: usize) -> u8 {
    let seed = name.bytes().fold(0, |sum, b| sum * 31 + u64::from(b));
    (noise(seed << 40 | (row << 20 | col) as u64) % 3) as u8
}

fn i2s_tensor(name: &str, rows: usize, cols: usize) -> Tensor {
    let fill = |row: usize, out: &mut [u8]| (0..cols).for_each(|col| out[col] = code(name, row, col));
    let mut bytes = i2s::encode(Layout::X86, rows, cols, fill, 1.25);
    // Nobody sets the padding.
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

/// One layer as the published 2B-4T file has thirty.
pub(crate) fn official(architecture: &str) -> File {
    let own = |key: &str| format!("{architecture}.{key}");
    let tokens: Vec<String> = (0..VOCABULARY).map(|id| format!("t{id}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let mut file = File::new()
        .field("general.architecture", string(architecture))
        .field("general.file_type", u32(40))
        .field(&own("vocab_size"), u32(VOCABULARY as u32))
        .field(&own("context_length"), u32(4096))
        .field(&own("embedding_length"), u32(HIDDEN as u32))
        .field(&own("block_count"), u32(1))
        .field(&own("feed_forward_length"), u32(HIDDEN as u32))
        .field(&own("rope.dimension_count"), u32(64))
        .field(&own("attention.head_count"), u32(4))
        .field(&own("attention.head_count_kv"), u32(2))
        .field(&own("attention.layer_norm_rms_epsilon"), f32(1e-5))
        .field(&own("rope.freq_base"), f32(500_000.0))
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
    Checkpoint::from_gguf_bytes(file.bytes(), &Options::default())
}

pub(crate) fn refusal(file: &File) -> String {
    open(file).err().expect("it is refused").to_string()
}

fn without(mut file: File, key: &str) -> File {
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

/// The codes and the multiplier of query rows.
fn query(checkpoint: &Checkpoint) -> (Vec<Vec<u8>>, f32) {
    let [q, ..] = checkpoint.config().linears(0);
    let linear = checkpoint.linear(&q).unwrap();
    let row = |row| {
        let mut codes = vec![9; q.cols];
        linear.codes(row, &mut codes);
        codes
    };
    ((0..q.rows).map(row).collect(), linear.multiplier())
}

fn expected(row: usize) -> Vec<u8> {
    (0..HIDDEN).map(|col| code("blk.0.attn_q.weight", row, col)).collect()
}

#[test]
fn a_file_like_the_published_one_is_read() {
    let checkpoint = open(&official("bitnet-b1.58")).unwrap();
    let config = checkpoint.config();
    assert_eq!((config.architecture, config.hidden_act), (Architecture::BitNet, Activation::Relu2));
    assert_eq!((config.hidden_size, config.num_hidden_layers, config.head_dim), (HIDDEN, 1, 64));
    assert_eq!((config.num_attention_heads, config.num_key_value_heads), (4, 2));
    assert_eq!(
        (config.rope_theta, config.rms_norm_eps, config.max_position_embeddings),
        (500_000.0, 1e-5, 4096)
    );
    assert_eq!((config.bos_token_id, &config.eos_token_ids[..]), (Some(3), &[4][..]));
    assert!(checkpoint.is_tied() && checkpoint.head().unwrap().is_none());
    let (rows, multiplier) = query(&checkpoint);
    assert_eq!(multiplier, 1.25);
    assert!(rows.iter().enumerate().all(|(row, codes)| *codes == expected(row)));
    for shape in config.all_linears() {
        assert_eq!(checkpoint.linear(&shape).unwrap().multiplier(), 1.25, "{}", shape.name);
    }
    let mut row = vec![0.0; HIDDEN];
    checkpoint.embedding().unwrap().row(2, &mut row);
    assert_eq!(row[0], 9.0);
    let gguf = checkpoint.gguf().unwrap();
    let vocabulary = gguf.vocabulary().unwrap();
    assert_eq!((&vocabulary.model[..], vocabulary.pre, vocabulary.tokens.len()), ("gpt2", None, VOCABULARY));
    assert_eq!((vocabulary.bos, vocabulary.add_bos, vocabulary.merges.len()), (Some(3), Some(true), 2));
    let listed: Vec<String> =
        gguf.metadata().iter().map(|e| format!("{} {} {}", e.key, e.kind.name(), e.value)).collect();
    assert_eq!(listed[0], "general.architecture string \"bitnet-b1.58\"");
    assert_eq!(listed[10], "bitnet-b1.58.attention.layer_norm_rms_epsilon f32 0.00001");
    assert_eq!(listed[13], "tokenizer.ggml.tokens array 40 x string");
    let names: Vec<String> =
        checkpoint.tensors().unwrap().into_iter().map(|t| format!("{} {:?}", t.name, t.shape)).collect();
    assert_eq!(
        (&names[0][..], &names[6][..]),
        ("token_embd.weight [40, 256]", "blk.0.attn_k.weight [128, 256]")
    );
}

#[test]
fn architectures_are_told_by_name() {
    let of = |name: &str| open(&official(name)).unwrap().config().clone();
    assert_eq!(of("bitnet-25").architecture, Architecture::BitNet);
    let large = of("bitnet");
    assert_eq!((large.architecture, large.hidden_act), (Architecture::OneBitLlm, Activation::Silu));
    assert_eq!(of("llama").architecture, Architecture::Llama);
    let message = refusal(&official("qwen3"));
    assert!(message.contains("`general.architecture` is `qwen3`, but only bitnet"), "{message}");
}

#[test]
fn what_the_metadata_leaves_out() {
    let file = without(official("bitnet"), "bitnet.rope.freq_base");
    let file = without(without(file, "bitnet.vocab_size"), "bitnet.rope.dimension_count");
    let file = without(file, "tokenizer.ggml.bos_token_id");
    let config = open(&file).unwrap().config().clone();
    assert_eq!((config.rope_theta, config.vocab_size, config.head_dim), (10_000.0, VOCABULARY, 64));
    assert_eq!(config.bos_token_id, None);
    for key in ["context_length", "embedding_length", "block_count", "attention.layer_norm_rms_epsilon"] {
        let key = format!("bitnet.{key}");
        let message = refusal(&without(official("bitnet"), &key));
        assert!(message.contains(&format!("it lacks the key `{key}`")), "{message}");
    }
    let message = refusal(&without(official("bitnet"), "general.architecture"));
    assert!(message.contains("it lacks the key `general.architecture`"), "{message}");
}

#[test]
fn chat_models_stop_at_the_end_of_a_turn() {
    let ids = |file: &File| open(file).unwrap().config().eos_token_ids.clone();
    let file = official("bitnet-b1.58");
    assert_eq!(ids(&with(file.clone(), "tokenizer.ggml.eot_token_id", u32(7))), [4, 7]);
    let mut tokens = vec!["x"; VOCABULARY];
    tokens[9] = "<|eot_id|>";
    assert_eq!(ids(&with(file.clone(), "tokenizer.ggml.tokens", strings(&tokens))), [4, 9]);
    let message = refusal(&with(file, "tokenizer.ggml.eos_token_id", u32(40)));
    assert!(
        message.contains("`tokenizer.ggml.eos_token_id` is 40, outside the vocabulary of 40"),
        "{message}"
    );
}

/// llama.cpp's rule: dimension `i` of a head's first half and of its second half are neighbours.
#[test]
fn rotary_rows_of_the_llama_architecture_are_put_in_order() {
    let (rows, _) = query(&open(&official("llama")).unwrap());
    for (row, codes) in rows.iter().enumerate() {
        let (head, within) = (row / 64, row % 64);
        let stored = head * 64 + if within < 32 { 2 * within } else { 2 * (within - 32) + 1 };
        assert!(*codes == expected(stored), "row {row}");
    }
    let checkpoint = open(&official("llama")).unwrap();
    let value = checkpoint.config().linears(0)[2].clone();
    let mut codes = vec![9; HIDDEN];
    checkpoint.linear(&value).unwrap().codes(5, &mut codes);
    assert!((0..HIDDEN).all(|col| codes[col] == code("blk.0.attn_v.weight", 5, col)));
}

#[test]
fn a_scale_beside_a_weight_multiplies() {
    let scale = Tensor::new("blk.0.attn_q.scale", &[1], 0, floats([0.5]));
    assert_eq!(query(&open(&official("bitnet").tensor(scale.clone())).unwrap()).1, 0.625);
    let scalar = Tensor { dims: vec![], ..scale.clone() };
    assert_eq!(query(&open(&official("bitnet").tensor(scalar)).unwrap()).1, 0.625);
    for (bytes, value) in [(floats([-0.5]), "-0.625"), (floats([0.0]), "0")] {
        let checkpoint = open(&official("bitnet").tensor(Tensor { bytes, ..scale.clone() })).unwrap();
        let message = checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap_err().to_string();
        assert!(message.contains(&format!("has the scale {value}, but it must be positive")), "{message}");
    }
}

/// What converters write before bitnet.cpp packs it: floats of one magnitude, with or without a scale beside them.
#[test]
fn floats_that_are_ternary_keep_their_value() {
    let value = |row: usize, col: usize| 0.3 * (f32::from(code("blk.0.attn_q.weight", row, col)) - 1.0);
    let mut file = official("bitnet");
    let tensor = tensor_mut(&mut file, "blk.0.attn_q.weight");
    tensor.kind = 0;
    tensor.bytes = floats((0..HIDDEN * HIDDEN).map(|i| value(i / HIDDEN, i % HIDDEN)));
    let (rows, multiplier) = query(&open(&file).unwrap());
    assert_eq!(multiplier, 0.3);
    assert!(rows.iter().enumerate().all(|(row, codes)| *codes == expected(row)));

    let scaled = file.clone().tensor(Tensor::new("blk.0.attn_q.scale", &[1], 0, floats([2.0])));
    let checkpoint = open(&scaled).unwrap();
    let (rows, multiplier) = query(&checkpoint);
    assert_eq!((multiplier, &rows[3]), (0.6, &expected(3)));
    let (mut floats_of, [q, ..]) = (vec![0.0; HIDDEN], checkpoint.config().linears(0));
    checkpoint.linear(&q).unwrap().floats(3, &mut floats_of);
    assert!((0..HIDDEN).all(|col| floats_of[col] == 2.0 * value(3, col)));

    // Masters are made ternary by their mean.
    let tensor = tensor_mut(&mut file, "blk.0.attn_q.weight");
    tensor.bytes = floats(
        (0..HIDDEN * HIDDEN).map(|i| value(i / HIDDEN, i % HIDDEN) * if i % 2 == 0 { 1.0 } else { 1.1 }),
    );
    let (rows, multiplier) = query(&open(&file).unwrap());
    assert!((0.19..0.23).contains(&multiplier) && rows[3] == expected(3), "{multiplier}");
}

#[test]
fn blocks_share_one_scale() {
    let blocks = |scales: [f32; 2]| {
        let mut file = official("bitnet");
        let tensor = tensor_mut(&mut file, "blk.0.attn_q.weight");
        tensor.kind = 35;
        tensor.bytes.clear();
        for row in 0..HIDDEN {
            tq2_0::encode_row(&expected(row), f16::from_f32(scales[row % 2]), &mut tensor.bytes);
        }
        open(&file).unwrap()
    };
    let (rows, multiplier) = query(&blocks([0.75, 0.75]));
    assert_eq!((multiplier, &rows[9]), (0.75, &expected(9)));
    let (rows, multiplier) = query(&blocks([0.75, 0.0]));
    assert_eq!((multiplier, &rows[8], &rows[9]), (0.75, &expected(8), &vec![1; HIDDEN]));
    let (rows, multiplier) = query(&blocks([0.0, 0.0]));
    assert!(multiplier > 0.0 && rows.iter().flatten().all(|code| *code == 1));
    let checkpoint = blocks([0.75, 0.5]);
    let message = checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap_err().to_string();
    assert!(message.contains("has TQ2_0 blocks of different scales"), "{message}");
}

#[test]
fn what_is_not_supported_is_named() {
    let tl = |kind: u32| {
        let mut file = official("bitnet");
        tensor_mut(&mut file, "blk.0.ffn_up.weight").kind = kind;
        refusal(&file)
    };
    assert!(tl(38).contains("`blk.0.ffn_up.weight` has type TL1, a lookup-table format"), "{}", tl(38));
    assert!(tl(39).contains("has type TL2"), "{}", tl(39));
    let bias = Tensor::new("blk.0.attn_q.bias", &[HIDDEN as u64], 0, floats([0.0; HIDDEN]));
    assert!(refusal(&official("bitnet").tensor(bias)).contains("biases are not supported"));
    let factors = |x: f32| Tensor::new("rope_freqs.weight", &[32], 0, floats([x; 32]));
    assert!(open(&official("llama").tensor(factors(1.0))).is_ok());
    assert!(refusal(&official("llama").tensor(factors(8.0))).contains("only unscaled RoPE"));
    let scaling = |kind: &str| official("llama").field("llama.rope.scaling.type", string(kind));
    assert!(open(&scaling("none")).is_ok());
    assert!(
        refusal(&scaling("yarn"))
            .contains("`llama.rope.scaling.type` is \"yarn\", but only none is supported")
    );
    let experts = official("llama").field("llama.expert_count", u32(8));
    assert!(refusal(&experts).contains("`llama.expert_count` is 8, but only 0 is supported"));
    let rotary = with(official("bitnet"), "bitnet.rope.dimension_count", u32(32));
    assert!(
        refusal(&rotary.field("bitnet.attention.key_length", u32(64)))
            .contains("only the width of a head, 64")
    );
    let heads = with(official("bitnet"), "bitnet.attention.head_count_kv", u32(3));
    assert!(refusal(&heads).contains("is 4, which is not a multiple of `bitnet.attention.head_count_kv` 3"));
}

/// Type 39 belongs to two programs.
#[test]
fn colliding_type_numbers_are_told_apart() {
    let mut file = official("llama");
    let tensor = tensor_mut(&mut file, "blk.0.ffn_up.weight");
    (tensor.kind, tensor.bytes) = (39, vec![0; HIDDEN * HIDDEN / 32 * 17]);
    let coding = |file: &File| open(file).unwrap().tensors().unwrap()[10].coding.clone();
    assert_eq!(coding(&file), Coding::Other("MXFP4".into()));
    assert!(refusal(&with(file.clone(), "general.file_type", u32(39))).contains("has type TL2"));
    tensor_mut(&mut file, "blk.0.ffn_up.weight").kind = 77;
    assert_eq!(coding(&file), Coding::Other("unknown (77)".into()));
    let checkpoint = open(&file).unwrap();
    let message = checkpoint.linear(&checkpoint.config().linears(0)[5]).unwrap_err().to_string();
    assert!(
        message.contains("`blk.0.ffn_up.weight` has type unknown (77), but a linear layer must be"),
        "{message}"
    );
}

/// Without this, activations of eight bits would make nonsense of an ordinary model.
#[test]
fn a_llama_without_ternary_weights_is_refused() {
    let mut file = official("llama");
    for (name, rows, cols) in LINEARS {
        let tensor = tensor_mut(&mut file, name);
        tensor.kind = 0;
        tensor.bytes = floats((0..rows * cols).map(|i| (noise(i as u64) % 999) as f32 / 99.0));
    }
    assert!(refusal(&file).contains("its weights are not ternary"), "{}", refusal(&file));
    let tensor = tensor_mut(&mut file, "blk.0.attn_q.weight");
    tensor.bytes = floats((0..HIDDEN * HIDDEN).map(|i| [-2.5, 0.0, 2.5][i % 3]));
    assert_eq!(query(&open(&file).unwrap()).1, 2.5);
}

#[test]
fn shapes_are_those_of_the_metadata() {
    let mut file = official("bitnet");
    tensor_mut(&mut file, "blk.0.attn_q.weight").dims = vec![512, 128];
    let checkpoint = open(&file).unwrap();
    let message = checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap_err().to_string();
    let expected = "`blk.0.attn_q.weight` has shape [128, 512], but its metadata asks for [256, 256]";
    assert!(message.contains(expected), "{message}");
    let mut file = official("bitnet");
    file.tensors.remove(5);
    let checkpoint = open(&file).unwrap();
    let message = checkpoint.linear(&checkpoint.config().linears(0)[0]).unwrap_err().to_string();
    assert!(message.contains("it lacks the tensor `blk.0.attn_q.weight`"), "{message}");
}

#[test]
fn alignment_and_version_are_respected() {
    let mut file = official("bitnet").field("general.alignment", u32(256));
    (file.alignment, file.version) = (256, 2);
    let (rows, _) = query(&open(&file).unwrap());
    assert_eq!(rows[77], expected(77));
}

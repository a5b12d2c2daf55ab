//! Tests that files as other programs write them are read.

use bitkv_checkpoint::{Activation, Architecture, codec::tq2_0};
use half::f16;

use crate::{
    official::{HIDDEN, VOCABULARY, code, expected, floats, official, open, query, tensor_mut},
    raw::{Tensor, u32},
};

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
    assert!(checkpoint.is_tied() && checkpoint.lm_head().unwrap().is_none());
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

/// The order is llama.cpp's: dimension `i` of a head's first half and dimension `i` of its second half are
/// neighbours.
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
fn a_separate_scale_tensor_multiplies() {
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

/// Converters write such files, which bitnet.cpp then packs: floats of one magnitude, with or without a
/// separate scale.
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
    let (mut row_floats, [q, ..]) = (vec![0.0; HIDDEN], checkpoint.config().linears(0));
    checkpoint.linear(&q).unwrap().floats(3, &mut row_floats);
    assert!((0..HIDDEN).all(|col| row_floats[col] == 2.0 * value(3, col)));

    // Master weights are ternarised by their mean.
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
fn alignment_and_version_are_respected() {
    let mut file = official("bitnet").field("general.alignment", u32(256));
    (file.alignment, file.version) = (256, 2);
    let (rows, _) = query(&open(&file).unwrap());
    assert_eq!(rows[77], expected(77));
}

#[test]
fn embeddings_can_be_block_quantised() {
    let with_embedding = |kind: u32, block: Vec<u8>| {
        let mut file = official("bitnet");
        let tensor = tensor_mut(&mut file, "token_embd.weight");
        (tensor.kind, tensor.bytes) = (kind, block.repeat(VOCABULARY));
        open(&file).unwrap()
    };
    let row = |kind: u32, block: Vec<u8>| {
        let mut row = vec![0.0; HIDDEN];
        with_embedding(kind, block).embedding().unwrap().row(VOCABULARY - 1, &mut row);
        row
    };
    let eight_bits: Vec<u8> = (0..8).flat_map(|i| [vec![0x00, 0x38], vec![i * 3; 32]].concat()).collect();
    let values = row(8, eight_bits.clone());
    assert!(values.iter().enumerate().all(|(i, x)| *x == 0.5 * 3.0 * (i / 32) as f32), "{values:?}");
    // The low bits are 1, the high bits 2, the group scales 4 and the scale 0.5, so a value is (1 + 32 - 32)
    // * 4 * 0.5.
    let six_bits = [vec![0x11; 128], vec![0xAA; 64], vec![4; 16], vec![0x00, 0x38]].concat();
    // The low bits are 1, the high bits 2, the group scales 4 and the scale 0.5, so a value is (1 + 32 - 32)
    // * 4 * 0.5.
    assert_eq!(row(14, six_bits), vec![2.0; HIDDEN]);

    let mut infinite = eight_bits;
    infinite[34 * 3..34 * 3 + 2].copy_from_slice(&[0x00, 0x7C]);
    let message = with_embedding(8, infinite).embedding().unwrap_err().to_string();
    assert!(message.contains("`token_embd.weight` holds inf at index 96"), "{message}");
}

//! Damaged and hostile containers. Each gives a message of one sentence, and no memory is reserved for a size
//! only because a file claims it.

use bitkv_checkpoint::{Checkpoint, gguf::ReadOptions};
use proptest::prelude::*;

use crate::{
    official::{floats, official, open, refusal, tensor_mut, with},
    raw::{File, Raw, Tensor, array, string, strings, text, u32},
};

/// Returns the error message for a file.
fn error_message(bytes: Vec<u8>) -> String {
    let refused = Checkpoint::from_gguf_bytes(bytes, &ReadOptions::default()).err().expect("it is refused");
    refused.to_string()
}

fn assert_says(message: &str, part: &str) {
    assert!(message.contains(part) && message.lines().count() == 1, "{part:?} is not in {message:?}");
}

fn file_with(tensor: Tensor) -> File {
    File::new().field("general.architecture", string("bitnet")).tensor(tensor)
}

fn float_tensor(name: &str) -> Tensor {
    Tensor::new(name, &[8], 0, floats([1.0; 8]))
}

#[test]
fn other_files_and_versions_are_refused() {
    assert_says(&error_message(Vec::new()), "it ends inside its header");
    assert_says(&error_message(b"PK\x03\x04 and more".to_vec()), "does not begin with the letters GGUF");
    for (version, part) in [(1, "its version is 1"), (4, "its version is 4"), (3 << 24, "it is big-endian")] {
        assert_says(&refusal(&File { version, ..File::new() }), part);
    }
}

/// A valid file of any shorter length is refused without a panic.
#[test]
fn every_truncation_is_refused() {
    let file = official("bitnet");
    let (bytes, header) = (file.bytes(), File { tensors: Vec::new(), ..file }.bytes().len() + 1000);
    for length in (0..bytes.len()).filter(|length| *length < header || length % 997 == 0) {
        let message = error_message(bytes[..length].to_vec());
        assert!(
            message.starts_with("the GGUF file in memory is not a usable GGUF file: "),
            "{length}: {message}"
        );
    }
}

#[test]
fn counts_are_not_trusted() {
    let counts = |tensors: u64, fields: u64| {
        let mut bytes = b"GGUF\x03\x00\x00\x00".to_vec();
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(fields.to_le_bytes());
        bytes
    };
    assert_says(&error_message(counts(u64::MAX, 0)), "tensors, and at most 50000 are read");
    assert_says(&error_message(counts(0, u64::MAX)), "keys, and at most 10000 are read");
    let lengths: [Raw; 5] = [
        (8, u64::MAX.to_le_bytes().into()),
        (8, (1u64 << 40).to_le_bytes().into()),
        array(4, u64::MAX, vec![0; 64]),
        array(10, 1 << 61, vec![0; 64]),
        array(6, 1 << 40, vec![0; 64]),
    ];
    for value in lengths {
        assert_says(
            &refusal(&File::new().field("a", value)),
            "at the key `a`, a length in its header claims",
        );
    }
    assert_says(
        &refusal(&File::new().field("a", array(8, 1 << 40, vec![0; 64]))),
        "claims 1099511627776 strings",
    );
    assert_says(
        &error_message([&counts(0, 1)[..], &u64::MAX.to_le_bytes()].concat()),
        "claims 18446744073709551615 items",
    );
}

#[test]
fn invalid_metadata_is_refused() {
    let field = |key: &str, value: Raw| refusal(&File::new().field(key, value));
    assert_says(&field("a", (13, vec![0; 8])), "a value has the unknown type 13");
    assert_says(&field("a", array(99, 1, vec![0; 8])), "a value has the unknown type 99");
    let nested = array(9, 1, array(4, 1, vec![0; 4]).1);
    assert_says(&field("a", nested), "an array holds arrays");
    assert_says(&field("a", (8, [&2u64.to_le_bytes()[..], &[0xFF, 0xFE]].concat())), "is not UTF-8");
    assert_says(&refusal(&File::new().field("a", u32(1)).field("a", u32(2))), "the key `a` appears twice");
    for value in [u32(0), u32(24), u32(1 << 31), string("32"), (5, (-32i32).to_le_bytes().into())] {
        let message = field("general.alignment", value);
        assert_says(&message, "but must be a power of two");
    }
}

#[test]
fn invalid_tensors_are_refused() {
    let dims = |dims: &[u64]| refusal(&file_with(Tensor { dims: dims.into(), ..float_tensor("t") }));
    assert_says(&dims(&[8, 0]), "tensor `t` has a dimension of 0");
    assert_says(&dims(&[u64::MAX]), "tensor `t` has a dimension of -1");
    assert_says(&dims(&[1 << 40, 1 << 40]), "tensor `t` is larger than any memory");
    assert_says(&dims(&[1 << 32, 1 << 32, 1 << 32]), "tensor `t` is larger than any memory");
    assert_says(&dims(&[1; 5]), "tensor `t` has 5 dimensions");
    assert_says(&dims(&[1 << 50]), "tensor `t` ends at 4503599627370496, but its data ends at 32");
    assert_says(&dims(&[9]), "tensor `t` ends at 36, but its data ends at 32");
    let kind =
        |kind, dims: &[u64]| refusal(&file_with(Tensor { kind, dims: dims.into(), ..float_tensor("t") }));
    assert_says(&kind(35, &[128, 2]), "has rows of 128, but TQ2_0 stores blocks of 256");
    assert_says(&kind(14, &[100]), "has rows of 100, but Q6_K stores blocks of 256");
    assert_says(&kind(36, &[3, 3]), "has rows of 3, but I2_S stores blocks of 4");
    assert_says(
        &refusal(&file_with(float_tensor("t")).tensor(float_tensor("t"))),
        "tensor `t` appears twice",
    );
}

#[test]
fn tensors_are_inside_the_file_and_do_not_overlap() {
    let refusal_at = |offset: u64| {
        refusal(&file_with(float_tensor("a")).tensor(Tensor { offset: Some(offset), ..float_tensor("b") }))
    };
    assert_says(&refusal_at(16), "tensor `b` begins at 16, which is not a multiple of 32");
    assert_says(&refusal_at(0), "shares bytes with");
    assert_says(&refusal_at(64), "tensor `b` ends at 96, but its data ends at 64");
    assert_says(&refusal_at(1 << 63), "but its data ends at 64");
    assert_says(&refusal_at(u64::MAX - 31), "but its data ends at 64");
    let unknown = Tensor { offset: Some(1 << 62), kind: 99, ..float_tensor("b") };
    assert_says(
        &refusal(&file_with(float_tensor("a")).tensor(unknown)),
        "tensor `b` ends at 4611686018427387904",
    );
}

#[test]
fn invalid_vocabularies_are_refused() {
    let message = |key: &str, value: Raw| {
        let checkpoint = open(&with(official("bitnet"), key, value)).unwrap();
        checkpoint.gguf().unwrap().vocabulary().unwrap_err().to_string()
    };
    let key = "tokenizer.ggml.scores";
    assert_says(
        &message(key, array(6, 2, vec![0; 8])),
        "`tokenizer.ggml.scores` is 2 items, but there are 40 tokens",
    );
    assert_says(
        &message(key, strings(&["a"])),
        "`tokenizer.ggml.scores` is 1 x string, but must be an array of f32",
    );
    assert_says(
        &message("tokenizer.ggml.model", u32(1)),
        "`tokenizer.ggml.model` is 1, but must be a string",
    );
    let broken = array(8, 1, [&3u64.to_le_bytes()[..], &[0xFF; 3]].concat());
    assert_says(
        &message("tokenizer.ggml.merges", broken),
        "in `tokenizer.ggml.merges`, a string in its header is not UTF-8",
    );
}

#[test]
fn invalid_values_are_refused() {
    let value = |key: &str, value: Raw| refusal(&with(official("bitnet"), key, value));
    for (key, bad) in [
        ("bitnet.embedding_length", u32(0)),
        ("bitnet.block_count", u32(u32::MAX)),
        ("bitnet.context_length", (5, (-1i32).to_le_bytes().into())),
        ("bitnet.attention.head_count", array(4, 1, vec![4, 0, 0, 0])),
        ("bitnet.vocab_size", (10, u64::MAX.to_le_bytes().into())),
    ] {
        assert_says(&value(key, bad), &format!("`{key}` is "));
    }
    let nan = (6, f32::NAN.to_le_bytes().into());
    assert_says(
        &value("bitnet.rope.freq_base", nan),
        "`bitnet.rope.freq_base` is NaN, but must be a float from 1.0 to",
    );
    let wide = with(official("bitnet"), "bitnet.rope.dimension_count", u32(63));
    assert_says(&refusal(&wide), "is 63, which is not a multiple of 2");
}

/// Empty names and gaps between tensors are accepted.
#[test]
fn unusual_but_harmless_files_are_read() {
    let mut file = official("bitnet");
    let end = file.tensors.iter().map(|t| t.bytes.len().next_multiple_of(32) as u64).sum::<u64>();
    file.tensors.push(Tensor { offset: Some(end + 64), bytes: vec![0; 96], ..float_tensor("") });
    assert_eq!(open(&file).unwrap().tensors().unwrap().len(), 14);
    let many = File::new().field("general.architecture", (8, text("bitnet")));
    assert_says(&refusal(&many), "it lacks the key `bitnet.embedding_length`");
    tensor_mut(&mut file, "").kind = 99;
    assert_eq!(open(&file).unwrap().tensors().unwrap()[13].bytes.len(), 32);
}

proptest! {
    /// If any bytes of the header are changed, the file gives an error, or a checkpoint whose every row can
    /// be read.
    #[test]
    fn any_damage_is_refused_or_harmless(edits in prop::collection::vec((0usize..3000, any::<u8>()), 1..6)) {
        let mut bytes = official("llama").bytes();
        edits.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        let Ok(checkpoint) = Checkpoint::from_gguf_bytes(bytes, &ReadOptions::default()) else { return Ok(()) };
        let _ = (checkpoint.gguf().unwrap().vocabulary(), checkpoint.tensors(), checkpoint.embedding());
        for shape in checkpoint.config().all_linears() {
            let Ok(linear) = checkpoint.linear(&shape) else { break };
            let mut codes = vec![9; shape.cols];
            for row in 0..shape.rows {
                linear.codes(row, &mut codes);
                prop_assert!(codes.iter().all(|code| *code <= 3));
            }
        }
    }
}

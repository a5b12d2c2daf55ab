//! Model files: GGUF, and safetensors with a configuration.

use bitkv_checkpoint::{Checkpoint, Result, gguf::ReadOptions};

use crate::accepted;

/// Reads a GGUF file, its metadata and its vocabulary.
pub(crate) fn gguf(bytes: &[u8]) {
    let Some(checkpoint) = accepted(Checkpoint::from_gguf_bytes(bytes.to_vec(), &ReadOptions::default()))
    else {
        return;
    };
    if let Some(gguf) = checkpoint.gguf() {
        gguf.metadata().iter().for_each(|entry| drop(entry.value.to_string()));
        accepted(gguf.vocabulary());
    }
    accepted(read_everything(&checkpoint));
}

/// Reads a folder of a model. The first two bytes are the length of the configuration; then come the
/// configuration and the weights.
pub(crate) fn safetensors(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (config, weights) = rest.split_at(length);
    let Ok(config) = std::str::from_utf8(config) else { return };
    if let Some(checkpoint) = accepted(Checkpoint::from_bytes(config, weights.to_vec())) {
        accepted(read_everything(&checkpoint));
    }
}

/// Reads all parts of a checkpoint that loading a model would read, up to the first error.
fn read_everything(checkpoint: &Checkpoint) -> Result<()> {
    let config = checkpoint.config();
    for tensor in checkpoint.tensors()? {
        let _ = (tensor.zero_rows(), tensor.first_not_finite());
    }
    if let Some(dense) = accepted(checkpoint.embedding()) {
        let mut row = vec![0.0; dense.cols()];
        (0..dense.rows()).for_each(|at| dense.row(at, &mut row));
    }
    accepted(checkpoint.lm_head());
    for norm in config.all_norms() {
        checkpoint.norm(&norm)?;
    }
    for shape in config.all_linears() {
        let linear = checkpoint.linear(&shape)?;
        let (mut codes, mut floats) = (vec![0; shape.cols], vec![0.0; shape.cols]);
        for row in 0..shape.rows {
            linear.floats(row, &mut floats);
            if linear.is_ternary() {
                linear.codes(row, &mut codes);
                assert!(codes.iter().all(|code| *code <= 3));
            }
        }
        if linear.is_ternary() {
            assert_eq!(linear.histogram().iter().sum::<u64>(), (shape.rows * shape.cols) as u64);
        }
    }
    Ok(())
}

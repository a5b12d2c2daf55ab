//! Reads every part of a checkpoint that loading a model would read.

use bitkv_checkpoint::{Checkpoint, Error, Result};

/// Checks that an error has a message, and that the message is not absurdly long.
pub fn check_message(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 1 << 20);
}

/// Reads all parts of a checkpoint up to the first error.
pub fn read_everything(checkpoint: &Checkpoint) {
    if let Err(error) = read(checkpoint) {
        check_message(&error);
    }
}

fn read(checkpoint: &Checkpoint) -> Result<()> {
    let config = checkpoint.config();
    for tensor in checkpoint.tensors()? {
        let _ = (tensor.zero_rows(), tensor.first_not_finite());
    }
    let embedding = checkpoint.embedding().map(|dense| {
        let mut row = vec![0.0; dense.cols()];
        (0..dense.rows()).for_each(|at| dense.row(at, &mut row));
    });
    let _ = embedding.map_err(|error| check_message(&error));
    let _ = checkpoint.lm_head().map(drop).map_err(|error| check_message(&error));
    for norm in config.all_norms() {
        checkpoint.norm(&norm)?;
    }
    for shape in config.all_linears() {
        let linear = checkpoint.linear(&shape)?;
        let (mut codes, mut floats) = (vec![0; shape.cols], vec![0.0; shape.cols]);
        for row in 0..shape.rows {
            linear.codes(row, &mut codes);
            assert!(codes.iter().all(|code| *code <= 3));
            linear.floats(row, &mut floats);
        }
        assert_eq!(linear.histogram().iter().sum::<u64>(), (shape.rows * shape.cols) as u64);
    }
    Ok(())
}

//! Reads every part of a checkpoint that loading a model would read.

use bitkv_checkpoint::{Checkpoint, Error, Result};

/// Errors are one sentence, which is not empty.
pub fn sentence(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 1 << 20);
}

/// Reads whatever there is, up to the first error.
pub fn everything(checkpoint: &Checkpoint) {
    if let Err(error) = read(checkpoint) {
        sentence(&error);
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
    let _ = embedding.map_err(|error| sentence(&error));
    let _ = checkpoint.lm_head().map(drop).map_err(|error| sentence(&error));
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

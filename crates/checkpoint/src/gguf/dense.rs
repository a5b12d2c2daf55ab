//! Writes an embedding or an LM head to a GGUF file.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use crate::{Coding, Dense, Error, FloatType, Result};

/// The number of bytes that are converted at once.
const PART: usize = 1 << 20;

/// Returns the type to which the matrix is converted; `None` if the stored values are copied.
pub(super) fn target(dense: &Dense, asked: Option<FloatType>) -> Option<FloatType> {
    let target = match asked {
        Some(kind) => Some(kind),
        None if dense.stored().coding.is_float() && is_f16(dense) => Some(FloatType::F16),
        None => None,
    };
    target.filter(|kind| coding(*kind) != dense.stored().coding)
}

/// Returns the coding of a float type.
pub(super) fn coding(kind: FloatType) -> Coding {
    Coding::from_dtype(kind.dtype())
}

/// Returns whether F16 represents every value exactly.
fn is_f16(dense: &Dense) -> bool {
    dense.stored().coding == Coding::F16
        || dense.slabs(PART).collect::<Vec<_>>().into_par_iter().all(|slab| {
            let exact = read(dense, slab.clone()).iter().all(|x| FloatType::F16.holds(*x));
            release(dense, slab);
            exact
        })
}

/// Returns the values of a range of rows.
fn read(dense: &Dense, slab: Range<usize>) -> Vec<f32> {
    let mut values = vec![0.0; slab.len() * dense.cols()];
    values.chunks_exact_mut(dense.cols()).zip(slab).for_each(|(values, row)| dense.row(row, values));
    values
}

/// Releases the mapped pages of a range of rows.
fn release(dense: &Dense, slab: Range<usize>) {
    dense.slab(slab).bytes.release();
}

/// Passes the bytes of the matrix to `put`, slab by slab, converted to `target` if it is given.
pub(super) fn write(
    dense: &Dense,
    target: Option<FloatType>,
    put: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    for slab in dense.slabs(PART) {
        let row = dense.stored().bytes.len() / dense.rows();
        match target {
            None => put(&dense.stored().bytes[slab.start * row..slab.end * row])?,
            Some(kind) => {
                let (values, mut bytes) = (read(dense, slab.clone()), Vec::new());
                check_range(dense, &values, kind)?;
                kind.write(&values, &mut bytes).expect("memory can be written");
                put(&bytes)?;
            }
        }
        release(dense, slab);
    }
    Ok(())
}

/// Returns an error if a value would become infinite. Rounding was requested, but that would be more than
/// rounding.
fn check_range(dense: &Dense, values: &[f32], kind: FloatType) -> Result<()> {
    let Some(value) = values.iter().find(|x| kind == FloatType::F16 && f16::from_f32(**x).is_infinite())
    else {
        return Ok(());
    };
    Err(Error::NotConvertible {
        file: dense.stored().file.clone(),
        tensor: dense.stored().name.clone(),
        target: "F16",
        reason: format!("it holds {value}, but the largest F16 value is {}", f16::MAX),
    })
}

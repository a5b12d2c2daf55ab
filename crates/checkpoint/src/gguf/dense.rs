//! An embedding or output head on its way into a GGUF file.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use crate::{Coding, Dense, Error, FloatType, Result};

/// Bytes that are converted together.
const PART: usize = 1 << 20;

/// The type to convert to; `None` when the stored values are copied.
pub(super) fn target(dense: &Dense, asked: Option<FloatType>) -> Option<FloatType> {
    let target = match asked {
        Some(kind) => Some(kind),
        None if dense.stored().coding.is_float() && is_f16(dense) => Some(FloatType::F16),
        None => None,
    };
    target.filter(|kind| coding(*kind) != dense.stored().coding)
}

pub(super) fn coding(kind: FloatType) -> Coding {
    Coding::from_dtype(kind.dtype())
}

fn is_f16(dense: &Dense) -> bool {
    dense.stored().coding == Coding::F16
        || dense.slabs(PART).collect::<Vec<_>>().into_par_iter().all(|slab| {
            let exact = read(dense, slab.clone()).iter().all(|x| FloatType::F16.holds(*x));
            release(dense, slab);
            exact
        })
}

fn read(dense: &Dense, slab: Range<usize>) -> Vec<f32> {
    let mut values = vec![0.0; slab.len() * dense.cols()];
    values.chunks_exact_mut(dense.cols()).zip(slab).for_each(|(values, row)| dense.row(row, values));
    values
}

fn release(dense: &Dense, slab: Range<usize>) {
    dense.slab(slab).bytes.release();
}

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

/// Rounding is asked for; becoming infinite is not.
fn check_range(dense: &Dense, values: &[f32], kind: FloatType) -> Result<()> {
    let Some(value) = values.iter().find(|x| kind == FloatType::F16 && f16::from_f32(**x).is_infinite())
    else {
        return Ok(());
    };
    Err(Error::NotConvertible {
        file: dense.stored().file.clone(),
        tensor: dense.stored().name.clone(),
        target: "F16",
        reason: format!("it holds {value}, and F16 ends at {}", f16::MAX),
    })
}

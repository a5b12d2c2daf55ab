//! Writes the values of a stored tensor to another file.

use std::io::{self, Write};

use rayon::prelude::*;

use crate::{FloatType, StoredTensor};

/// The number of values that are converted at once.
const PART: usize = 1 << 16;

impl StoredTensor {
    /// Returns the smallest float type that holds every value exactly: BF16 if possible, else F16, else F32.
    pub(crate) fn smallest_exact_type(&self) -> FloatType {
        let firsts: Vec<usize> = (0..self.len()).step_by(PART).collect();
        let holds_all = |kind: FloatType| {
            firsts.par_iter().all(|&first| {
                let mut values = vec![0.0; PART.min(self.len() - first)];
                self.read_f32(first, &mut values);
                self.release_values(first, values.len());
                values.iter().all(|value| kind.holds(*value))
            })
        };
        [FloatType::Bf16, FloatType::F16].into_iter().find(|kind| holds_all(*kind)).unwrap_or(FloatType::F32)
    }

    /// Writes all values as floats of type `kind`, a part at a time.
    pub(crate) fn write_as(&self, kind: FloatType, to: &mut dyn Write) -> io::Result<()> {
        let mut values = vec![0.0; PART.min(self.len())];
        for first in (0..self.len()).step_by(PART) {
            let values = &mut values[..PART.min(self.len() - first)];
            self.read_f32(first, values);
            kind.write(values, to)?;
            self.release_values(first, values.len());
        }
        Ok(())
    }
}
